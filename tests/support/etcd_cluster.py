"""etcd servers on loopback: one, or a cluster of three.

    with EtcdCluster(folder, members=3) as cluster:
        cluster.servers       "127.0.0.1:20001,127.0.0.1:20002,..."
        cluster.kill9(0), cluster.restart(0)

Each server has its own folder, ports and log file below `folder`, and ends
with the block, also on failure. `options` are more words for each server.
`tls`, a (certificate, key) in PEM files, is what servers and clients show each
other, and whom they trust.
"""

import json
import pathlib
import signal
import ssl
import time
import urllib.request

import child_process

POLL_S = 0.05


class EtcdCluster:
    def __init__(self, folder, members=1, timeout=60, options=(),
                 tls=None):
        if members not in (1, 3):
            raise ValueError(f"members: 1 or 3, not {members}")
        self._folder = pathlib.Path(folder)
        self._timeout = timeout
        self._options = list(options)
        self._scheme, self._context = "http", None
        if tls is not None:
            certificate, key = tls
            self._scheme = "https"
            self._context = ssl.create_default_context(cafile=certificate)
            self._context.load_cert_chain(certificate, key)
            self._options += [
                "--cert-file", certificate, "--key-file", key,
                "--trusted-ca-file", certificate, "--client-cert-auth"]
        self._ports = [child_process.free_port() for _ in range(members)]
        self._peers = [child_process.free_port() for _ in range(members)]
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
        """Starts a server that does not run, with its old ports and data."""
        folder = self._folder / f"etcd-{member}"
        folder.mkdir(parents=True, exist_ok=True)
        client = f"{self._scheme}://127.0.0.1:{self._ports[member]}"
        peers = [f"http://127.0.0.1:{port}" for port in self._peers]
        everybody = ",".join(f"m{number}={peer}"
                             for number, peer in enumerate(peers))
        # The election's time: a machine that is busy must not part them.
        self._children[member] = child_process.spawn(
            ["etcd", "--name", f"m{member}", "--data-dir", folder / "data",
             "--listen-client-urls", client,
             "--advertise-client-urls", client,
             "--listen-peer-urls", peers[member],
             "--initial-advertise-peer-urls", peers[member],
             "--initial-cluster", everybody, "--heartbeat-interval", 100,
             "--election-timeout", 2000, "--log-level", "warn",
             *self._options], folder / "log")

    def wait_ready(self):
        deadline = time.monotonic() + self._timeout
        for member in self.members:
            while not self.healthy(member):
                log = self._folder / f"etcd-{member}" / "log"
                if self._children[member].poll() is not None:
                    raise RuntimeError(f"etcd {member} ended: "
                                       + log.read_text()[-2000:])
                if time.monotonic() > deadline:
                    raise RuntimeError(f"etcd {member} does not serve: "
                                       + log.read_text()[-2000:])
                time.sleep(POLL_S)

    def healthy(self, member):
        """Whether the server answers and knows a leader."""
        try:
            return self.ask(member, "/health").get("health") == "true"
        except OSError:
            return False

    def leader(self):
        deadline = time.monotonic() + self._timeout
        while time.monotonic() < deadline:
            for member in self.members:
                try:
                    status = self.ask(member, "/v3/maintenance/status", {})
                except OSError:
                    continue
                if status["leader"] == status["header"]["member_id"]:
                    return member
            time.sleep(POLL_S)
        raise RuntimeError("no etcd server leads")

    def compact(self):
        """Forgets every revision but the newest, as operators let etcd do."""
        found = self.ask(0, "/v3/kv/range", {"key": "AA=="})
        self.ask(0, "/v3/kv/compaction",
                  {"revision": found["header"]["revision"],
                   "physical": True})

    def ask(self, member, path, question=None):
        """The answer of etcd's HTTP gateway."""
        body = None if question is None else json.dumps(question).encode()
        with urllib.request.urlopen(
                f"{self._scheme}://127.0.0.1:{self._ports[member]}{path}",
                body, 5, context=self._context) as answer:
            return json.load(answer)
