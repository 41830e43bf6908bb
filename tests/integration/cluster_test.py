"""Three nodes over one quorum, ZooKeeper's or etcd's: any node reads and
writes, and what was acknowledged survives the loss of any of them."""

import concurrent.futures
import subprocess
import tempfile
import threading
import time
import unittest

from kafed_cluster import Cluster
from kafed_node import (BIN, EmbeddedKafka, admin_pb2, options, request_id,
                        routing_pb2)
from etcd_cluster import EtcdCluster
from zookeeper_ensemble import ZooKeeperEnsemble

import grpc

ZONES = ("z1", "z2")
MULTICAST_MS = 3_000
PATIENCE_S = 60


def vpc_request(vpc, request=None):
    return admin_pb2.CreateVpcRequest(
        options=admin_pb2.MutationOptions(request_id=request or request_id()),
        id=vpc, region="eu")


class Case(unittest.TestCase):
    """A quorum of three, two sub-clusters, and what tests make of them."""

    BACKEND = None
    Quorum = None

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="kafed-cluster-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.quorum = cls.Quorum(cls.folder.name, 3)
        cls.quorum.__enter__()
        cls.addClassCleanup(cls.quorum.__exit__, None, None, None)
        cls.kafka = [EmbeddedKafka(cls.folder.name, zone) for zone in ZONES]
        for kafka in cls.kafka:
            cls.addClassCleanup(kafka.__exit__)

    def cluster(self, *flags, nodes=3, session_ms=4_000):
        """A cluster of its own, below a path of its own."""
        name = self.id().rsplit(".", 1)[1]
        cluster = Cluster(
            f"{self.folder.name}/{name}", self.BACKEND, self.quorum.servers,
            nodes,
            ("--log-path", f"/{name}", "--multicast-lease-ms",
             str(MULTICAST_MS), "--log-session-timeout-ms", str(session_ms),
             *flags))
        self.addCleanup(cluster.__exit__)
        return cluster

    def build(self, node):
        for zone, kafka in zip(ZONES, self.kafka):
            node.add_cluster(f"k-{zone}", kafka.bootstrap, kafka.admin, zone)
        node.create_topic("nca", "UNICAST")
        node.create_topic("vpc", "MULTICAST")

    def create_vpcs(self, node, names):
        for name in names:
            node.admin.CreateVpc(vpc_request(name), timeout=PATIENCE_S)


