"""A program in another language: the protos, grpcio and its own Kafka client.

It asks for routes, follows the view, produces where route says and reads there
with an independent consumer.
"""

import queue
import tempfile
import threading
import time
import unittest

from kafed_node import (EmbeddedKafka, Node, admin_pb2, routing_pb2,
                        types_pb2)
import confluent_kafka


class Follower:
    """The route view in Python: rows by kind and identity."""

    def __init__(self, node, position=None):
        self.requests = queue.Queue()
        self.rows = {}
        self.position = None
        self.received = 0
        self.full = False
        self._changed = threading.Condition()
        self.requests.put(routing_pb2.FollowRequest(position=position))
        self._call = node.routing.Follow(iter(self.requests.get, None))
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @staticmethod
    def identity(row):
        kind = row.WhichOneof("row")
        each = getattr(row, kind)
        if kind == "key":
            return kind, each.topic_id, each.key
        if kind == "partition":
            return kind, each.topic_id, each.partition
        return kind, each.id

    def _read(self):
        try:
            for response in self._call:
                with self._changed:
                    if response.full:
                        self.rows.clear()
                        self.full = True
                    for row in response.rows:
                        self.received += 1
                        if row.deleted:
                            self.rows.pop(self.identity(row), None)
                        else:
                            self.rows[self.identity(row)] = row
                    if response.HasField("position"):
                        self.position = response.position
                    self._changed.notify_all()
        except Exception:  # cancelled
            pass

    def wait_for(self, index, timeout=20):
        with self._changed:
            reached = self._changed.wait_for(
                lambda: self.position is not None and
                self.position.index >= index, timeout)
        if not reached:
            raise TimeoutError(f"no position {index}")

    def close(self):
        self._call.cancel()
        self._thread.join()


class OtherLanguageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="kafed-test-")
        cls.kafka = EmbeddedKafka(cls.folder.name, "a")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.addClassCleanup(cls.kafka.__exit__)
        cls.node = Node(cls.folder.name + "/node")
        cls.addClassCleanup(cls.node.stop)
        cls.node.add_cluster("a", cls.kafka.bootstrap, cls.kafka.admin)
        cls.node.create_topic("nca", "UNICAST")
        cls.node.create_topic("orders", "HASHED")
        cls.node.add_hosts([f"h{i}" for i in range(40)])
        cls.node.wait_until_ready()

    def index(self):
        return self.node.admin.Status(
            admin_pb2.StatusRequest()).position.index

    def test_a_message_is_read_exactly_where_route_says(self):
        keys = ["nca/h3", "nca/h17", "orders/42"]
        results = self.node.route(*keys)
        producer = confluent_kafka.Producer(
            {"bootstrap.servers": self.kafka.bootstrap})
        for key, result in zip(keys, results):
            self.assertEqual(result.error_code, 0, result.error)
            self.assertGreater(result.lease.remaining_ms, 0)
            target = result.targets[0]
            self.assertTrue(target.ready)
            producer.produce(target.kafka_topic, key=key.split("/")[1],
                             value=f"for {key}",
                             partition=target.kafka_partition)
        self.assertEqual(producer.flush(20), 0)
        for key, result in zip(keys, results):
            target = result.targets[0]
            consumer = confluent_kafka.Consumer(
                {"bootstrap.servers": target.bootstrap_servers,
                 "group.id": "other", "enable.auto.commit": False})
            consumer.assign([confluent_kafka.TopicPartition(
                target.kafka_topic, target.kafka_partition, 0)])
            found = []
            deadline = time.monotonic() + 20
            while not found and time.monotonic() < deadline:
                message = consumer.poll(0.2)
                if message is not None and not message.error() and \
                        message.value() == f"for {key}".encode():
                    found.append(message)
            consumer.close()
            self.assertEqual(len(found), 1, key)

    def test_the_view_holds_every_route(self):
        follower = Follower(self.node)
        follower.wait_for(self.index())
        names = {row.topic.id: row.topic.name for (kind, *_), row in
                 follower.rows.items() if kind == "topic"}
        self.assertEqual(sorted(names.values()), ["nca", "orders"])
        keys = {row.key.key for (kind, *_), row in follower.rows.items()
                if kind == "key"}
        self.assertLessEqual({f"h{i}" for i in range(40)}, keys)
        follower.close()

    def test_a_follower_that_reconnects_gets_only_what_changed(self):
        follower = Follower(self.node)
        follower.wait_for(self.index())
        position = follower.position
        follower.close()
        self.node.add_hosts(["late-0", "late-1", "late-2"])
        again = Follower(self.node, position)
        again.wait_for(self.index())
        again.close()
        self.assertFalse(again.full)
        self.assertEqual(again.received, 3)

    def test_routes_change_only_by_position_and_never_go_back(self):
        first = self.node.routing.Route(
            routing_pb2.RouteRequest(keys=["nca/h1"]))
        self.node.add_hosts(["other-0"])
        second = self.node.routing.Route(routing_pb2.RouteRequest(
            keys=["nca/h1"], min_position=first.position))
        self.assertGreater(second.position.index, first.position.index)
        self.assertEqual(first.results[0].targets, second.results[0].targets)

    def test_sessions_are_idempotent_and_keep_counts(self):
        request = routing_pb2.OpenSessionRequest(
            source=bytes(range(16)), name="py",
            client_time_ms=int(time.time() * 1000))
        first = self.node.routing.OpenSession(request)
        second = self.node.routing.OpenSession(request)
        self.assertEqual(first.session_id, second.session_id)
        self.node.routing.CloseSession(routing_pb2.CloseSessionRequest(
            session_id=first.session_id, source=bytes(range(16)), counts=[
                types_pb2.SegmentCount(topic_id=1, partition=0,
                                       epoch=(1 << 32) + 1, acknowledged=5)]))
        with self.assertRaises(Exception) as caught:
            self.node.routing.CloseSession(routing_pb2.CloseSessionRequest(
                session_id=first.session_id, source=bytes(range(16))))
        self.assertIn("no session", caught.exception.details())

    def test_errors_name_the_field(self):
        with self.assertRaises(Exception) as caught:
            self.node.create_topic("nca", "UNICAST")
        self.assertIn("name: topic nca exists", caught.exception.details())
        with self.assertRaises(Exception) as caught:
            self.node.admin.CreateVpc(admin_pb2.CreateVpcRequest(id="v"))
        self.assertIn("request_id", caught.exception.details())
        results = self.node.route("nca/ghost", "bad", "nca/h1")
        self.assertIn("no host", results[0].error)
        self.assertIn("TOPIC/ID", results[1].error)
        self.assertEqual(results[2].error_code, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
