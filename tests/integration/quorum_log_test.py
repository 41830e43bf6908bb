"""Runs the quorum_log_test program on real ZooKeeper servers, one and three,
at rest and while servers are killed, stopped and started again.

usage: quorum_log_test.py PROGRAM
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

SUPPORT = pathlib.Path(__file__).resolve().parent.parent / "support"
sys.path.insert(0, str(SUPPORT))
from zookeeper_ensemble import ZooKeeperEnsemble  # noqa: E402 (needs the path)

PROGRAM = None
FAULTS = "UnderFaults.*"


class QuorumLogTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="kafed-quorum-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def start(self, members):
        ensemble = ZooKeeperEnsemble(self.folder, members)
        ensemble.__enter__()
        self.addCleanup(ensemble.__exit__, None, None, None)
        return ensemble

    def program(self, ensemble, test_filter, **pipes):
        child = subprocess.Popen(
            [PROGRAM, f"--gtest_filter={test_filter}"], **pipes, text=True,
            env={**os.environ, "KAFED_ZOOKEEPER": ensemble.servers})

        def end():
            if child.poll() is None:
                child.kill()
                child.wait()

        self.addCleanup(end)
        return child

    def test_one_server(self):
        child = self.program(self.start(1), f"-{FAULTS}")
        self.assertEqual(child.wait(300), 0)

    def test_three_servers(self):
        child = self.program(self.start(3), f"-{FAULTS}")
        self.assertEqual(child.wait(300), 0)

    def under_faults(self, ensemble, faults, members):
        """`members()` names who is killed, at work, in each of `faults`."""
        child = self.program(ensemble, FAULTS, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
        with child.stdin, child.stdout:
            for _ in range(faults):
                self.assert_appends(child)
                member = members()
                ensemble.kill9(member)
                ensemble.restart(member)
                ensemble.wait_ready()
            self.assert_appends(child)
            child.stdin.close()
            output = child.stdout.read()
        self.assertEqual(child.wait(120), 0, output)

    def assert_appends(self, child):
        said = ""
        for line in child.stdout:
            if line.startswith("appended "):
                return
            said += line
        self.fail(f"the program ended:\n{said}")

    def test_a_server_that_is_killed_and_comes_back(self):
        self.under_faults(self.start(1), 3, lambda: 0)

    def test_three_servers_lose_their_leaders(self):
        ensemble = self.start(3)
        self.under_faults(ensemble, 2, ensemble.leader)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2)
