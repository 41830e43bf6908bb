"""Real clusters of each kind start, carry a message, fail and come back."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import kafka_wire  # noqa: E402 (needs the path)
from kafka_cluster import ClusterSpec  # noqa: E402
from kafka_fleet import Fleet  # noqa: E402


def carry(bootstrap, topic, text):
    """Produces one message with kcat and returns what kcat then reads."""
    subprocess.run(["kcat", "-P", "-b", bootstrap, "-t", topic, "-p", "0"],
                   input=text.encode(), check=True, timeout=60)
    out = subprocess.run(
        ["kcat", "-C", "-q", "-b", bootstrap, "-t", topic, "-p", "0", "-o",
         "beginning", "-e"], check=True, timeout=60, stdout=subprocess.PIPE)
    return out.stdout.decode().strip()


def is_running(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


def wait_until(condition, timeout=30.0):
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


class KafkaFleetTest(unittest.TestCase):

    def test_each_kind_carries_a_message(self):
        specs = [ClusterSpec("new", "4.4.0"), ClusterSpec("old", "3.9.2"),
                 ClusterSpec("zk", "3.9.2", mode="zookeeper")]
        with Fleet(specs) as fleet:
            ids = set()
            for name, cluster in fleet.clusters.items():
                with self.subTest(name):
                    cluster.create_topic("t.g1.0", 2)
                    self.assertTrue(wait_until(lambda c=cluster: len(
                        kafka_wire.metadata(c.address(1), topics=True)
                        .topics.get("t.g1.0", {})) == 2))
                    with self.assertRaises(kafka_wire.KafkaError):
                        cluster.create_topic("t.g1.0", 2)
                    self.assertEqual(
                        carry(cluster.bootstrap, "t.g1.0", f"hello {name}"),
                        f"hello {name}")
                    ids.add(cluster.cluster_id)
            self.assertEqual(len(ids - {None}), 3)
            pids = [cluster.pid(1) for cluster in fleet.clusters.values()]
            folder = fleet.folder
        self.assertFalse(any(is_running(pid) for pid in pids))
        self.assertFalse(folder.exists())

    def test_three_brokers_survive_one(self):
        with Fleet([ClusterSpec("three", "4.4.0", nodes=3)]) as fleet:
            cluster = fleet["three"]
            cluster.create_topic("t.g1.0")
            cluster.kill9(3)
            self.assertEqual(carry(cluster.bootstrap, "t.g1.0", "two left"),
                             "two left")
            cluster.restart(3)
            cluster.wait_ready()
            cluster.sigstop(2)
            self.assertTrue(is_running(cluster.pid(2)))
            cluster.sigcont(2)
            cluster.wait_ready()

    def test_nothing_is_left_behind(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            with self.subTest(number), tempfile.TemporaryDirectory() as tmp:
                program = subprocess.Popen(
                    [sys.executable, HERE / "kafka_fleet.py", "--cluster",
                     "z=3.9.2:zookeeper"], stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE, text=True,
                    env={**os.environ, "TMPDIR": tmp})
                try:
                    self.assertIn('"bootstrap"', program.stdout.readline())
                    program.stdin.write("stop z 1\ncont z 1\nwait z\n")
                    program.stdin.flush()
                    for expected in ('"ok"', '"ok"', '"pids"'):
                        self.assertIn(expected, program.stdout.readline())
                    children = self.children_of(program.pid)
                    self.assertEqual(len(children), 2)
                    program.send_signal(number)
                    program.wait(60)
                finally:
                    program.kill()
                    program.wait()
                    program.stdin.close()
                    program.stdout.close()
                for pid in children:
                    self.assertTrue(
                        wait_until(lambda p=pid: not is_running(p)))

    @staticmethod
    def children_of(pid):
        text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(word) for word in text.split()]

    def test_refuses_what_cannot_be(self):
        with self.assertRaisesRegex(ValueError, "zookeeper needs Kafka 3"):
            ClusterSpec("a", "4.4.0", mode="zookeeper")
        with self.assertRaisesRegex(ValueError, "nodes: 1 or 3"):
            ClusterSpec("a", "4.4.0", nodes=2)
        with self.assertRaisesRegex(FileNotFoundError, "setup.sh kafka"):
            Fleet([ClusterSpec("a", "0.0.1")], folder=os.devnull)


if __name__ == "__main__":
    unittest.main(verbosity=2)
