"""ZooKeeper servers on loopback: one, or an ensemble of three; see
QuorumServers.
"""

import socket

import child_process
from quorum_servers import QuorumServers

# forceSync: what a killed process had written stays, and a disk that is busy
# with something else for seconds must not part the servers.
JAVA = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
        "-Xmx128m", "-Dzookeeper.forceSync=no"]
# A change is on disk before it is acknowledged, as by default. The compiler is
# soon done: else it, not ZooKeeper, is what a benchmark of a minute measures.
SYNCED_JAVA = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
               "-Xmx512m"]
CLASSES = "/usr/share/java/zookeeper.jar"  # of the package zookeeper


class ZooKeeperEnsemble(QuorumServers):
    NAME = "ZooKeeper"

    def __init__(self, folder, members=1, timeout=60, java=tuple(JAVA)):
        super().__init__(folder, members, timeout)
        self._java = list(java)
        self._peers = [(child_process.free_port(), child_process.free_port())
                       for _ in range(members)]

    def restart(self, member):
        folder = self.folder_of(member)
        if not (folder / "zoo.cfg").exists():
            self._configure(member)
        self._children[member] = child_process.spawn(
            ["java", *self._java, "-cp", f"{folder}:{CLASSES}",
             "org.apache.zookeeper.server.quorum.QuorumPeerMain",
             folder / "zoo.cfg"], folder / "log")

    def healthy(self, member):
        return self.mode(member) is not None

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
        folder = self.folder_of(member)
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
