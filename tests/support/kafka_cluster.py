"""One Apache Kafka cluster of one or three brokers on loopback.

KRaft (combined broker and controller) or, up to 3.9, managed by a ZooKeeper
that is started with it. Small heaps and buffers; nothing is tuned for speed.
"""

import base64
import dataclasses
import os
import pathlib
import signal
import socket
import subprocess
import time

import child_process
import kafka_wire

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# The cleaner would take 128 MiB of each heap at start.
COMMON = """\
num.network.threads=1
num.io.threads=2
background.threads=2
num.recovery.threads.per.data.dir=1
log.cleaner.enable=false
offsets.topic.num.partitions=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.index.size.max.bytes=4096
replica.lag.time.max.ms=4000
"""
JAVA = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
POLL_S = 0.05


@dataclasses.dataclass
class ClusterSpec:
    """What to start; `extra` lines of server.properties win over others.

    `listeners` are more than the plain one, NAME -> security protocol; their
    keys and logins come with `extra`. `format` goes to Kafka's StorageTool.
    """
    name: str
    version: str
    mode: str = "kraft"
    nodes: int = 1
    heap: str = "192m"
    extra: dict = dataclasses.field(default_factory=dict)
    listeners: dict = dataclasses.field(default_factory=dict)
    format: list = dataclasses.field(default_factory=list)
    libs: pathlib.Path = None

    def __post_init__(self):
        if self.mode not in ("kraft", "zookeeper"):
            raise ValueError(f"mode: kraft or zookeeper, not '{self.mode}'")
        if self.nodes not in (1, 3):
            raise ValueError(f"nodes: 1 or 3, not {self.nodes}")
        if self.mode == "zookeeper" and not self.version.startswith("3."):
            raise ValueError("mode: zookeeper needs Kafka 3.x")


def new_cluster_id():
    """22 characters; one that starts with '-' would be taken for an option."""
    text = base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=")
    return "k" + text[1:]


