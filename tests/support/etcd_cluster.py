"""etcd servers on loopback: one, or a cluster of three; see QuorumServers.

`options` are more words for each server. `tls`, a (certificate, key) in PEM
files, is what servers and clients show each other, and whom they trust.
"""

import json
import ssl
import time
import urllib.request

import child_process
from quorum_servers import POLL_S, QuorumServers


class EtcdCluster(QuorumServers):
    NAME = "etcd"

    def __init__(self, folder, members=1, timeout=60, options=(),
                 tls=None):
        super().__init__(folder, members, timeout)
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
        self._peers = [child_process.free_port() for _ in range(members)]

    def restart(self, member):
        folder = self.folder_of(member)
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
