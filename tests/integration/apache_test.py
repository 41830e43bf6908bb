"""One node over real Apache Kafka 3.9 (KRaft and ZooKeeper) and 4.x.

What is claimed about Kafka is shown here: topics and their settings, offsets,
control messages, cluster ids, the fence on timestamps, independent clients.
"""

import os
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from kafed_node import (ROOT, Node, admin_pb2, options, request_id,
                        routing_pb2, types_pb2)
import confluent_kafka
import confluent_kafka.admin
import grpc
from kafed.v1 import markers_pb2

sys.path.insert(0, str(ROOT / "tests" / "support"))
from kafka_fleet import ClusterSpec, Fleet  # noqa: E402 (needs the path)

ZONES = {"a": "z1", "b": "z2", "c": "z3"}
DATA, MOVED, SUBSCRIBE, UNSUBSCRIBE = range(4)


def parse_header(headers):
    """kind, epoch, source, sequence of the kafed header; None without one."""
    for name, value in headers or []:
        if name == "kafed":
            version, kind, epoch = struct.unpack_from("<BBQ", value)
            assert version == 1 and len(value) == 34
            return kind, epoch, value[10:26], \
                struct.unpack_from("<Q", value, 26)[0]
    return None


def read_all(bootstrap, topic, partition, until, timeout=30):
    """Messages of a partition from its beginning until `until(messages)`."""
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": bootstrap, "group.id": f"t{time.time_ns()}",
         "enable.auto.commit": False, "auto.offset.reset": "earliest"})
    consumer.assign([confluent_kafka.TopicPartition(topic, partition, 0)])
    messages = []
    deadline = time.monotonic() + timeout
    try:
        while not until(messages):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{topic}/{partition}: {len(messages)}")
            message = consumer.poll(0.2)
            if message is not None and not message.error():
                messages.append(message)
        return messages
    finally:
        consumer.close()


class ApacheTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="kafed-test-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.fleet = Fleet([ClusterSpec("a", "4.4.0"),
                           ClusterSpec("b", "3.9.2"),
                           ClusterSpec("c", "3.9.2", mode="zookeeper")])
        cls.fleet.__enter__()
        cls.addClassCleanup(cls.fleet.__exit__, None, None, None)
        cls.node = Node(cls.folder.name + "/node", "--multicast-lease-ms",
                        "3000")
        cls.addClassCleanup(cls.node.stop)
        for name, zone in ZONES.items():
            cls.node.add_cluster(name, cls.fleet[name].bootstrap, zone=zone)
        cls.node.create_topic("nca", "UNICAST")
        cls.node.create_topic("vpc", "MULTICAST")
        for name, zone in ZONES.items():
            cls.node.add_hosts([f"{name}{i}" for i in range(12)], zone=zone)
        cls.node.wait_until_ready()

    def target(self, key):
        result = self.node.route(key)[0]
        self.assertEqual(result.error_code, 0, result.error)
        return result.targets[0]

    def admin_of(self, name):
        return confluent_kafka.admin.AdminClient(
            {"bootstrap.servers": self.fleet[name].bootstrap})

    def sub_cluster(self, name, node=None):
        return (node or self.node).admin.ListSubClusters(
            admin_pb2.ListSubClustersRequest(name=name)).sub_clusters[0]

    def wait_for(self, what, condition, timeout=40):
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                self.fail(f"{what}:\n{self.node.log()}")
            time.sleep(0.1)

    def test_cluster_ids_are_learnt_and_state_is_active(self):
        for name in ZONES:
            status = self.sub_cluster(name)
            self.assertEqual(status.state, types_pb2.SUB_CLUSTER_STATE_ACTIVE)
            self.assertEqual(status.kafka_cluster_id,
                             self.fleet[name].cluster_id)
            self.assertEqual(status.brokers, 1)

    def test_topics_have_the_settings_of_the_fence(self):
        for name in ZONES:
            topic = self.target(f"nca/{name}0").kafka_topic
            resource = confluent_kafka.admin.ConfigResource(
                confluent_kafka.admin.RESOURCE_TOPIC, topic)
            client = self.admin_of(name)  # its futures die with it
            config = list(client.describe_configs(
                [resource]).values())[0].result(20)
            for setting, value in (
                    ("message.timestamp.type", "CreateTime"),
                    ("message.timestamp.before.max.ms", "60000"),
                    ("message.timestamp.after.max.ms", "30000"),
                    ("unclean.leader.election.enable", "false"),
                    ("cleanup.policy", "delete")):
                self.assertEqual(config[setting].value, value,
                                 f"{name} {setting}")

    def test_a_late_write_is_refused_by_the_broker(self):
        for name in ZONES:
            target = self.target(f"nca/{name}0")
            errors = []
            producer = confluent_kafka.Producer(
                {"bootstrap.servers": self.fleet[name].bootstrap})
            producer.produce(
                target.kafka_topic, value="zombie",
                partition=target.kafka_partition,
                timestamp=int(time.time() * 1000) - 70_000,
                on_delivery=lambda error, _: errors.append(error))
            producer.flush(20)
            self.assertIsNotNone(errors[0], f"{name} took an old message")

    def test_kcat_reads_what_was_produced_where_route_says(self):
        target = self.target("nca/a3")
        subprocess.run(
            ["kcat", "-P", "-b", target.bootstrap_servers, "-t",
             target.kafka_topic, "-p", str(target.kafka_partition), "-k",
             "a3"], input=b"through kcat\n", check=True, timeout=30)
        read = subprocess.run(
            ["kcat", "-C", "-b", target.bootstrap_servers, "-t",
             target.kafka_topic, "-p", str(target.kafka_partition), "-e",
             "-q", "-f", "%k %s\n"], capture_output=True, text=True,
            check=True, timeout=30)
        self.assertIn("a3 through kcat", read.stdout.splitlines())

    def test_a_join_writes_a_marker_that_begins_at_the_end(self):
        self.node.create_vpc("v-marker")
        self.node.join("v-marker", ["a1"])
        self.node.wait_until_ready()
        vpc = self.target("vpc/v-marker")
        producer = confluent_kafka.Producer(
            {"bootstrap.servers": vpc.bootstrap_servers})
        for i in range(7):
            producer.produce(vpc.kafka_topic, key="v-marker", value=str(i),
                             partition=vpc.kafka_partition)
        self.assertEqual(producer.flush(20), 0)
        end = max(m.offset() for m in read_all(
            vpc.bootstrap_servers, vpc.kafka_topic, vpc.kafka_partition,
            lambda found: len(found) >= 7)) + 1
        joined = self.node.join("v-marker", ["a2"])
        self.assertEqual(list(joined.new_homes), [])
        own = self.target("nca/a2")

        def mine(found):
            return [m for m in found if m.key() == b"a2" and
                    (parse_header(m.headers()) or [None])[0] == SUBSCRIBE]
        markers = mine(read_all(own.bootstrap_servers, own.kafka_topic,
                                own.kafka_partition, mine))
        marker = markers_pb2.MembershipMarker.FromString(markers[0].value())
        self.assertEqual((marker.vpc, marker.host), ("v-marker", "a2"))
        self.assertEqual(marker.membership_version, 2)
        chain = marker.chains[0]
        self.assertEqual(chain.kafka_topic, vpc.kafka_topic)
        self.assertEqual(chain.kafka_partition, vpc.kafka_partition)
        self.assertEqual(chain.from_offset, end)
        self.assertEqual(parse_header(markers[0].headers())[1], own.epoch)

    def test_leaving_writes_an_unsubscribe(self):
        self.node.create_vpc("v-leave")
        self.node.join("v-leave", ["b1", "b2"])
        self.node.admin.RemoveVpcHosts(admin_pb2.RemoveVpcHostsRequest(
            options=options(), vpc="v-leave", hosts=["b1"]))
        own = self.target("nca/b1")
        read_all(own.bootstrap_servers, own.kafka_topic, own.kafka_partition,
                 lambda found: any(
                     (parse_header(m.headers()) or [None])[0] == UNSUBSCRIBE
                     and m.key() == b"b1" for m in found))

    def test_a_vpc_of_two_homes_is_two_kafka_messages(self):
        self.node.create_vpc("v-two")
        self.node.join("v-two", ["a5", "a6"])
        joined = self.node.join("v-two", ["b5"])
        self.assertEqual(list(joined.new_homes), ["b"])
        result = self.node.route("vpc/v-two")[0]
        self.assertEqual({t.sub_cluster for t in result.targets}, {"a", "b"})

    def test_a_join_with_a_new_home_waits_for_older_routes(self):
        self.node.create_vpc("v-wait")
        self.node.join("v-wait", ["a7"])
        self.node.wait_until_ready()
        source = os.urandom(16)
        session = self.node.routing.OpenSession(routing_pb2.OpenSessionRequest(
            source=source, name="slow-dpm",
            client_time_ms=int(time.time() * 1000)))
        # A producer that has a lease and then acknowledges nothing.
        hold = threading.Event()
        leased = threading.Event()

        def requests():
            yield routing_pb2.FollowRequest(
                session_id=session.session_id, lease_request=1,
                client_time_ms=int(time.time() * 1000))
            hold.wait()
        call = self.node.routing.Follow(requests())

        def read():
            try:
                for response in call:
                    if response.lease_request == 1:
                        leased.set()
            except grpc.RpcError:
                pass
        reader = threading.Thread(target=read)
        reader.start()
        self.assertTrue(leased.wait(20))
        begun = time.monotonic()
        joined = self.node.join("v-wait", ["c7"])
        waited = time.monotonic() - begun
        hold.set()
        call.cancel()
        reader.join()
        self.assertEqual(list(joined.new_homes), ["c"])
        self.assertEqual(len(joined.waited_for), 1)
        self.assertIn("slow-dpm", joined.waited_for[0])
        self.assertGreater(waited, 1.0)  # a lease of 3 s had begun just before
        self.node.admin.EndSession(admin_pb2.EndSessionRequest(
            options=options(), session_id=session.session_id))

    def test_drift_by_outside_tools_is_reported_and_not_overridden(self):
        topic = self.target("nca/b0").kafka_topic
        partitions = confluent_kafka.admin.NewPartitions(topic, 7)
        client = self.admin_of("b")  # its futures die with it
        list(client.create_partitions([partitions]).values())[0].result(20)
        self.wait_for("drift", lambda: any(
            topic in drift for drift in self.sub_cluster("b").drift))
        metadata = client.list_topics(topic, timeout=20)
        self.assertEqual(len(metadata.topics[topic].partitions), 7)

    def test_another_kafka_cluster_behind_a_name_is_noticed(self):
        self.node.admin.AddSubCluster(admin_pb2.AddSubClusterRequest(
            options=options(), spec=types_pb2.SubClusterSpec(
                name="wrong", region="eu2", zones=["z"],
                bootstrap_servers=self.fleet["a"].bootstrap,
                kafka_cluster_id="not-this-one")))
        self.wait_for("mismatch", lambda: self.sub_cluster("wrong").state ==
                      types_pb2.SUB_CLUSTER_STATE_MISMATCHED)

    def test_an_unreachable_cluster_is_registered_as_pending(self):
        self.node.add_cluster("nobody", "127.0.0.1:1", region="eu3")
        self.assertEqual(self.sub_cluster("nobody").state,
                         types_pb2.SUB_CLUSTER_STATE_PENDING)

    def test_kill9_between_record_and_marker_still_tells_the_host(self):
        folder = self.folder.name + "/killed"
        with Node(folder) as node:
            node.add_cluster("a", self.fleet["a"].bootstrap)
            node.create_topic("kill", "UNICAST")
            node.create_topic("killv", "MULTICAST")
            node.add_hosts(["k0", "k1"])
            node.create_vpc("kv")
            node.wait_until_ready()
            node.join("kv", ["k0"])
            acknowledged = node.join("kv", ["k1"])
            node.kill9()  # maybe before the marker, maybe after
            node.start()
            node.wait_until_ready()
            status = node.admin.DescribeVpc(
                admin_pb2.DescribeVpcRequest(id="kv")).vpc
            self.assertEqual(status.members, 2)
            self.assertEqual(status.membership_version,
                             acknowledged.membership_version)
            own = node.route("kill/k1")[0].targets[0]
            read_all(own.bootstrap_servers, own.kafka_topic,
                     own.kafka_partition, lambda found: any(
                         m.key() == b"k1" and
                         parse_header(m.headers())[0] == SUBSCRIBE
                         for m in found))

    def test_kill9_under_load_loses_nothing_acknowledged(self):
        with Node(self.folder.name + "/load") as node:
            node.add_cluster("a", self.fleet["a"].bootstrap)
            acknowledged = []
            for round_number in range(3):
                done = threading.Event()

                def write(worker, node=node, r=round_number, done=done):
                    i = 0
                    while not done.is_set():
                        vpc = f"v-{r}-{worker}-{i}"
                        try:
                            node.admin.CreateVpc(admin_pb2.CreateVpcRequest(
                                options=admin_pb2.MutationOptions(
                                    request_id=request_id()), id=vpc))
                        except (grpc.RpcError, ValueError):
                            return  # the node is dead, the channel closed
                        acknowledged.append(vpc)
                        i += 1
                writers = [threading.Thread(target=write, args=(w,))
                           for w in range(4)]
                for writer in writers:
                    writer.start()
                before = len(acknowledged)
                while len(acknowledged) < before + 200:
                    time.sleep(0.01)
                node.kill9()
                done.set()
                for writer in writers:
                    writer.join()
                node.start()
                found = set()
                token = ""
                while True:
                    page = node.admin.ListVpcs(admin_pb2.ListVpcsRequest(
                        page_token=token))
                    found.update(vpc.id for vpc in page.vpcs)
                    token = page.next_page_token
                    if not token:
                        break
                self.assertLessEqual(set(acknowledged), found)


if __name__ == "__main__":
    unittest.main(verbosity=2)
