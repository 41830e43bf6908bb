"""Credentials by reference, against brokers that demand them.

Apache Kafka with PLAIN, with PLAIN over TLS, and with SCRAM: registered with a
security reference, used by the node and by kafedctl. No password may show up
in a data directory, a log or an answer.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request
import uuid

from kafed_node import BIN, ROOT, Node, child_process

sys.path.insert(0, str(ROOT / "tests" / "support"))
from kafka_cluster import ClusterSpec  # noqa: E402 (needs the path)
from kafka_fleet import Fleet  # noqa: E402

USER = "kafed-node"
KINDS = {"plain": "z1", "tls": "z2", "scram": "z3"}
PATIENCE_S = 60


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True,
                   capture_output=True, timeout=60)


def make_certificates(folder):
    """A CA, and a broker's key with its chain in one PEM file."""
    authority, key = folder / "ca.pem", folder / "broker.key"
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2,
            "-subj", "/CN=kafed test CA", "-keyout", folder / "ca.key", "-out",
            authority)
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=broker",
            "-keyout", key, "-out", folder / "broker.csr")
    names = folder / "names"
    names.write_text("subjectAltName=IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", folder / "broker.csr", "-CA", authority,
            "-CAkey", folder / "ca.key", "-CAcreateserial", "-days", 2,
            "-extfile", names, "-out", folder / "broker.pem")
    chain = folder / "broker.chain.pem"
    chain.write_text(key.read_text() + (folder / "broker.pem").read_text() +
                     authority.read_text())
    return authority, chain


def plain_login(password):
    return ("org.apache.kafka.common.security.plain.PlainLoginModule required "
            f'user_{USER}="{password}";')


class SecurityTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="kafed-test-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.passwords = {kind: f"right-{uuid.uuid4().hex}" for kind in KINDS}
        cls.wrong = f"wrong-{uuid.uuid4().hex}"
        cls.authority, chain = make_certificates(cls.folder)
        scram = (f"SCRAM-SHA-256=[name={USER},"
                 f"password={cls.passwords['scram']}]")
        cls.fleet = Fleet([
            ClusterSpec("plain", "4.4.0", listeners={"DOOR": "SASL_PLAINTEXT"},
                        extra={"sasl.enabled.mechanisms": "PLAIN",
                               "listener.name.door.plain.sasl.jaas.config":
                                   plain_login(cls.passwords["plain"])}),
            ClusterSpec("tls", "4.4.0", listeners={"DOOR": "SASL_SSL"},
                        extra={"sasl.enabled.mechanisms": "PLAIN",
                               "listener.name.door.plain.sasl.jaas.config":
                                   plain_login(cls.passwords["tls"]),
                               "ssl.keystore.type": "PEM",
                               "ssl.keystore.location": chain}),
            ClusterSpec("scram", "3.9.2", listeners={"DOOR": "SASL_PLAINTEXT"},
                        format=["--add-scram", scram],
                        extra={"sasl.enabled.mechanisms": "SCRAM-SHA-256",
                               "listener.name.door.scram-sha-256.sasl.jaas."
                               "config": "org.apache.kafka.common.security."
                               "scram.ScramLoginModule required;"})])
        cls.fleet.__enter__()
        cls.addClassCleanup(cls.fleet.__exit__, None, None, None)

    def setUp(self):
        self.answers = []  # all that kafedctl and the node said
        self.home = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        self.secrets = self.home / "secrets"
        self.secrets.mkdir()
        http = child_process.free_port()
        self.metrics = f"http://127.0.0.1:{http}/metrics"
        self.node = Node(self.home / "node", "--secrets-dir", self.secrets,
                         "--log-level", "debug", http=f"127.0.0.1:{http}")
        self.addCleanup(self.node.stop)

    def write_credentials(self, kind, password=None, folder=None):
        lines = {
            "security.protocol":
                "SASL_SSL" if kind == "tls" else "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-256" if kind == "scram" else "PLAIN",
            "sasl.username": USER,
            "sasl.password": password or self.passwords[kind]}
        if kind == "tls":
            lines["ssl.ca.location"] = self.authority
        ((folder or self.secrets) / f"{kind}-login").write_text(
            "# of a test\n" + "".join(f"{k} = {v}\n"
                                      for k, v in lines.items()))

    def ctl(self, *words, code=0, stdin=""):
        done = subprocess.run(
            [BIN / "kafedctl", "--server", self.node.address,
             *map(str, words)], input=stdin, capture_output=True, text=True,
            timeout=120, env={**os.environ, "KAFED_SERVER": ""})
        self.answers.append(done.stdout + done.stderr)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + (done.stderr if code else "")

    def add_cluster(self, kind):
        self.ctl("cluster", "add", kind, "--region", "eu", "--zone",
                 KINDS[kind], "--bootstrap", self.fleet[kind].listener("DOOR"),
                 "--security-ref", f"{kind}-login")

    def wait_until(self, kind, wanted):
        """Until what `cluster describe` says has all of the words."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            said = self.ctl("cluster", "describe", kind)
            if all(word in said for word in wanted):
                return said
            self.assertLess(time.monotonic(), deadline,
                            f"{wanted} not in:\n{said}\n{self.node.log()}")
            time.sleep(0.1)

    def assert_no_password_shows(self):
        self.ctl("status")
        self.ctl("cluster", "list", "-o", "json")
        self.ctl("events", "--from", "0", "-o", "json")
        self.ctl("snapshot", "save", self.home / "node" / "saved")
        with urllib.request.urlopen(self.metrics, timeout=20) as answer:
            self.answers.append(answer.read().decode())
        self.node.stop()
        texts = {"answers": "\n".join(self.answers).encode()}
        for path in (self.home / "node").rglob("*"):
            if path.is_file():
                texts[str(path)] = path.read_bytes()
        # The references are there, so a password would have been found.
        self.assertTrue(any(b"-login" in text for name, text in texts.items()
                            if "/data/" in name), list(texts))
        for password in [*self.passwords.values(), self.wrong]:
            for name, text in texts.items():
                self.assertNotIn(password.encode(), text, name)

    def test_credentials_of_a_reference_are_used_by_node_and_clients(self):
        for kind in KINDS:
            self.write_credentials(kind)
            self.add_cluster(kind)
        for kind in KINDS:
            self.wait_until(kind, ["active", self.fleet[kind].cluster_id])
        self.ctl("topic", "create", "login", "--kind", "unicast",
                 "--partitions-per-topic", "3")
        hosts = self.home / "hosts.csv"
        hosts.write_text("id,region,zone\n" + "".join(
            f"{kind}-host,eu,{zone}\n" for kind, zone in KINDS.items()))
        self.ctl("host", "import", hosts)
        self.node.wait_until_ready()
        for kind in KINDS:
            route = json.loads(self.ctl("-o", "json", "route",
                                        f"login/{kind}-host"))
            self.assertIn(f'"{kind}-login"', json.dumps(route))
            self.ctl("produce", f"login/{kind}-host", "--secrets-dir",
                     self.secrets, stdin=f"hello {kind}\n")
            read = self.ctl("consume", f"login/{kind}-host", "-e", "-o",
                            "beginning", "--secrets-dir", self.secrets)
            self.assertEqual(read.splitlines(), [f"hello {kind}"])
        self.assert_no_password_shows()

    def test_a_wrong_password_is_named_and_mended_without_a_restart(self):
        for kind in KINDS:
            self.write_credentials(kind, self.wrong)
            self.add_cluster(kind)
        for kind in KINDS:
            said = self.wait_until(kind, ["pending (", "uthentication"])
            self.assertIn(f"{kind}-login", said)
        for kind in KINDS:
            self.write_credentials(kind)
        for kind in KINDS:
            self.wait_until(kind, ["active", self.fleet[kind].cluster_id])
        self.assert_no_password_shows()

    def test_a_client_without_the_password_writes_and_reads_nothing(self):
        self.write_credentials("plain")
        self.add_cluster("plain")
        self.ctl("topic", "create", "client", "--kind", "unicast",
                 "--partitions-per-topic", "2")
        self.ctl("host", "add", "h0", "--region", "eu")
        self.node.wait_until_ready()
        elsewhere = self.home / "client"
        elsewhere.mkdir()
        said = self.ctl("--timeout", "4s", "consume", "client/h0", "-e",
                        code=1)
        no_folder = "security_ref: 'plain-login' is set"
        self.assertIn(no_folder, said)
        self.write_credentials("plain", self.wrong, elsewhere)
        for secrets, why in (([], no_folder),
                             (["--secrets-dir", elsewhere],
                              "uthentication failed")):
            said = self.ctl("--timeout", "4s", "produce", "client/h0", *secrets,
                            code=1, stdin="lost\n")
            self.assertIn("0 of 1 messages acknowledged", said)
            self.assertRegex(said, f"1 of 1 messages failed: .*{why}")
        said = self.ctl("--timeout", "4s", "consume", "client/h0", "-e",
                        "--secrets-dir", elsewhere, code=1)
        self.assertIn("uthentication failed", said)
        read = self.ctl("consume", "client/h0", "-e", "-o", "beginning",
                        "--secrets-dir", self.secrets)
        self.assertEqual(read, "")
        self.assert_no_password_shows()

    def test_a_missing_file_is_named(self):
        self.add_cluster("plain")
        self.wait_until("plain", ["pending (", str(self.secrets),
                                  "plain-login", "No such file"])
        self.write_credentials("plain")
        self.wait_until("plain", ["active"])
        self.assert_no_password_shows()


if __name__ == "__main__":
    unittest.main(verbosity=2)
