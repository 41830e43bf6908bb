"""The processes of the benchmarks, and how they are timed.

Everything runs below one temporary folder, listens on free loopback ports and
ends with the Bench, by process id. Redis and etcd run with settings of their
own here; a service that the machine may have is never touched.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
import child_process  # noqa: E402 (needs the path)

HOSTS = 1_000_000
ZONES = ["z1"] * 3 + ["z2"] * 3 + ["z3"] * 4
POLL_S = 0.002


def say(text):
    print(text, flush=True)


class Service:
    """What ends with its block: its process, unless it has more to end."""

    _process = None

    def stop(self):
        self._process.stop()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()


class Process(Service):
    """A child process."""

    def __init__(self, command, log, environment=None):
        parent = os.getpid()
        self.log = pathlib.Path(log)
        self.started = time.monotonic()
        with open(log, "ab") as out:
            self._child = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=out, text=True,
                env=environment, start_new_session=True,
                preexec_fn=lambda: child_process.die_with_parent(parent))

    @property
    def pid(self):
        return self._child.pid

    def line(self):
        """The next line it prints; '' when it ended."""
        return self._child.stdout.readline().strip()

    def resident_bytes(self):
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text() \
                .splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("no VmRSS")

    def wait_until(self, ready, timeout=120):
        """Until `ready` is true; returns the seconds since the start."""
        deadline = time.monotonic() + timeout
        while not ready():
            if self._child.poll() is not None:
                raise RuntimeError(f"ended early:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"not ready in {timeout} s:\n{self.tail()}")
            time.sleep(POLL_S)
        return time.monotonic() - self.started

    def tail(self):
        return self.log.read_text(errors="replace")[-2000:]

    def stop(self, number=signal.SIGTERM):
        if self._child.poll() is None:
            self._child.send_signal(number)
            try:
                self._child.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        self._child.stdout.close()


class Redis(Service):
    """redis-server in a folder of its own."""

    def __init__(self, bench, folder, *settings):
        self.port = child_process.free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self._process = Process(
            ["redis-server", "--port", self.port, "--bind", "127.0.0.1",
             "--dir", folder, "--save", "", "--daemonize", "no",
             "--auto-aof-rewrite-percentage", 0, *settings],
            folder / "log")
        try:
            # Answers an error while it loads.
            self.start_s = self._process.wait_until(
                lambda: self.ask("PING") == "+PONG")
        except BaseException:
            self._process.stop()
            raise
        self._bench = bench

    def ask(self, *words):
        """The reply to one command: a status line, or the text of a value."""
        try:
            with socket.create_connection(("127.0.0.1", self.port),
                                          timeout=120) as connection:
                connection.sendall((" ".join(words) + "\r\n").encode())
                reply = connection.makefile("rb")
                line = reply.readline().decode().strip()
                if line.startswith("$"):
                    return reply.read(int(line[1:])).decode()
                return line
        except OSError:
            return ""

    def load(self, mode, depth, clients, hosts=HOSTS):
        return self._bench.program("redis_load", mode, self.port, hosts, depth,
                                   clients)["per_second"]

    def used_memory(self):
        for line in self.ask("INFO", "memory").splitlines():
            if line.startswith("used_memory:"):
                return int(line.split(":")[1])
        raise RuntimeError("Redis does not say its used_memory")


class Etcd(Service):
    """etcd, one member, in a folder of its own."""

    def __init__(self, folder):
        port, peer = child_process.free_port(), child_process.free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self.address = f"127.0.0.1:{port}"
        self._process = Process(
            ["etcd", "--name", "bench", "--data-dir", folder / "data",
             "--listen-client-urls", f"http://{self.address}",
             "--advertise-client-urls", f"http://{self.address}",
             "--listen-peer-urls", f"http://127.0.0.1:{peer}",
             "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
             "--initial-cluster", f"bench=http://127.0.0.1:{peer}",
             "--max-txn-ops", 2000, "--quota-backend-bytes", 4 << 30,
             "--log-level", "error"], folder / "log")
        try:
            self.start_s = self._process.wait_until(self._healthy)
        except BaseException:
            self._process.stop()
            raise

    def _healthy(self):
        return http_ok(f"http://{self.address}/health", '"true"')


def http_ok(url, text=""):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200 and text in answer.read().decode()
    except OSError:
        return False


class Node(Service):
    """A node of the release build, with embedded Kafka clusters beside it."""

    def __init__(self, bench, folder, restore=None, flags=()):
        """With the state of the snapshot `restore`, else empty."""
        self._bench = bench
        self._flags = list(flags)
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        if restore is not None:
            subprocess.run([bench.bin / "kafed", "restore", "--from", restore,
                            "--data-dir", self.folder / "data"], check=True,
                           capture_output=True, timeout=600)
        self._clusters = contextlib.ExitStack()
        self.process = None
        self.server = f"127.0.0.1:{child_process.free_port()}"
        self.http = f"127.0.0.1:{child_process.free_port()}"
        self.start()

    def start(self):
        """Returns the seconds until it is ready for calls."""
        self.process = Process(
            [self._bench.bin / "kafed", "serve", "--data-dir",
             self.folder / "data", "--listen", self.server, "--http-listen",
             self.http, "--log-level", "warning", *self._flags],
            self.folder / "log")
        try:
            if not self.process.line().startswith("listening on "):
                raise RuntimeError(f"the node did not start:\n"
                                   f"{self.process.tail()}")
            return self.process.wait_until(
                lambda: http_ok(f"http://{self.http}/readyz"))
        except BaseException:
            self.process.stop()
            raise

    def restart(self, number=signal.SIGTERM):
        self.process.stop(number)
        return self.start()

    def ctl(self, *arguments, want_json=False):
        done = subprocess.run(
            [str(word) for word in (
                self._bench.bin / "kafedctl", "--server", self.server,
                *(["-o", "json"] if want_json else []), *arguments)],
            capture_output=True, text=True, timeout=600, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"kafedctl {arguments[0]} {arguments[1]}: "
                               f"{done.stderr[-2000:]}")
        return json.loads(done.stdout) if want_json else done.stdout

    def add_cluster(self, name, zone, bootstrap="", admin=""):
        """With an embedded Kafka where no brokers are given."""
        if not bootstrap:
            control = self.folder / f"{name}.sock"
            kafka = self._clusters.enter_context(Process(
                [self._bench.bin / "embedded_kafka", "--brokers", 1,
                 "--control", control], self.folder / f"{name}.log"))
            bootstrap, admin = kafka.line(), f"embedded:{control}"
        self.ctl("cluster", "add", name, "--region", "eu", "--zone", zone,
                 "--bootstrap", bootstrap,
                 *(["--admin", admin] if admin else []))

    def wait_for_kafka(self, timeout=300):
        """Until every Kafka topic that is wanted was made."""
        def ready():
            topics = self.ctl("topic", "list", want_json=True)
            return all(topic["kafka_topics"] == topic["kafka_topics_ready"]
                       for topic in topics)
        deadline = time.monotonic() + timeout
        while not ready():
            if time.monotonic() > deadline:
                raise RuntimeError("Kafka topics are missing")
            time.sleep(0.2)

    def stop(self):
        self.process.stop()
        self._clusters.close()


class Repeated(threading.Thread):
    """Does something again and again until its block ends."""

    def __init__(self, action):
        super().__init__()
        self._action = action
        self._ended = threading.Event()
        self._error = None
        self.times = 0

    def run(self):
        try:
            while not self._ended.is_set():
                self._action(self.times)
                self.times += 1
        except (RuntimeError, OSError) as error:
            self._error = error

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *unused):
        self._ended.set()
        self.join()
        if self._error is not None:
            raise self._error


class Bench:
    """Results, and what several benchmarks share."""

    def __init__(self, bin_folder):
        self.bin = pathlib.Path(bin_folder)
        self.results = {}
        self._stack = contextlib.ExitStack()
        self._shared = {}
        self.folder = None

    def __enter__(self):
        self._stack.enter_context(child_process.ending_on_signals())
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kafed-bench-"))
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        return self

    def __exit__(self, *unused):
        self._stack.close()

    def add(self, name, value, unit, peers=()):
        """`peers` are (name, value); ratio is value / peer's value."""
        self.results[name] = {
            "name": name, "value": float(f"{value:.6g}"), "unit": unit,
            "peers": [{"name": peer, "value": float(f"{other:.6g}"),
                       "ratio": float(f"{value / other:.4g}")}
                      for peer, other in peers]}
        text = "".join(f"; {value / other:.3g} x {peer} ({other:,.6g})"
                       for peer, other in peers)
        say(f"  => {name}: {value:,.6g} {unit}{text}")

    def program(self, name, *arguments):
        """Runs a program that prints one JSON object."""
        done = subprocess.run(
            [str(word) for word in (self.bin / name, *arguments)],
            capture_output=True, text=True, timeout=600, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{name} {' '.join(map(str, arguments))}: "
                               f"{done.stderr[-2000:]}")
        return json.loads(done.stdout)

    def google(self, name, pattern, *flags):
        """Runs benchmarks of a Google Benchmark program; by their names."""
        found = self.program(name, f"--benchmark_filter={pattern}",
                             "--benchmark_format=json", *flags)
        runs = {}
        for run in found["benchmarks"]:
            runs.setdefault(run["run_name"], []).append(run)
        return runs

    def rounds(self, count, parts):
        """Runs the parts in turn, `count` times; the medians by name.

        A part returns a number, or numbers by name.
        """
        seen = {}
        for number in range(count):
            for name, part in parts.items():
                measured = part()
                if not isinstance(measured, dict):
                    measured = {name: measured}
                for key, value in measured.items():
                    seen.setdefault(key, []).append(value)
                say(f"    round {number + 1}: " + ", ".join(
                    f"{key} {value:,.5g}" for key, value in measured.items()))
        return {key: statistics.median(values)
                for key, values in seen.items()}

    def shared(self, name, make):
        """What `make` returns, entered once and left at the end."""
        if name not in self._shared:
            self._shared[name] = self._stack.enter_context(make())
        return self._shared[name]

    def drop(self, name):
        """Ends something shared early, to make room."""
        made = self._shared.pop(name, None)
        if made is not None:
            made.stop()

    # --- what several benchmarks share ---

    def host_file(self):
        """The fleet as CSV: zones 30/30/40."""
        path = self.folder / "hosts.csv"
        if not path.exists():
            with open(path, "w") as out:
                out.write("id,region,zone\n")
                out.writelines(f"host-{i:06d},eu,{ZONES[i % 10]}\n"
                               for i in range(HOSTS))
        return path

    def empty_node(self, folder, topics=300):
        """A node with the 10 sub-clusters and the topic, and no host."""
        node = Node(self, self.folder / folder)
        try:
            for number, zone in enumerate(ZONES):
                node.add_cluster(f"eu-{number}", zone)
            node.ctl("topic", "create", "nca", "--kind", "unicast",
                     "--topics", topics)
        except BaseException:
            node.stop()
            raise
        return node

    def node_1m(self):
        """A node with the fleet."""
        def make():
            node = self.empty_node("node")
            try:
                say("    importing the fleet")
                node.ctl("host", "import", self.host_file())
                node.wait_for_kafka()
            except BaseException:
                node.stop()
                raise
            return node
        return self.shared("node", make)

    def redis_1m(self):
        """A Redis in memory only, with the same table."""
        def make():
            redis = Redis(self, self.folder / "redis")
            self.redis_empty_bytes = redis.used_memory()
            redis.load("set", 1_000, 1)
            return redis
        return self.shared("redis", make)

    def etcd_1m(self):
        """An etcd with the same table."""
        def make():
            folder = self.folder / "etcd"
            if not folder.exists():
                say("    filling etcd")
                with Etcd(folder) as etcd:
                    self.program("rpc_load", "etcd-fill", etcd.address, HOSTS,
                                 4, 1_000)
            # Anew: after many writes etcd 3.4 copies large buffers for each
            # read.
            return Etcd(folder)
        return self.shared("etcd", make)
