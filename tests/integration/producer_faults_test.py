"""Real producers while their node hangs or dies.

One of them (kafedctl produce) on embedded Kafka; then several under load on
Apache Kafka, with operators who change the metadata meanwhile.
"""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import load
from kafed_node import BIN, ROOT, EmbeddedKafka, Node, child_process

sys.path.insert(0, str(ROOT / "tests" / "support"))
from kafka_fleet import ClusterSpec, Fleet  # noqa: E402 (needs the path)

HOSTS = 1000
ZONES = {"a": "z1", "b": "z2"}
PRODUCERS = 4
RATE = 800  # messages a second of each
# Acknowledgements of each producer between a return and the next kill; after 0
# the node dies while sessions are being resumed.
SETTLED = [300, 0, 900]
WHILE_DEAD = 1500  # messages each producer must get through without a node
SLACK_S = 3


class ProducerFaultsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="kafed-test-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.kafka = EmbeddedKafka(self.folder, "a")
        self.addCleanup(self.kafka.__exit__)

    def start_node(self, *flags):
        node = Node(self.folder + "/node", *flags)
        self.addCleanup(node.stop)
        node.add_cluster("a", self.kafka.bootstrap, self.kafka.admin)
        node.create_topic("nca", "UNICAST")
        node.add_hosts(["h0"])
        node.wait_until_ready()
        return node

    def start_producer(self, node):
        parent = os.getpid()
        producer = subprocess.Popen(
            [BIN / "kafedctl", "--server", node.address, "produce", "nca/h0"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
            preexec_fn=lambda: child_process.die_with_parent(parent))
        self.addCleanup(producer.stdout.close)
        self.addCleanup(producer.stderr.close)
        self.addCleanup(producer.wait)
        self.addCleanup(producer.kill)
        return producer

    @staticmethod
    def feed(producer, seconds, until_end=False):
        """A message every 50 ms; the number that was taken."""
        sent = 0
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if until_end and producer.poll() is not None:
                break
            try:
                producer.stdin.write(f"message {sent}\n")
                producer.stdin.flush()
            except BrokenPipeError:
                break
            sent += 1
            time.sleep(0.05)  # the rate of the load
        return sent

    def end(self, producer):
        output, errors = producer.communicate(timeout=60)
        return producer.returncode, output + errors

    def wait_for_session(self, node):
        from kafed_node import admin_pb2
        deadline = time.monotonic() + 30
        while not any(s.lease_remaining_ms for s in node.admin.ListSessions(
                admin_pb2.ListSessionsRequest()).sessions):
            self.assertLess(time.monotonic(), deadline, "no session")
            time.sleep(0.02)

    def test_it_goes_on_while_the_node_is_dead_and_after_it_returned(self):
        node = self.start_node()
        producer = self.start_producer(node)
        self.wait_for_session(node)
        sent = self.feed(producer, 1)
        node.kill9()
        sent += self.feed(producer, 3)
        node.start()
        sent += self.feed(producer, 2)
        code, said = self.end(producer)
        self.assertEqual(code, 0, said)
        self.assertIn(f"{sent} of {sent} messages acknowledged", said)

    def test_it_stops_with_a_named_error_when_its_lease_is_over(self):
        node = self.start_node("--session-ttl-ms", "3000",
                               "--multicast-lease-ms", "1000")
        producer = self.start_producer(node)
        self.wait_for_session(node)
        before = self.feed(producer, 1)
        self.assertIsNone(producer.poll())
        node.signal(signal.SIGSTOP)
        # A lease of 3 s was renewed within its last second: it is over by now.
        sent = self.feed(producer, 6)
        code, said = self.end(producer)
        node.signal(signal.SIGCONT)
        self.assertEqual(code, 1, said)
        self.assertIn("lease", said)
        acknowledged = int(said.split(" of ")[0].split()[-1])
        self.assertGreaterEqual(acknowledged, before)
        self.assertLess(acknowledged, before + sent, said)


class ApacheFaultsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fleet = Fleet([ClusterSpec(name, "4.4.0") for name in ZONES])
        cls.fleet.__enter__()
        cls.addClassCleanup(cls.fleet.__exit__, None, None, None)

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="kafed-test-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.producers = []

    def start_node(self, nca, vpc, *flags):
        """With 500 hosts at home in each sub-cluster, and the VPC `shared`."""
        node = Node(self.folder / "node", *flags)
        self.addCleanup(node.stop)
        for name, zone in ZONES.items():
            node.add_cluster(name, self.fleet[name].bootstrap, zone=zone)
        node.create_topic(nca, "UNICAST", partitions_per_topic=30)
        node.create_topic(vpc, "MULTICAST")
        self.hosts = {zone: [f"{zone}-host-{i}" for i in range(HOSTS // 2)]
                      for zone in ZONES.values()}
        for zone, hosts in self.hosts.items():
            node.add_hosts(hosts, zone=zone)
        node.create_vpc("shared")
        node.join("shared", self.hosts["z1"][:5])
        node.wait_until_ready()
        return node

    def start_producer(self, node, name, keys, rate=RATE):
        producer = load.LoadProducer(self.folder, node.address, name, keys,
                                     rate)
        self.addCleanup(producer.kill)
        self.producers.append(producer)
        return producer

    def wait_for(self, what, condition, timeout=60):
        deadline = time.monotonic() + timeout
        while not condition():
            for producer in self.producers:
                self.assertIsNone(producer.process.poll(), producer.said())
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.02)

    def wait_for_acknowledgements(self, count, since_ns):
        self.wait_for(
            f"{count} acknowledgements of each producer",
            lambda: all(producer.acknowledged_since(since_ns) >= count
                        for producer in self.producers))

    def die_and_return(self, node, operators):
        """One kill -9 under load; nothing acknowledged may be missing."""
        node.kill9()
        killed = time.time_ns()
        self.wait_for("operators notice",
                      lambda: all(o.paused.is_set() for o in operators))
        self.wait_for_acknowledgements(WHILE_DEAD, killed)
        returns = time.time_ns()
        meanwhile = [producer.acknowledged_since(killed)
                     for producer in self.producers]
        node.start()
        serves = time.time_ns()
        gaps = [producer.longest_gap_ms(killed, serves)
                for producer in self.producers]
        print(f"dead for {(returns - killed) / 1e9:.1f} s: acknowledged "
              f"meanwhile {meanwhile}, longest gaps "
              f"{[round(gap, 1) for gap in gaps]} ms; back in "
              f"{(serves - returns) / 1e9:.2f} s", file=sys.stderr)
        for operator in operators:
            self.assertEqual(operator.check(node), [])
        for operator in operators:
            operator.retry()
        for operator in operators:
            self.assertEqual(operator.check(node), [])
            operator.go_on()

    def assert_read_back(self, node, moving_key):
        """Kafka has each acknowledged message once a home, in order."""
        from kafed_node import admin_pb2
        ids = {status.spec.name: status.id
               for status in node.admin.ListSubClusters(
                   admin_pb2.ListSubClustersRequest()).sub_clusters}
        wanted = {}
        for producer in self.producers:
            for ack in producer.acks:
                for home in ack.homes:
                    wanted.setdefault((home, producer.name, ack.key),
                                      []).append(ack.number)
        total = 0
        for name in ZONES:
            found = load.read_back(self.fleet[name].bootstrap)
            for (producer, key), messages in found.items():
                if not producer.startswith("dpm-"):  # the other test's
                    continue
                places = {message[:2] for message in messages}
                self.assertEqual(len(places), 1, f"{key} is in {places}")
                numbers = [number for _, _, number in messages]
                self.assertEqual(
                    numbers, sorted(wanted.pop((ids[name], producer, key), [])),
                    f"{producer} {key} in {name}")
                # Without gaps, from 1 unless the home came later.
                first = numbers[0] if key == moving_key else 1
                self.assertEqual(
                    numbers, list(range(first, first + len(numbers))))
                total += len(numbers)
        self.assertEqual(wanted, {}, "acknowledged and not in Kafka")
        print(f"{total} Kafka messages read back, each once and in order",
              file=sys.stderr)

    def test_kill9_under_load_loses_nothing_and_stops_no_producer(self):
        # A join that the kill left unanswered may wait that long when it is
        # sent again: the node can't know who was told of older routes.
        node = self.start_node("nca", "vpc", "--multicast-lease-ms", "20000")
        keys = [f"nca/{host}" for hosts in self.hosts.values()
                for host in hosts]
        for i in range(PRODUCERS):
            self.start_producer(node, f"dpm-{i}", keys + ["vpc/shared"] * 100)
        operators = [load.Operator(node.address, "op-0", "shared",
                                   self.hosts["z2"]),
                     load.Operator(node.address, "op-1")]
        operators[0].shared = set(self.hosts["z1"][:5])
        for operator in operators:
            self.addCleanup(operator.end)
            operator.start()
        for settled in SETTLED:
            self.wait_for_acknowledgements(settled, time.time_ns())
            self.die_and_return(node, operators)
        self.wait_for_acknowledgements(300, time.time_ns())
        for operator in operators:
            operator.end()
            self.assertEqual(operator.check(node), [])
        added = sum(len(operator.hosts) for operator in operators)
        print(f"{added} hosts added meanwhile; slowest calls: "
              f"{[operator.slowest for operator in operators]}",
              file=sys.stderr)
        self.assertGreater(added, 50)
        for producer in self.producers:
            self.assertEqual(producer.end(), 0, producer.said())
            self.assertEqual([other[0] for other in producer.others], ["end"])
        self.assert_read_back(node, "vpc/shared")

    def test_a_stopped_node_stops_producers_within_the_ttl(self):
        ttls = {"nca2": 4, "vpc2": 2}
        node = self.start_node("nca2", "vpc2", "--session-ttl-ms", "4000",
                               "--multicast-lease-ms", "2000")
        for topic, keys in (
                ("nca2", [f"nca2/{host}" for host in self.hosts["z1"]]),
                ("vpc2", ["vpc2/shared"])):
            self.start_producer(node, topic, keys)
        self.wait_for_acknowledgements(500, time.time_ns())
        node.signal(signal.SIGSTOP)
        stopped = time.time_ns()
        for producer in self.producers:
            self.assertEqual(producer.process.wait(timeout=60), 1,
                             producer.said())
            producer.end()
            refusal = producer.others[0]
            self.assertEqual(refusal[0], "refuse", producer.said())
            self.assertIn("lease", refusal[4])
            after = (refusal[1] - stopped) / 1e9
            last = (max(a.time_ns for a in producer.acks) - stopped) / 1e9
            print(f"{producer.name}: refused {after:.2f} s after the stop, "
                  f"last acknowledgement {last:.2f} s: {refusal[4]}",
                  file=sys.stderr)
            self.assertLessEqual(after, ttls[producer.name] + SLACK_S)
            self.assertLessEqual(last, ttls[producer.name] + SLACK_S)
        node.signal(signal.SIGCONT)


if __name__ == "__main__":
    unittest.main(verbosity=2)