class Cluster:
    """Steps in order: prepare, start_zookeeper, finish_format, start."""

    def __init__(self, spec, folder):
        self.spec = spec
        self._folder = folder
        libs = (spec.libs or ROOT / "build" / "kafka") / spec.version
        if not (libs / f"kafka_2.13-{spec.version}.jar").exists():
            raise FileNotFoundError(
                f"no jars of Kafka {spec.version} in {libs}; run "
                "tools/setup.sh kafka")
        self._classpath = f"{libs}/*"
        self.nodes = range(1, spec.nodes + 1)
        self._ports = {n: child_process.free_port() for n in self.nodes}
        self._controller_ports = {n: child_process.free_port()
                                  for n in self.nodes}
        self._listener_ports = {(name, n): child_process.free_port()
                                for name in spec.listeners for n in self.nodes}
        self._zookeeper_port = child_process.free_port()
        self._brokers, self._formatting = {}, {}
        self._zookeeper = None
        self.cluster_id = None

    @property
    def bootstrap(self):
        return ",".join(self.address(node) for node in self.nodes)

    @property
    def zookeeper(self):
        """The connection string with its chroot, or None under KRaft."""
        if self.spec.mode == "kraft":
            return None
        return f"127.0.0.1:{self._zookeeper_port}/{self.spec.name}"

    def listener(self, name):
        """Bootstrap servers of one of the spec's listeners."""
        return ",".join(f"127.0.0.1:{self._listener_ports[name, node]}"
                        for node in self.nodes)

    def address(self, node):
        return f"127.0.0.1:{self._ports[node]}"

    def pid(self, node):
        return self._brokers[node].pid

    def describe(self):
        pids = {str(n): child.pid for n, child in self._brokers.items()}
        return {"name": self.spec.name, "version": self.spec.version,
                "mode": self.spec.mode, "bootstrap": self.bootstrap,
                "cluster_id": self.cluster_id, "pids": pids,
                "zookeeper": self.zookeeper}

    # Starting -------------------------------------------------------------

    def prepare(self, _deadline=None):
        """Writes the configuration; under KRaft begins to format."""
        self._folder.mkdir(parents=True, exist_ok=True)
        cluster_id = new_cluster_id()
        for node in self.nodes:
            lines = {**self._properties(node), **self.spec.extra}
            self._file(node, "properties").write_text(
                COMMON + "".join(f"{k}={v}\n" for k, v in lines.items()))
            if self.spec.mode == "kraft":
                self._formatting[node] = self._java(
                    "64m", "kafka.tools.StorageTool",
                    ["format", "-t", cluster_id, "-c",
                     self._file(node, "properties"), *self.spec.format],
                    self._file(node, "format.log"))

    def start_zookeeper(self, deadline):
        if self.spec.mode == "kraft":
            return
        config = self._folder / "zookeeper.cfg"
        config.write_text(
            "tickTime=500\nadmin.enableServer=false\nmaxClientCnxns=0\n"
            "4lw.commands.whitelist=*\nclientPortAddress=127.0.0.1\n"
            f"clientPort={self._zookeeper_port}\n"
            f"dataDir={self._folder}/zookeeper\n")
        log = self._folder / "zookeeper.log"
        self._zookeeper = self._java(
            "64m", "org.apache.zookeeper.server.quorum.QuorumPeerMain",
            [config], log)
        while not self._zookeeper_serves():
            self._check(self._zookeeper, "ZooKeeper", log, deadline)
            time.sleep(POLL_S)

    def finish_format(self, deadline):
        for node, child in self._formatting.items():
            log = self._file(node, "format.log")
            try:
                code = child.wait(deadline - time.monotonic())
            except subprocess.TimeoutExpired:
                code = None
            if code != 0:
                raise RuntimeError(self._complaint("format failed", log))

    def start(self, _deadline=None):
        for node in self.nodes:
            self.restart(node)

    def restart(self, node):
        """Starts a broker that does not run, with its old port and data."""
        old = self._brokers.get(node)
        if old is not None and old.poll() is None:
            raise RuntimeError(f"{self.spec.name}: broker {node} still runs")
        self._brokers[node] = self._java(
            self.spec.heap, "kafka.Kafka", [self._file(node, "properties")],
            self._file(node, "log"))

    def restart_if_dead(self, node):
        if self._brokers[node].poll() is not None:
            self.restart(node)

    def wait_ready(self, timeout=60.0):
        """Until every broker is in the metadata that every broker gives."""
        deadline = time.monotonic() + timeout
        for node in self.nodes:
            while not self._knows_all(node):
                self._check(self._brokers[node], f"broker {node}",
                            self._file(node, "log"), deadline)
                time.sleep(POLL_S)

    # Faults and the end ----------------------------------------------------

    def kill9(self, node):
        self._brokers[node].kill()
        self._brokers[node].wait()

    def sigstop(self, node):
        """Returns when every thread has stopped, not only been told to."""
        self._brokers[node].send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._brokers[node].pid,
                  os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def sigcont(self, node):
        self._brokers[node].send_signal(signal.SIGCONT)

    def exchange(self, timeout=60.0):
        """Puts another, empty Kafka cluster behind the same ports, or the
        former one back; REQUIRES KRaft. Returns when it answers."""
        for node in self.nodes:
            if self._brokers[node].poll() is None:
                self.kill9(node)
            here, other = (self._folder / f"{name}-{node}"
                           for name in ("data", "other"))
            aside = self._folder / f"aside-{node}"
            if here.exists():
                here.rename(aside)
            if other.exists():
                other.rename(here)
            aside.rename(other)
        if not (self._folder / f"data-{self.nodes[0]}").exists():
            self.prepare()
            self.finish_format(time.monotonic() + timeout)
        self.start()
        self.wait_ready(timeout)

    def stop(self):
        """Kills everything; the data is not meant to be used again."""
        children = [*self._formatting.values(), *self._brokers.values()]
        if self._zookeeper is not None:
            children.append(self._zookeeper)
        for child in children:
            if child.poll() is None:
                child.kill()
        for child in children:
            child.wait()

    def create_topic(self, name, partitions=1, config=None):
        """As an outside tool would; for tests of drift and of plain Kafka."""
        kafka_wire.create_topic(self.address(1), name, partitions,
                                self.spec.nodes, config)

    # ----------------------------------------------------------------------

    def _file(self, node, suffix):
        return self._folder / f"broker-{node}.{suffix}"

    def _java(self, heap, main_class, arguments, log):
        return child_process.spawn(
            ["java", *JAVA, f"-Xmx{heap}", "-Dzookeeper.jmx.log4j.disable=true",
             "-cp", self._classpath, main_class, *arguments], log)

    def _properties(self, node):
        replication = self.spec.nodes
        in_sync = (replication + 1) // 2
        served = ",".join(
            [f"PLAINTEXT://{self.address(node)}",
             *(f"{name}://127.0.0.1:{self._listener_ports[name, node]}"
               for name in self.spec.listeners)])
        protocols = ",".join(
            ["PLAINTEXT:PLAINTEXT", "CONTROLLER:PLAINTEXT",
             *(f"{name}:{protocol}"
               for name, protocol in self.spec.listeners.items())])
        lines = {
            "log.dirs": self._folder / f"data-{node}",
            "listeners": served,
            "advertised.listeners": served,
            "listener.security.protocol.map": protocols,
            "default.replication.factor": replication,
            "min.insync.replicas": in_sync,
            "offsets.topic.replication.factor": replication,
            "transaction.state.log.replication.factor": replication,
            "transaction.state.log.min.isr": in_sync,
        }
        if self.spec.mode == "zookeeper":
            lines["broker.id"] = node
            lines["zookeeper.connect"] = self.zookeeper
            lines["zookeeper.session.timeout.ms"] = 6000
            return lines
        controllers = {n: f"127.0.0.1:{port}"
                       for n, port in self._controller_ports.items()}
        lines.update({
            "process.roles": "broker,controller",
            "node.id": node,
            "controller.quorum.voters": ",".join(
                f"{n}@{where}" for n, where in controllers.items()),
            "listeners": f"{served},CONTROLLER://{controllers[node]}",
            "controller.listener.names": "CONTROLLER",
            "broker.session.timeout.ms": 4000,
            "broker.heartbeat.interval.ms": 500,
        })
        return lines

    def _zookeeper_serves(self):
        """`srvr` tells; `ruok` answers before it serves."""
        try:
            with socket.create_connection(
                    ("127.0.0.1", self._zookeeper_port), 1) as connection:
                connection.sendall(b"srvr")
                connection.shutdown(socket.SHUT_WR)
                answer = b""
                while part := connection.recv(4096):
                    answer += part
        except OSError:
            return False
        return b"Mode:" in answer

    def _knows_all(self, node):
        try:
            seen = kafka_wire.metadata(self.address(node), timeout=2.0)
        except OSError:
            return False
        if seen.controller < 0 or set(seen.brokers) != set(self.nodes):
            return False
        self.cluster_id = seen.cluster_id
        return True

    def _check(self, child, what, log, deadline):
        if child.poll() is not None:
            raise RuntimeError(self._complaint(
                f"{what} ended with {child.returncode}", log))
        if time.monotonic() > deadline:
            raise RuntimeError(self._complaint(f"{what} is not ready", log))

    def _complaint(self, text, log):
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        return f"{self.spec.name} ({self.spec.version}): {text}\n{tail}"