class AnyQuorum:
    """What must hold on either kind of servers."""

    def test_any_node_takes_changes_and_all_end_up_the_same(self):
        cluster = self.cluster()
        first, second, third = cluster.nodes
        self.build(first)
        # What one node acknowledged is there for the next change at another.
        second.add_hosts([f"h-{n}" for n in range(200)])
        third.create_vpc("v")
        with self.assertRaises(grpc.RpcError) as refused:
            second.create_vpc("v")
        self.assertEqual(refused.exception.code(),
                         grpc.StatusCode.ALREADY_EXISTS)
        joined = first.join("v", ["h-1", "h-2", "h-150"])
        # Read your writes, wherever.
        for node in cluster.nodes:
            routed = node.routing.Route(routing_pb2.RouteRequest(
                keys=["vpc/v"], min_position=joined.result.position),
                timeout=10)
            self.assertEqual(len(routed.results[0].targets), 2)
            self.assertGreaterEqual(routed.position.index,
                                    joined.result.position.index)
        third.wait_until_ready()
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            for each in [pool.submit(self.create_vpcs, node,
                                     [f"w-{i}-{j}-{n}" for n in range(40)])
                         for i, node in enumerate(cluster.nodes)
                         for j in range(2)]:
                each.result()
        cluster.wait_agreed()
        for node in cluster.nodes:
            vpcs = node.admin.ListVpcs(admin_pb2.ListVpcsRequest()).vpcs
            self.assertEqual(len(vpcs), 241)

    def wait_for_more(self, acknowledged, working, more=20):
        deadline = time.monotonic() + PATIENCE_S
        wanted = len(acknowledged) + more
        while len(acknowledged) < wanted:
            self.assertLess(time.monotonic(), deadline)
            self.assertFalse(any(each.done() for each in working))
            time.sleep(0.05)

    def test_a_linearizable_read_has_what_any_node_acknowledged(self):
        cluster = self.cluster()
        writer, reader, _ = cluster.nodes
        self.build(writer)
        for n in range(50):
            writer.add_hosts([f"h-{n}"])
            routed = reader.routing.Route(routing_pb2.RouteRequest(
                keys=[f"nca/h-{n}"], linearizable=True), timeout=10)
            self.assertEqual(routed.results[0].error, "")
            self.assertEqual(len(routed.results[0].targets), 1)
        writer.create_vpc("v")
        writer.join("v", ["h-1"])
        members = reader.routing.RouteMembers(
            routing_pb2.RouteMembersRequest(vpc="v", linearizable=True),
            timeout=10)
        self.assertEqual([host.id for group in members.groups
                          for host in group.hosts], ["h-1"])

    def test_the_log_is_described_also_when_its_servers_are_gone(self):
        cluster = self.cluster("--log-budget-bytes", str(64 << 20))
        node = cluster.nodes[0]
        self.build(node)
        log = node.admin.DescribeLog(admin_pb2.DescribeLogRequest(),
                                     timeout=10)
        self.assertEqual((log.backend, log.servers, log.error),
                         (self.BACKEND, self.quorum.servers, ""))
        self.assertEqual([(link.loglet, link.first_index)
                          for link in log.links],
                         [(f"{self.BACKEND}:log-1", 1)])
        self.assertEqual(log.first_index, 1)
        self.assertGreaterEqual(log.last_index, log.position.index)
        self.assertEqual(log.budget_bytes, 64 << 20)
        self.assertGreater(log.size_bytes, 0)
        for member in self.quorum.members:
            self.quorum.sigstop(member)
        try:
            gone = node.admin.DescribeLog(admin_pb2.DescribeLogRequest(),
                                          timeout=PATIENCE_S)
            status = node.admin.Status(admin_pb2.StatusRequest(), timeout=10)
            with self.assertRaises(grpc.RpcError) as refused:
                node.routing.Route(routing_pb2.RouteRequest(
                    keys=["nca/h"], linearizable=True), timeout=PATIENCE_S)
        finally:
            for member in self.quorum.members:
                self.quorum.sigcont(member)
        self.assertNotEqual(gone.error, "")
        self.assertEqual(len(gone.links), 1)
        self.assertGreater(status.lag_ms, 1_000)
        self.assertEqual(status.log_backend, self.BACKEND)
        self.assertEqual(refused.exception.code(), grpc.StatusCode.UNAVAILABLE)
        self.assertIn("linearizable: asking the log for its tail",
                      refused.exception.details())

    def test_a_killed_coordinator_is_replaced_and_nothing_is_lost(self):
        cluster = self.cluster()
        self.build(cluster.nodes[0])
        lost = cluster.coordinator()
        others = [node for node in cluster.nodes if node is not lost]
        acknowledged, gaps, stop = [], {}, threading.Event()

        def watch(name, call):
            worst, last = 0, time.monotonic()
            while not stop.is_set():
                call()
                now = time.monotonic()
                worst, last = max(worst, now - last), now
                time.sleep(0.005)
            gaps[name] = worst

        def write():
            request = vpc_request(f"v-{len(acknowledged)}")
            others[0].admin.CreateVpc(request, timeout=PATIENCE_S)
            acknowledged.append(request.id)

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            working = [
                pool.submit(watch, "read", lambda: others[1].route("nca/x")),
                pool.submit(watch, "write", write)]
            self.wait_for_more(acknowledged, working)
            lost.kill9()
            successor = cluster.coordinator()
            self.wait_for_more(acknowledged, working)
            stop.set()
            for each in working:
                each.result()
        print("longest gaps:", {k: f"{v * 1000:.0f} ms"
                                for k, v in gaps.items()})
        self.assertIsNot(successor, lost)
        # The work of the coordinator goes on.
        others[0].add_hosts([f"h-{n}" for n in range(60)])
        others[0].wait_until_ready()
        lost.start()
        cluster.wait_agreed()
        known = {vpc.id for vpc in lost.admin.ListVpcs(
            admin_pb2.ListVpcsRequest(page_size=10_000)).vpcs}
        self.assertLessEqual(set(acknowledged), known)

    def test_a_node_with_an_empty_disk_joins_behind_a_trimmed_history(self):
        cluster = self.cluster("--snapshot-every-entries", "10",
                               "--history-entries", "0")
        self.build(cluster.nodes[0])
        for n in range(60):
            cluster.nodes[n % 3].create_vpc(f"v-{n}")
        # Neither the quorum nor a node has the first entry any more.
        deadline = time.monotonic() + PATIENCE_S
        while any(node.admin.Status(admin_pb2.StatusRequest()).log_first_index
                  == 1 for node in cluster.nodes):
            self.assertLess(time.monotonic(), deadline, cluster.logs())
            cluster.nodes[0].create_vpc(f"more-{time.monotonic_ns()}")
            time.sleep(0.2)
        added = cluster.add_node()
        self.assertIn("fetching a snapshot", added.log())
        cluster.wait_agreed()
        added.create_vpc("by-the-new-one")
        cluster.wait_agreed()
        self.assertIn("by-the-new-one", {
            vpc.id for vpc in cluster.nodes[1].admin.ListVpcs(
                admin_pb2.ListVpcsRequest(page_size=10_000)).vpcs})

    def test_without_its_quorum_a_cluster_reads_on_without_leases(self):
        cluster = self.cluster()
        self.build(cluster.nodes[0])
        node = cluster.nodes[1]
        node.add_hosts(["h-1"])
        cluster.wait_agreed()
        self.assertGreater(node.route("nca/h-1")[0].lease.remaining_ms, 5_000)
        pause = self.quorum.members
        for member in pause:
            self.quorum.sigstop(member)
        try:
            deadline = time.monotonic() + PATIENCE_S
            while node.route("nca/h-1")[0].lease.remaining_ms > 0:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.1)
            route = node.route("nca/h-1")[0]
            self.assertEqual(len(route.targets), 1)
            pending = node.admin.CreateVpc.future(vpc_request("late"),
                                                  timeout=PATIENCE_S)
            time.sleep(1)
            self.assertFalse(pending.done())
        finally:
            for member in pause:
                self.quorum.sigcont(member)
        pending.result()
        cluster.wait_agreed(PATIENCE_S)
        deadline = time.monotonic() + PATIENCE_S
        while node.route("nca/h-1")[0].lease.remaining_ms < 5_000:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)


