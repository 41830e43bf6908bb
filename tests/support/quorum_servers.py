"""Servers of a quorum on loopback, one or three: what EtcdCluster and
ZooKeeperEnsemble have in common.

    with ...(folder, members=3) as servers:
        servers.servers       "127.0.0.1:20001,127.0.0.1:20002,..."
        servers.kill9(0), servers.restart(0)

Each server has its own folder, ports and log file below `folder`, and ends
with the block, also on failure. A kind of servers has a NAME, and says how one
is started and whether it serves.
"""

import pathlib
import signal
import time

import child_process

POLL_S = 0.05


class QuorumServers:
    NAME = None

    def __init__(self, folder, members, timeout):
        if members not in (1, 3):
            raise ValueError(f"members: 1 or 3, not {members}")
        self._folder = pathlib.Path(folder)
        self._timeout = timeout
        self._ports = [child_process.free_port() for _ in range(members)]
        self._children = [None] * members

    def restart(self, member):
        """Starts a server that does not run, with its old ports and data."""
        raise NotImplementedError

    def healthy(self, member):
        """Whether the server answers and is one of a quorum."""
        raise NotImplementedError

    @property
    def servers(self):
        return ",".join(f"127.0.0.1:{port}" for port in self._ports)

    @property
    def members(self):
        return range(len(self._ports))

    def folder_of(self, member):
        return self._folder / f"{self.NAME.lower()}-{member}"

    def __enter__(self):
        try:
            for member in self.members:
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

    def wait_ready(self):
        deadline = time.monotonic() + self._timeout
        for member in self.members:
            while not self.healthy(member):
                if self._children[member].poll() is not None:
                    self._fail(member, "ended")
                if time.monotonic() > deadline:
                    self._fail(member, "does not serve")
                time.sleep(POLL_S)

    def _fail(self, member, what):
        log = (self.folder_of(member) / "log").read_text()
        raise RuntimeError(f"{self.NAME} {member} {what}: {log[-2000:]}")
