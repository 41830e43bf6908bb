"""A disk that is really full: refused cleanly, served on, mended by itself.

The node's data directory is a small filesystem that another file fills. What
was acknowledged must be there afterwards, what was refused must not, also
after kill -9; routes, reads, leases and followers go on meanwhile.
"""

import pathlib
import re
import secrets
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import small_disk  # noqa: E402 (needs the path)

small_disk.own_mounts()
from kafed_node import (BIN, Node, admin_pb2, grpc, options,  # noqa: E402
                        routing_pb2, types_pb2)

MEGABYTES = 96
BATCH = 100  # hosts of one change
SNAPSHOT_EVERY = 10  # entries
LABELS = 8   # of each, incompressible: the write-ahead file is used up soon
PATIENCE_S = 60
# A change that waited for the disk would last until its own deadline.
CALL_S = 30


class Session(threading.Thread):
    """A producer's session: renews its lease and counts the renewals."""

    def __init__(self, node):
        super().__init__(daemon=True)
        now = int(time.time() * 1000)
        opened = node.routing.OpenSession(routing_pb2.OpenSessionRequest(
            source=bytes(range(16)), name="session", client_time_ms=now))
        self._asked = threading.Semaphore(1)
        self._ended = False
        self.renewals = 0
        self.error = None
        self._call = node.routing.Follow(self._requests(opened, now))
        self.start()

    def _requests(self, opened, now):
        yield routing_pb2.FollowRequest(
            session_id=opened.session_id, client_time_ms=now,
            position=types_pb2.Position())
        while self._asked.acquire() and not self._ended:
            yield routing_pb2.FollowRequest(
                session_id=opened.session_id, client_time_ms=now,
                lease_request=self.renewals + 1)

    def run(self):
        try:
            for response in self._call:
                if response.lease_request == self.renewals + 1:
                    self.renewals += 1
                    self._asked.release()
        except grpc.RpcError as error:
            self.error = error

    def close(self):
        self._ended = True
        self._asked.release()
        self._call.cancel()
        self.join()


class DiskFullTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="kafed-disk-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.data = self.folder / "node" / "data"
        self.disk = small_disk.SmallDisk(self.data, MEGABYTES)
        self.addCleanup(self.disk.close)
        self.acknowledged = set()
        self.changes = 0

    def start_node(self, *flags, floor):
        self.node = Node(self.folder / "node", *flags, floor=floor,
                         http="127.0.0.1:0")
        self.addCleanup(lambda: self.node.stop())
        self.node.add_cluster("a", "127.0.0.1:1")
        self.node.create_topic("nca", "UNICAST", partitions_per_topic=500)
        self.node.create_vpc("v")
        self.change()

    def change(self):
        """One acknowledged change, or the error of one that was refused."""
        hosts = [f"h-{self.changes}-{i}" for i in range(BATCH)]
        self.changes += 1
        request = admin_pb2.ImportHostsRequest(
            options=options(), total=len(hosts), hosts=[
                types_pb2.HostSpec(id=host, region="eu", labels={
                    f"l{i}": secrets.token_urlsafe(90) for i in range(LABELS)})
                for host in hosts])
        try:
            list(self.node.admin.ImportHosts(iter([request]), timeout=CALL_S))
        except grpc.RpcError as error:
            return error
        self.acknowledged.update(hosts)
        return None

    def change_until_refused(self):
        """What the write-ahead file holds already is used up first."""
        deadline = time.monotonic() + PATIENCE_S
        while (error := self.change()) is None:
            self.assertLess(time.monotonic(), deadline, "never refused")
        return error

    def change_until_taken(self):
        deadline = time.monotonic() + PATIENCE_S
        while (error := self.change()) is not None:
            self.assert_refused(error)
            self.assertLess(time.monotonic(), deadline, error.details())
            time.sleep(0.05)

    def assert_refused(self, error):
        self.assertEqual(error.code(), grpc.StatusCode.RESOURCE_EXHAUSTED,
                         f"{error.details()}\n{self.node.log()}")
        self.assertIn(f"data directory {self.data} ", error.details())

    def hosts(self):
        found, token = set(), ""
        while True:
            page = self.node.admin.ListHosts(admin_pb2.ListHostsRequest(
                page_size=10_000, page_token=token), timeout=CALL_S)
            found |= {status.host.id for status in page.hosts}
            token = page.next_page_token
            if not token:
                return found

    def position(self):
        return self.node.admin.Status(admin_pb2.StatusRequest()).position.index

    def assert_goes_on(self, session):
        """Everything but changes, and every change is refused."""
        before = self.position()
        renewals = session.renewals
        admin, routing = self.node.admin, self.node.routing
        for call in (
                lambda: admin.CreateVpc(admin_pb2.CreateVpcRequest(
                    options=options(), id="w", region="eu"), timeout=CALL_S),
                lambda: admin.RemoveHosts(admin_pb2.RemoveHostsRequest(
                    options=options(), ids=["h-0-0"]), timeout=CALL_S),
                lambda: admin.AddVpcHosts(admin_pb2.AddVpcHostsRequest(
                    options=options(), vpc="v", hosts=["h-0-1"]),
                    timeout=CALL_S),
                lambda: routing.OpenSession(routing_pb2.OpenSessionRequest(
                    source=bytes(range(1, 17)), name="another",
                    client_time_ms=int(time.time() * 1000)), timeout=CALL_S)):
            with self.assertRaises(grpc.RpcError) as caught:
                call()
            self.assert_refused(caught.exception)
        self.assertEqual(self.hosts(), self.acknowledged)
        self.assertEqual([r.error_code for r in self.node.route(
            "nca/h-0-0", "nca/h-0-1")], [0, 0])
        follower = routing.Follow(iter([routing_pb2.FollowRequest(
            position=types_pb2.Position())]))
        next(follower)
        follower.cancel()
        entry = next(self.node.events.Read(self.read_all()))
        self.assertEqual(entry.header.position.index, 1)
        self.assertEqual(self.position(), before)
        deadline = time.monotonic() + PATIENCE_S
        while session.renewals < renewals + 3:
            self.assertIsNone(session.error)
            self.assertLess(time.monotonic(), deadline, "no lease")
            time.sleep(0.01)

    @staticmethod
    def read_all():
        from kafed.v1 import events_pb2
        return events_pb2.ReadEventsRequest()

    def assert_kept_over_kill9(self):
        self.node.kill9()
        verified = subprocess.run(
            [BIN / "kafed", "verify", "--data-dir", self.data],
            capture_output=True, text=True, check=False)
        self.assertEqual(verified.returncode, 0, verified.stdout)
        self.node.start()
        self.assertEqual(self.hosts(), self.acknowledged)

    def test_a_full_disk_is_met_in_the_middle_of_appends(self):
        # No floor: storage itself meets the end of the disk.
        self.start_node(floor=0)
        session = Session(self.node)
        self.addCleanup(session.close)
        for freed_meanwhile in (True, False):
            self.disk.fill()
            self.assert_refused(self.change_until_refused())
            self.assert_goes_on(session)
            if freed_meanwhile:  # and filled again, mended by then or not
                self.disk.free()
                self.disk.fill()
                self.change_until_refused()
                self.assert_goes_on(session)
            self.disk.free()
            self.change_until_taken()
            self.assertEqual(self.hosts(), self.acknowledged)
        session.close()
        self.assert_kept_over_kill9()

    def test_a_full_disk_is_met_by_the_first_change_after_a_start(self):
        self.start_node(floor=0)
        self.node.kill9()
        # Nothing is in memory then, which storage's own recovery can't stand.
        self.node.start()
        self.disk.fill()
        self.assert_refused(self.change_until_refused())
        self.disk.free()
        self.change_until_taken()
        self.disk.fill()
        self.assert_refused(self.change_until_refused())
        self.node.kill9()
        self.disk.free()
        self.node.start()
        self.assertEqual(self.hosts(), self.acknowledged)
        self.assertIsNone(self.change())

    def test_an_import_that_meets_the_end_leaves_the_first_hosts(self):
        # Many parts, several of them under way at once.
        self.start_node(floor=0)
        hosts = [types_pb2.HostSpec(id=f"fleet-{i:05}", region="eu", labels={
            f"l{n}": secrets.token_urlsafe(90) for n in range(LABELS)})
            for i in range(20_000)]
        head = admin_pb2.ImportHostsRequest(options=options(),
                                            total=len(hosts))
        requests = [head] + [
            admin_pb2.ImportHostsRequest(hosts=hosts[at:at + 1_000])
            for at in range(0, len(hosts), 1_000)]
        self.disk.fill(leave=12 << 20)
        with self.assertRaises(grpc.RpcError) as caught:
            list(self.node.admin.ImportHosts(iter(requests), timeout=CALL_S))
        self.assert_refused(caught.exception)
        said = re.search(r"(\d+) of 20000 hosts were added",
                         caught.exception.details())
        added = int(said[1])
        self.assertGreater(added, 0)
        self.acknowledged |= {host.id for host in hosts[:added]}
        self.assertEqual(self.hosts(), self.acknowledged)
        self.disk.free()
        self.change_until_taken()
        list(self.node.admin.ImportHosts(iter(requests), timeout=CALL_S))
        self.acknowledged |= {host.id for host in hosts}
        self.assert_kept_over_kill9()

    def test_room_for_what_is_in_memory_is_enough_to_go_on(self):
        self.start_node(floor=0)
        # Write-ahead files that are kept to be recycled need no room again;
        # in memory are two buffers of 8 MiB at most.
        while self.write_ahead_bytes() < 24 << 20:
            self.assertIsNone(self.change())
        self.disk.fill()
        self.assert_refused(self.change_until_refused())
        self.disk.free()
        self.disk.fill(leave=20 << 20)
        self.change_until_taken()
        self.assert_kept_over_kill9()

    def write_ahead_bytes(self):
        return sum(path.stat().st_size
                   for path in (self.data / "db").glob("*.log"))

    def test_below_the_floor_changes_are_refused_before_the_disk_is_full(self):
        self.start_node(floor=8 << 20)
        session = Session(self.node)
        self.addCleanup(session.close)
        self.disk.fill(leave=7 << 20)
        error = self.change()
        self.assert_refused(error)
        self.assertRegex(error.details(),
                         r"has \d+ bytes free, \d+ are needed \(a floor of "
                         r"8388608 and \d+ to write\): free some space")
        self.assert_goes_on(session)
        self.disk.free()
        self.assertIsNone(self.change())

    def test_snapshots_onto_a_full_disk_leave_nothing_and_come_later(self):
        self.start_node("--snapshot-every-entries", str(SNAPSHOT_EVERY),
                        floor=0)
        self.wait_for_log('snapshot saved', 1)
        # Too little for a snapshot, enough to begin one.
        while len(self.acknowledged) < 5_000:
            self.assertIsNone(self.change())
        backup = self.data / "backup"
        self.disk.fill(leave=64 << 10)
        saved = subprocess.run(
            [BIN / "kafedctl", "--server", self.node.address, "snapshot",
             "save", backup], capture_output=True, text=True, check=False)
        self.assertEqual(saved.returncode, 1, saved.stderr)
        self.assertIn(f"'{backup}.part': No space left on device", saved.stderr)
        self.assertEqual([path.name for path in self.data.iterdir()
                          if path.name.startswith("backup")], [])
        self.fill_until_a_snapshot_fails()
        self.disk.fill()
        self.assert_refused(self.change_until_refused())
        self.assertEqual(self.hosts(), self.acknowledged)
        self.disk.free()
        self.change_until_taken()
        before = self.log_count("snapshot saved")
        self.wait_for_log("snapshot saved", before + 1)
        self.assert_kept_over_kill9()

    def fill_until_a_snapshot_fails(self):
        """A snapshot that is due may still be quicker than the filling."""
        deadline = time.monotonic() + PATIENCE_S
        while self.log_count("snapshot failed") == 0:
            self.assertLess(time.monotonic(), deadline, self.node.log())
            self.disk.free()
            for _ in range(SNAPSHOT_EVERY):
                self.change_until_taken()
            self.disk.fill(leave=64 << 10)
            time.sleep(1)  # as often as a node looks whether one is due

    def log_count(self, text):
        return (self.folder / "node" / "log").read_text().count(text)

    def wait_for_log(self, text, count):
        deadline = time.monotonic() + 2 * PATIENCE_S
        while self.log_count(text) < count:
            self.assertIsNone(self.change_or_refused())
            self.assertLess(time.monotonic(), deadline, self.node.log())
            time.sleep(0.1)

    def change_or_refused(self):
        error = self.change()
        if error is not None:
            self.assert_refused(error)


if __name__ == "__main__":
    unittest.main(verbosity=2)
