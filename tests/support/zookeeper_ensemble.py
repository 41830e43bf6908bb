"""ZooKeeper servers on loopback: one, or an ensemble of three.

    with ZooKeeperEnsemble(folder, members=3) as ensemble:
        ensemble.servers       "127.0.0.1:20001,127.0.0.1:20002,..."
        ensemble.kill9(0), ensemble.restart(0)

Each server has its own folder, ports and log file below `folder`, and ends
with the block, also on failure.
"""

import pathlib
import signal
import socket
import time

import child_process

# forceSync: what a killed process had written stays, and a disk that is busy
# with something else for seconds must not part the servers.
JAVA = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
        "-Xmx128m", "-Dzookeeper.forceSync=no"]
# A change is on disk before it is acknowledged, as by default. The compiler is
# soon done: else it, not ZooKeeper, is what a benchmark of a minute measures.
SYNCED_JAVA = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
               "-Xmx512m"]
CLASSES = "/usr/share/java/zookeeper.jar"  # of the package zookeeper
POLL_S = 0.05


class ZooKeeperEnsemble:
    def __init__(self, folder, members=1, timeout=60, java=tuple(JAVA)):
        if members not in (1, 3):
            raise ValueError(f"members: 1 or 3, not {members}")
        self._folder = pathlib.Path(folder)
        self._timeout = timeout
        self._java = list(java)
        self._ports = [child_process.free_port() for _ in range(members)]
        self._peers = [(child_process.free_port(), child_process.free_port())
                       for _ in range(members)]
        self._children = [None] * members

    @property
    def servers(self):
        return ",".join(f"127.0.0.1:{port}" for port in self._ports)

    @property
    def members(self):
        return range(len(self._ports))

    def __enter__(self):
        try:
            for member in self.members:
                self._configure(member)
                self.restart(member)
            self.wait_ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        for child in self._children:
            if child is not None and child.poll() is None:
                child.kill()
                child.wait()

    def kill9(self, member):
        self._children[member].kill()
        self._children[member].wait()

    def sigstop(self, member):
        self._children[member].send_signal(signal.SIGSTOP)

    def sigcont(self, member):
        self._children[member].send_signal(signal.SIGCONT)

    def restart(self, member):
        """Starts a server that does not run, with its old port and data."""
        folder = self._folder / f"zookeeper-{member}"
        self._children[member] = child_process.spawn(
            ["java", *self._java, "-cp", f"{folder}:{CLASSES}",
             "org.apache.zookeeper.server.quorum.QuorumPeerMain",
             folder / "zoo.cfg"], folder / "log")

    def wait_ready(self):
        deadline = time.monotonic() + self._timeout
        for member in self.members:
            while not self.mode(member):
                log = self._folder / f"zookeeper-{member}" / "log"
                if self._children[member].poll() is not None:
                    raise RuntimeError(f"ZooKeeper {member} ended: "
                                       + log.read_text()[-2000:])
                if time.monotonic() > deadline:
                    raise RuntimeError(f"ZooKeeper {member} does not serve: "
                                       + log.read_text()[-2000:])
                time.sleep(POLL_S)

    def mode(self, member):
        """standalone, leader or follower; None while it does not serve."""
        try:
            with socket.create_connection(
                    ("127.0.0.1", self._ports[member]), 1) as connection:
                connection.sendall(b"srvr")
                answer = b""
                while more := connection.recv(4096):
                    answer += more
        except OSError:
            return None
        for line in answer.decode(errors="replace").splitlines():
            if line.startswith("Mode: "):
                return line.removeprefix("Mode: ")
        return None

    def leader(self):
        return next(member for member in self.members
                    if self.mode(member) in ("leader", "standalone"))

    def _configure(self, member):
        folder = self._folder / f"zookeeper-{member}"
        (folder / "data").mkdir(parents=True)
        (folder / "data" / "myid").write_text(f"{member + 1}\n")
        lines = [
            "tickTime=500", "initLimit=60", "syncLimit=40",
            "maxSessionTimeout=30000",
            "admin.enableServer=false", "maxClientCnxns=0",
            "4lw.commands.whitelist=*", "clientPortAddress=127.0.0.1",
            f"clientPort={self._ports[member]}", f"dataDir={folder}/data"]
        if len(self._ports) > 1:
            lines += [f"server.{number + 1}=127.0.0.1:{peer}:{election}"
                      for number, (peer, election) in enumerate(self._peers)]
        (folder / "zoo.cfg").write_text("\n".join(lines) + "\n")
