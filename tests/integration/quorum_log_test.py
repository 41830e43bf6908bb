"""Runs the quorum_log_test program on real ZooKeeper and etcd servers, one and
three, at rest and while servers are killed, stopped and started again, or their
replies are lost.

usage: quorum_log_test.py PROGRAM [TEST...]
"""

import base64
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

SUPPORT = pathlib.Path(__file__).resolve().parent.parent / "support"
sys.path.insert(0, str(SUPPORT))
from etcd_cluster import EtcdCluster  # noqa: E402 (needs the path)
from lossy_relay import LossyRelay  # noqa: E402
from zookeeper_ensemble import ZooKeeperEnsemble  # noqa: E402

PROGRAM = None
FAULTS = "UnderFaults.*"


class ProgramTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="kafed-quorum-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def begin(self, context):
        entered = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return entered

    def program(self, test_filter, environment, **pipes):
        child = subprocess.Popen(
            [PROGRAM, f"--gtest_filter={test_filter}"], **pipes, text=True,
            env={**os.environ, **environment})

        def end():
            if child.poll() is None:
                child.kill()
                child.wait()

        self.addCleanup(end)
        return child

    def assert_says(self, child, line_start):
        said = ""
        for line in child.stdout:
            if line.startswith(line_start):
                return
            said += line
        self.fail(f"the program ended:\n{said}")


class QuorumTests:
    """What holds whichever servers these are."""
    SERVERS = None  # the name of the environment's variable
    OTHERS = None   # tests of other servers

    def start(self, members):
        raise NotImplementedError

    def at_rest(self, members):
        servers = self.start(members).servers
        child = self.program(f"-{FAULTS}:{self.OTHERS}",
                             {self.SERVERS: servers})
        self.assertEqual(child.wait(300), 0)

    def test_one_server(self):
        self.at_rest(1)

    def test_three_servers(self):
        self.at_rest(3)

    def under_faults(self, servers, faults, fault, environment=None):
        """Runs `fault()` so many times while entries are appended; how many
        outcomes were unknown."""
        child = self.program(FAULTS,
                             {self.SERVERS: servers, **(environment or {})},
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with child.stdin, child.stdout:
            for _ in range(faults):
                self.assert_says(child, "appended ")
                fault()
            self.assert_says(child, "appended ")
            child.stdin.close()
            output = child.stdout.read()
        self.assertEqual(child.wait(120), 0, output)
        return int(re.search(r"unknown outcomes: (\d+)", output)[1])

    def killing(self, quorum, member):
        def fault():
            victim = member()
            quorum.kill9(victim)
            quorum.restart(victim)
            quorum.wait_ready()
        return fault

    def test_a_server_that_is_killed_and_comes_back(self):
        quorum = self.start(1)
        self.under_faults(quorum.servers, 3, self.killing(quorum, lambda: 0))

    def test_three_servers_lose_their_leaders(self):
        quorum = self.start(3)
        self.under_faults(quorum.servers, 2,
                          self.killing(quorum, quorum.leader))

    def test_replies_that_are_lost(self):
        relay = self.begin(LossyRelay(self.start(1).servers))
        unknown = self.under_faults(relay.address, 5, relay.lose_replies)
        # What was lost may have been another reply now and then.
        self.assertGreaterEqual(unknown, 1)


class ZooKeeperTest(QuorumTests, ProgramTest):
    SERVERS = "KAFED_ZOOKEEPER"
    OTHERS = "Etcd*"

    def start(self, members):
        return self.begin(ZooKeeperEnsemble(self.folder, members))


class EtcdTest(QuorumTests, ProgramTest):
    SERVERS = "KAFED_ETCD"
    OTHERS = "ZooKeeper*:EtcdDriven.*"

    def start(self, members, **settings):
        return self.begin(EtcdCluster(self.folder, members, **settings))

    def driven(self, test, cluster, environment=None, **pipes):
        return self.program(
            f"EtcdDriven.{test}",
            {self.SERVERS: cluster.servers, **(environment or {})}, **pipes)

    def test_a_leader_that_is_stopped_is_passed_over(self):
        cluster = self.start(3)

        def fault():
            leader = cluster.leader()
            cluster.sigstop(leader)
            self.addCleanup(cluster.sigcont, leader)

        self.under_faults(cluster.servers, 1, fault)

    def test_compaction_disturbs_nobody(self):
        cluster = self.start(1)
        self.under_faults(cluster.servers, 5, cluster.compact)

    def test_the_office_of_a_killed_holder_is_inherited(self):
        cluster = self.start(1)
        holder = self.driven("HoldsAnOffice", cluster, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
        with holder.stdin, holder.stdout:
            self.assert_says(holder, "holds the office")
            heir = self.driven("InheritsAnOffice", cluster,
                               stdout=subprocess.PIPE)
            with heir.stdout:
                self.assert_says(heir, "waits for the office")
                holder.kill()
                output = heir.stdout.read()
        self.assertEqual(heir.wait(60), 0, output)

    def test_space_that_is_used_up(self):
        cluster = self.start(
            1, options=("--quota-backend-bytes", 4 << 20))
        child = self.driven("KeepsWhatWasAcknowledgedWhenSpaceIsUsedUp",
                            cluster)
        self.assertEqual(child.wait(120), 0)

    def test_tls_with_certificates_on_both_sides(self):
        certificate = f"{self.folder}/certificate.pem"
        key = f"{self.folder}/key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
             "-days", "2", "-subj", "/CN=kafed test", "-addext",
             "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out",
             certificate], check=True, capture_output=True, timeout=60)
        cluster = self.start(1, tls=(certificate, key))
        child = self.driven("ShowsItsCertificate", cluster,
                            {"KAFED_ETCD_CA": certificate,
                             "KAFED_ETCD_CERTIFICATE": certificate,
                             "KAFED_ETCD_KEY": key})
        self.assertEqual(child.wait(120), 0)

    def test_a_user_with_a_password(self):
        cluster = self.start(1)

        def encoded(key):
            return base64.b64encode(key.encode()).decode()

        for path, question in (
                ("user/add", {"name": "root", "password": "root"}),
                ("role/add", {"name": "root"}),
                ("user/grant", {"user": "root", "role": "root"}),
                ("user/add", {"name": "kafed", "password": "secret"}),
                ("role/add", {"name": "kafed"}),
                ("role/grant", {"name": "kafed", "perm": {
                    "permType": "READWRITE", "key": encoded("/kafed-test/"),
                    "range_end": encoded("/kafed-test0")}}),
                ("user/grant", {"user": "kafed", "role": "kafed"}),
                ("enable", {})):
            cluster.ask(0, f"/v3/auth/{path}", question)
        user = {"KAFED_ETCD_USER": "kafed", "KAFED_ETCD_PASSWORD": "secret"}
        child = self.driven("ShowsItsPassword", cluster, user)
        self.assertEqual(child.wait(120), 0)
        # A server that begins again does not know the tokens it has given.
        self.under_faults(cluster.servers, 1,
                          self.killing(cluster, lambda: 0), user)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2)
