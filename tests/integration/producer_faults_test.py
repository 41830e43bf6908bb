"""A real producer (kafedctl produce) while its node hangs or dies."""

import os
import signal
import subprocess
import tempfile
import time
import unittest

from kafed_node import BIN, EmbeddedKafka, Node, child_process


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


if __name__ == "__main__":
    unittest.main(verbosity=2)
