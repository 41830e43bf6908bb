"""Brokers that hang, die, or return as another Kafka cluster, under load.

In each case, of what one producer sends to two sub-clusters: nothing that was
acknowledged is lost or doubled, the order of each key is kept, what can't be
delivered fails with an error that names its cause, and neither the healthy
sub-cluster's messages nor the operators' calls wait for the other one.
"""

import collections
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

import confluent_kafka.admin
import load
from kafed_node import (BIN, ROOT, Node, admin_pb2, options, routing_pb2,
                        types_pb2)

sys.path.insert(0, str(ROOT / "tests" / "support"))
from kafka_fleet import ClusterSpec, Fleet  # noqa: E402 (needs the path)

ZONES = {"a": "z1", "b": "z2"}
HOSTS = 20   # of each zone
RATE = 400   # messages a second, over both sub-clusters
# Half of it is the message timeout: what can't be delivered fails by then.
FENCE_WINDOW_MS = 8000
# Full within seconds at this rate, long before the timeout.
BUFFER_BYTES = 200_000
# For calls that must not wait for a broker; a liveness bound.
CALL_S = 20
PATIENCE_S = 90

ERRORS = {
    "refuse": r"RESOURCE_EXHAUSTED: sub_cluster_buffer_bytes: \d+ of \d+ bytes "
              r"wait for sub-cluster a$|UNAVAILABLE: partition \w+/\d+: its "
              r"breaker is open",
    "fail": r"DEADLINE_EXCEEDED: Kafka: _MSG_TIMED_OUT|"
            r"(DEADLINE_EXCEEDED|UNAVAILABLE): '\w+/a\d+': the message was not "
            r"sent in time: (the breaker of its partition or sub-cluster is "
            r"open|earlier messages of the key were still under way)$",
}


class FaultsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # Another cluster that would make topics on demand is the worst case.
        cls.fleet = Fleet([ClusterSpec(
            name, "4.4.0", extra={"auto.create.topics.enable": "true"})
            for name in ZONES])
        cls.fleet.__enter__()
        cls.addClassCleanup(cls.fleet.__exit__, None, None, None)

    def restore(self):
        """Whatever a test that failed left, for the next one."""
        kafka = self.fleet["a"]
        kafka.sigcont(1)
        if kafka.cluster_id != self.former:
            kafka.exchange()
        kafka.restart_if_dead(1)
        kafka.wait_ready()

    def start(self, topic):
        self.former = self.fleet["a"].cluster_id
        self.addCleanup(self.restore)
        folder = tempfile.TemporaryDirectory(prefix="kafed-test-")
        self.addCleanup(folder.cleanup)
        folder = pathlib.Path(folder.name)
        self.topic = topic
        self.node = Node(folder / "node", "--fence-window-ms",
                         FENCE_WINDOW_MS)
        self.addCleanup(self.node.stop)
        for name, zone in ZONES.items():
            self.node.add_cluster(name, self.fleet[name].bootstrap, zone=zone)
        self.node.create_topic(topic, "UNICAST")
        self.hosts = {name: [f"{name}{i}" for i in range(HOSTS)]
                      for name in ZONES}
        for name, zone in ZONES.items():
            self.node.add_hosts(self.hosts[name], zone=zone)
        self.node.wait_until_ready()
        keys = [f"{topic}/{host}" for hosts in self.hosts.values()
                for host in hosts]
        self.producer = load.LoadProducer(
            folder, self.node.address, f"dpm-{topic}", keys, RATE, "--go-on",
            "--sub-cluster-buffer-bytes", str(BUFFER_BYTES))
        self.addCleanup(self.producer.kill)
        self.wait_for_acknowledgements("a")
        self.wait_for_acknowledgements("b")

    # --- what is waited for ---

    def wait_for(self, what, condition):
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            self.assertIsNone(self.producer.process.poll(),
                              self.producer.said())
            self.assertLess(time.monotonic(), deadline,
                            f"{what}\n{self.node.log()}")
            time.sleep(0.02)

    def of(self, name, events, since):
        return [event for event in events if event.key.startswith(
            f"{self.topic}/{name}") and event.time_ns >= since]

    def others(self, kind, name, since=0):
        """(time_ns, key, number, text) of what was not acknowledged."""
        self.producer.poll()
        return self.of(name, [
            Other(*other[1:]) for other in list(self.producer.others)
            if other[0] == kind], since)

    def wait_for_acknowledgements(self, name, count=100):
        since = time.time_ns()
        self.wait_for(
            f"{count} acknowledgements of {name}",
            lambda: len(self.of(name, self.producer.poll(), since)) >= count)

    def sub_cluster(self, name):
        return self.node.admin.ListSubClusters(
            admin_pb2.ListSubClustersRequest(name=name)).sub_clusters[0]

    def wait_for_state(self, name, state):
        number = getattr(types_pb2, f"SUB_CLUSTER_STATE_{state}")
        self.wait_for(f"{name} {state}",
                      lambda: self.sub_cluster(name).state == number)

    def cli(self, *words):
        return subprocess.run(
            [BIN / "kafedctl", "--server", self.node.address, *words],
            capture_output=True, text=True, check=True).stdout

    # --- what must hold ---

    def assert_nothing_lost(self):
        """What Kafka holds, against what was acknowledged and reported."""
        self.assertIsNone(self.producer.process.poll(), self.producer.said())
        self.producer.end()
        acknowledged = collections.defaultdict(list)
        for ack in self.producer.acks:
            acknowledged[ack.key].append(ack.number)
        maybe = collections.defaultdict(set)
        for other in self.producer.others:
            if other[0] == "fail":
                maybe[other[2]].add(other[3])
        read = {}
        for name in ZONES:
            for (producer, key), messages in load.read_back(
                    self.fleet[name].bootstrap).items():
                if producer == self.producer.name:
                    self.assertNotIn(key, read)
                    read[key] = [number for _, _, number in messages]
        for key, numbers in acknowledged.items():
            self.assertEqual(read[key], sorted(set(read[key])),
                             f"{key}: doubled or out of order")
            self.assertEqual(numbers, sorted(numbers), f"{key}: reports")
            self.assertEqual(set(numbers) - set(read[key]), set(),
                             f"{key}: acknowledged and not in Kafka")
            self.assertLessEqual(set(read[key]) - set(numbers), maybe[key],
                                 f"{key}: in Kafka, but nobody sent it")
        print(f"{sum(map(len, acknowledged.values()))} acknowledged, "
              f"{sum(map(len, maybe.values()))} failed, "
              f"{sum(o[0] == 'refuse' for o in self.producer.others)} refused",
              file=sys.stderr)

    def assert_errors_are_clear(self, since, also=None):
        """Only of sub-cluster a's keys, and each names its cause."""
        for kind, texts in ERRORS.items():
            if also:
                texts += "|" + also
            self.assertEqual(self.others(kind, "b"), [])
            for other in self.others(kind, "a", since):
                self.assertRegex(other.text, texts)

    def assert_others_are_not_delayed(self, topic):
        """Operators, routes and the healthy sub-cluster, meanwhile."""
        admin = self.node.admin
        for number in range(3):
            admin.CreateVpc(admin_pb2.CreateVpcRequest(
                options=options(), id=f"{topic}-{number}", region="eu"),
                timeout=CALL_S)
        admin.CreateTopic(admin_pb2.CreateTopicRequest(
            options=options(), spec=types_pb2.TopicSpec(
                name=topic, kind=types_pb2.TOPIC_KIND_HASHED,
                partitions=8)), timeout=CALL_S)
        answer = self.node.routing.Route(routing_pb2.RouteRequest(
            keys=[f"{self.topic}/{host}" for hosts in self.hosts.values()
                  for host in hosts]), timeout=CALL_S)
        self.assertEqual([r.error_code for r in answer.results],
                         [0] * 2 * HOSTS)

        def healthy_share():
            return [share for share in self.sub_cluster("b").shares
                    if share.topic == topic]
        self.wait_for("Kafka topics of b", lambda: all(
            share.kafka_topics_ready == share.kafka_topics > 0
            for share in healthy_share()) and healthy_share())
        hanging = [share for share in self.sub_cluster("a").shares
                   if share.topic == topic]
        self.assertEqual([share.kafka_topics_ready for share in hanging], [0])
        self.wait_for_acknowledgements("b", 300)

    def break_and_mend(self, topic, break_it, mend_it):
        self.start(topic)
        broken = time.time_ns()
        break_it()
        self.assert_others_are_not_delayed(f"{topic}new")
        self.wait_for_state("a", "UNREACHABLE")
        described = self.cli("cluster", "describe", "a")
        self.assertRegex(described, r"State: +unreachable \(.+\)\n")
        self.assertNotIn("ms in state", described)
        self.assertIn("unreachable", self.cli("cluster", "list"))
        self.wait_for("an error for what can't be delivered",
                      lambda: self.others("fail", "a", broken))
        self.wait_for("a full buffer", lambda: self.others(
            "refuse", "a", broken))
        self.wait_for_acknowledgements("b", 300)
        mend_it()
        self.wait_for_state("a", "ACTIVE")
        for name in ZONES:
            self.wait_for_acknowledgements(name)
        self.node.wait_until_ready()
        self.assert_errors_are_clear(broken)
        self.assert_nothing_lost()

    def test_a_broker_that_hangs_and_goes_on(self):
        kafka = self.fleet["a"]
        self.break_and_mend("hang", lambda: kafka.sigstop(1),
                            lambda: kafka.sigcont(1))

    def test_a_broker_that_dies_and_returns(self):
        kafka = self.fleet["a"]

        def restart():
            kafka.restart(1)
            kafka.wait_ready()
        self.break_and_mend("die", lambda: kafka.kill9(1), restart)

    def test_a_broker_that_returns_as_another_kafka_cluster(self):
        self.start("other")
        kafka = self.fleet["a"]
        former = self.former
        broken = time.time_ns()
        kafka.exchange()
        self.assertNotEqual(kafka.cluster_id, former)
        reason = f"Kafka cluster id is {kafka.cluster_id}, expected {former}"
        self.wait_for_state("a", "MISMATCHED")
        self.assertEqual(self.sub_cluster("a").reason, reason)
        self.assertIn(reason, self.cli("cluster", "describe", "a"))
        self.assertIn("mismatched", self.cli("cluster", "list"))
        self.wait_for("an error for what can't be delivered",
                      lambda: self.others("fail", "a", broken))
        self.wait_for_acknowledgements("b", 300)
        # Neither the node nor the producer made anything there.
        there = confluent_kafka.admin.AdminClient(
            {"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=20)
        self.assertEqual(sorted(there.topics), [])
        kafka.exchange()
        self.assertEqual(kafka.cluster_id, former)
        self.wait_for_state("a", "ACTIVE")
        for name in ZONES:
            self.wait_for_acknowledgements(name)
        # The other cluster says that it has no such Kafka topic, too.
        self.assert_errors_are_clear(
            broken, also=r"NOT_FOUND: Kafka: _?UNKNOWN_(PARTITION|TOPIC)")
        self.assert_nothing_lost()


Other = collections.namedtuple("Other", "time_ns key number text")


if __name__ == "__main__":
    unittest.main(verbosity=2)