class ZooKeeperTest(AnyQuorum, Case):
    BACKEND = "zookeeper"
    Quorum = ZooKeeperEnsemble

    def test_a_retry_at_another_node_is_answered_not_carried_out(self):
        cluster = self.cluster()
        self.build(cluster.nodes[0])
        again = vpc_request("once")
        answers = {node.admin.CreateVpc(again, timeout=10).position.index
                   for node in cluster.nodes}
        self.assertEqual(len(answers), 1)
        other = vpc_request("twice", again.options.request_id)
        for node in cluster.nodes:
            with self.assertRaises(grpc.RpcError) as refused:
                node.admin.CreateVpc(other, timeout=10)
            self.assertEqual(refused.exception.code(),
                             grpc.StatusCode.INVALID_ARGUMENT)

    def test_a_stopped_coordinator_leaves_its_office_at_once(self):
        # Twice what anybody waits here: only who resigns can be followed.
        cluster = self.cluster(session_ms=30_000)
        former = cluster.coordinator()
        self.assertEqual(former.stop(), 0)
        self.assertIsNot(cluster.coordinator(timeout=15), former)

    def test_sessions_at_any_node_are_kept_and_expire(self):
        cluster = self.cluster("--session-ttl-ms", "2000")
        self.build(cluster.nodes[0])
        coordinator = cluster.coordinator()
        other = next(n for n in cluster.nodes if n is not coordinator)
        opened = other.routing.OpenSession(routing_pb2.OpenSessionRequest(
            source=b"0123456789abcdef", name="dpm-1", region="eu",
            client_time_ms=int(time.time() * 1000)), timeout=10)
        stop = threading.Event()

        def follow():
            yield routing_pb2.FollowRequest(
                session_id=opened.session_id,
                client_time_ms=int(time.time() * 1000), lease_request=1)
            stop.wait()

        stream = other.routing.Follow(follow())
        lease = next(each for each in stream if each.lease_request)
        self.assertGreater(lease.lease_ms, 0)
        self.assertLessEqual(lease.lease_ms, 2_000)

        def sessions():
            return len(coordinator.admin.ListSessions(
                admin_pb2.ListSessionsRequest()).sessions)

        time.sleep(5)  # more than two of its lives
        self.assertEqual(sessions(), 1)
        stop.set()
        stream.cancel()
        deadline = time.monotonic() + PATIENCE_S
        while sessions() > 0:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.2)

    def test_a_node_that_is_gone_can_be_removed(self):
        cluster = self.cluster()
        first, _, third = cluster.nodes
        ids = {each.address: each.node_id
               for each in cluster.describe(first).nodes}
        remove = admin_pb2.RemoveNodeRequest(
            options=options(), node_id=ids[third.address])
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with self.assertRaises(grpc.RpcError) as refused:
                first.admin.RemoveNode(remove, timeout=10)
            if "stop it first" in refused.exception.details():
                break
            self.assertIn("not asked yet", refused.exception.details())
            self.assertLess(time.monotonic(), deadline)
        third.kill9()
        while True:
            try:
                first.admin.RemoveNode(admin_pb2.RemoveNodeRequest(
                    options=options(), node_id=ids[third.address]), timeout=10)
                break
            except grpc.RpcError as error:
                self.assertIn("stop it first", error.details())
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.2)
        left = cluster.describe(first).nodes
        self.assertEqual(len(left), 2)
        self.assertTrue(all(each.reachable for each in left), left)

    def test_the_quorums_data_is_lost_and_a_node_goes_on_from_its_copy(self):
        cluster = self.cluster()
        first, second, _ = cluster.nodes
        self.build(first)
        first.add_hosts([f"h-{n}" for n in range(100)])
        before = cluster.wait_agreed()
        for node in cluster.nodes:
            node.stop()
        # As if the servers came back empty: another path has nothing.
        lost = [*first.flags]  # it knows no peers
        lost[lost.index("--log-path") + 1] = "/lost"
        data = second.folder / "data"
        salvage = second.folder / "state.snap"
        self.kafed("verify", "--data-dir", data, "--salvage", salvage)
        restored = second.folder / "restored"
        where = ["--log-backend", "zookeeper", "--log-servers",
                 self.quorum.servers, "--log-path", "/lost"]
        self.kafed("restore", "--from", salvage, "--data-dir", restored,
                   *where)
        again = self.kafed("restore", "--from", salvage, "--data-dir",
                           second.folder / "other", *where, code=1)
        self.assertIn("there is a log at /lost already", again)
        data.rename(second.folder / "old")
        restored.rename(data)
        second.flags = lost
        second.start()
        first.flags = [*lost, "--peers", second.address]
        (first.folder / "data").rename(first.folder / "old")
        first.start()
        after = cluster.wait_agreed()
        self.assertGreater(after[0], before[0])
        hosts = first.admin.ListHosts(admin_pb2.ListHostsRequest()).hosts
        self.assertEqual(len(hosts), 100)
        first.create_vpc("goes-on")
        cluster.wait_agreed()

    def kafed(self, *words, code=0):
        done = subprocess.run([BIN / "kafed", *words], capture_output=True,
                              text=True, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_a_copy_is_not_taken_for_a_log_of_its_own(self):
        cluster = self.cluster(nodes=1)
        node = cluster.nodes[0]
        node.stop()
        flags, node.flags = node.flags, []
        with self.assertRaisesRegex(RuntimeError, "belongs to the log"):
            node.start()
        node.flags = flags
        node.start()
        cluster.wait_agreed()


class EtcdTest(AnyQuorum, Case):
    BACKEND = "etcd"
    Quorum = EtcdCluster


if __name__ == "__main__":
    unittest.main(verbosity=2)
