"""A node that dies at every point of the write path, and at random ones.

The failpoints also drop what was not synced (common/failpoint.h): kill -9
alone would leave it in the page cache. After each death the data directory is
verified offline, the node starts again, and everything that was acknowledged
must be there; what was not, asked again with the same request id, must end in
the same state. A planted bug must be found by the same check.
"""

import os
import random
import subprocess
import tempfile
import threading
import unittest

from kafed_node import BIN, Node, admin_pb2, grpc, options, types_pb2

POINTS = [
    "store.write.before", "store.sync.before", "store.sync.after",
    "store.write.after", "writer.append.before", "writer.publish.before",
    "writer.publish.after", "writer.reply", "snapshot.piece",
    "snapshot.publish.before", "snapshot.publish.after", "store.trim.between",
]
WRITERS = 4
GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.CANCELLED)
# Snapshots and trims every few entries, so that their points are reached.
FLAGS = ["--snapshot-every-entries", "15", "--history-entries", "5"]


class Load:
    """Adds hosts and VPC members until the node is gone; keeps the score."""

    def __init__(self, node, name):
        self.admin = node.admin
        self.name = name
        self.lock = threading.Lock()
        self.acknowledged = []  # hosts
        self.open = []          # requests whose outcome is not known
        self.errors = []        # that no death explains
        self.threads = [threading.Thread(target=self._write, args=(i,))
                        for i in range(WRITERS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *unused):
        for thread in self.threads:
            thread.join()

    def _write(self, writer):
        for number in range(10_000):
            hosts = [f"{self.name}-{writer}-{number}-{i}" for i in range(3)]
            request = admin_pb2.ImportHostsRequest(
                options=options(), total=len(hosts), hosts=[
                    types_pb2.HostSpec(id=host, region="eu")
                    for host in hosts])
            try:
                list(self.admin.ImportHosts(iter([request]), timeout=20))
                with self.lock:
                    self.acknowledged += hosts
            except grpc.RpcError as error:
                with self.lock:
                    self.open.append((request, hosts))
                    if error.code() not in GONE:
                        self.errors.append(error.details())
                return


class CrashTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="kafed-crash-")
        self.addCleanup(folder.cleanup)
        self.node = Node(folder.name, *FLAGS)
        self.addCleanup(self.node.stop)
        self.node.add_cluster("a", "127.0.0.1:1")
        self.node.create_topic("nca", "UNICAST", partitions_per_topic=500)
        self.expected = set()

    def restart(self, **environment):
        """Starts the node with failpoints; dies in the start at worst."""
        os.environ.update(environment)
        try:
            self.node.start()
            return True
        except RuntimeError:
            self.node.process.wait()
            self.node.process.stdout.close()
            return False
        finally:
            for name in environment:
                del os.environ[name]

    def reap(self):
        self.node.process.wait(timeout=60)
        self.node.process.stdout.close()
        self.node.channel.close()

    def verify(self):
        return subprocess.run(
            [BIN / "kafed", "verify", "--data-dir", self.node.folder / "data"],
            capture_output=True, text=True, check=False)

    def hosts(self):
        found, token = set(), ""
        while True:
            page = self.node.admin.ListHosts(admin_pb2.ListHostsRequest(
                page_size=10_000, page_token=token))
            found |= {status.host.id for status in page.hosts}
            token = page.next_page_token
            if not token:
                return found

    def check(self, load, where):
        """Everything acknowledged is there; the rest can be asked again."""
        verified = self.verify()
        self.assertEqual(verified.returncode, 0,
                         f"{where}: {verified.stdout}{verified.stderr}")
        self.node.start()
        self.expected |= set(load.acknowledged)
        found = self.hosts()
        self.assertLessEqual(self.expected, found,
                             f"{where}: lost what was acknowledged")
        for request, hosts in load.open:
            list(self.node.admin.ImportHosts(iter([request])))
            self.expected |= set(hosts)
        self.assertEqual(self.hosts(), self.expected,
                         f"{where}: holds what nobody asked for")

    def die_at(self, point, count):
        self.node.stop()
        where = f"{point}:{count}"
        alive = self.restart(KAFED_FAILPOINT=where)
        load = Load(self.node, where)
        if alive:
            with load:
                pass
            self.assertEqual(load.errors, [], where)
            self.reap()
        self.assertEqual(self.node.process.returncode, -9, self.node.log())
        self.check(load, where)

    def test_nothing_acknowledged_is_lost_at_any_failpoint(self):
        seed = int.from_bytes(os.urandom(4), "big")
        print(f"seed {seed}", flush=True)
        draw = random.Random(seed)
        for point in POINTS:
            for count in (1, draw.randint(2, 6)):
                self.die_at(point, count)
        print(f"{2 * len(POINTS)} deaths, {len(self.expected)} hosts")

    def test_nothing_acknowledged_is_lost_by_kill_9_at_random(self):
        seed = int.from_bytes(os.urandom(4), "big")
        print(f"seed {seed}", flush=True)
        draw = random.Random(seed)
        for round_number in range(8):
            load = Load(self.node, f"random-{round_number}")
            timer = threading.Timer(draw.uniform(0.01, 0.4),
                                    lambda: self.node.signal(9))
            with load:
                timer.start()
            timer.join()
            self.reap()
            self.check(load, f"round {round_number}")

    def test_a_node_that_acknowledges_before_it_syncs_is_found_out(self):
        found_out = []
        for count in (20, 40, 60):
            self.node.stop()
            alive = self.restart(KAFED_FAILPOINT=f"writer.reply:{count}",
                                 KAFED_PLANT="ack_before_sync")
            self.assertTrue(alive, self.node.log())
            load = Load(self.node, f"planted-{count}")
            with load:
                pass
            self.reap()
            if self.verify().returncode != 0:
                found_out.append("verify")
                break
            self.node.start()
            if not set(load.acknowledged) <= self.hosts():
                found_out.append("lost hosts")
                break
        self.assertTrue(found_out, "the planted bug was not found")


if __name__ == "__main__":
    unittest.main(verbosity=2)
