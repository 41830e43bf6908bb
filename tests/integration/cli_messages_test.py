"""kafedctl on keys: routes, messages, sessions, and the events of it all."""

import json
import signal
import subprocess
import time
import unittest

from cli_case import PATIENCE_S, CliCase


class CliMessagesTest(CliCase):
    def test_routes(self):
        self.wait_ready()
        routes = self.parsed("route", "nca/ephost_0", "orders/42")
        self.assertEqual([r["key"] for r in routes],
                         ["nca/ephost_0", "orders/42"])
        for route in routes:
            self.assertEqual(len(route["targets"]), 1)
            self.assertTrue(route["targets"][0]["ready"])
            self.assertEqual(route["targets"][0]["bootstrap_servers"],
                             self.bootstrap)
        keys = "".join(f"orders/{i}\n" for i in range(12_000))
        table = self.ok("route", "-", stdin=keys).splitlines()
        self.assertEqual(len(table), 12_001)
        done = self.fails(1, "nca/none: key:", "route", "orders/1",
                          "nca/none")
        self.assertIn("orders/1", done.stdout)
        self.fails(1, "nokey", "route", "nokey")
        said = self.ok("explain", "nca/ephost_0")
        self.assertIn("decided at position 1:", said)
        self.fails(1, "none", "explain", "nca/none")

    def produce_and_consume(self, key, copies=1):
        texts = [f"{key} message {i}" for i in range(20)]
        done = self.run_cli("produce", key, "-H", "trace=7",
                            stdin="\n".join(texts) + "\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"20 of 20 messages acknowledged, as {20 * copies} "
                      "Kafka messages", done.stderr)
        self.assertEqual(self.ok("consume", key, "-e").splitlines(), texts)
        return texts

    def test_messages(self):
        self.wait_ready()
        texts = self.produce_and_consume("orders/42")
        self.produce_and_consume("nca/ephost_5")
        self.ok("vpc", "create", "mail")
        self.ok("vpc", "add-hosts", "mail", "ephost_6", "ephost_7")
        self.wait_ready()
        self.produce_and_consume("vpc/mail")
        self.ok("vpc", "delete", "mail", "--cascade", "--yes")
        # Formats, counts, places and JSON.
        route = self.parsed("route", "orders/42")[0]["targets"][0]
        first = self.ok("consume", "orders/42", "-c", "1", "-f",
                        "%k|%t|%p|%s|%e|%h|%K|%%\\n")
        self.assertEqual(first, f"42|{route['kafka_topic']}|"
                         f"{route['kafka_partition']}|{texts[0]}|"
                         f"{route['epoch']}|trace=7|2|%\n")
        lines = self.ok("consume", "orders/42", "-c", "2", "--output", "json")
        second = json.loads(lines.splitlines()[1])
        self.assertEqual(second["payload"], texts[1])
        self.assertEqual(second["headers"], {"trace": "7"})
        self.assertEqual(self.ok("consume", "orders/42", "-o", "end", "-e"),
                         "")
        # Another key of the same partitions sees nothing of it.
        self.assertEqual(self.ok("consume", "orders/4242", "-e"), "")
        self.fails(1, "none", "produce", "nca/none", stdin="x\n")
        self.fails(1, "none", "consume", "nca/none", "-e")
        self.assertEqual(self.parsed("produce", "orders/1", stdin="a\nb\n"),
                         {"sent": 2, "acknowledged": 2, "failed": 0,
                          "kafka_messages": 2})

    def test_sessions(self):
        self.wait_ready()
        with self.running("produce", "orders/7", stdin=subprocess.PIPE,
                          stderr=subprocess.DEVNULL):
            deadline = time.monotonic() + PATIENCE_S
            while not (sessions := self.parsed("session", "list")):
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.05)
            self.assertEqual(sessions[0]["name"], "kafedctl-produce")
            self.assertRegex(sessions[0]["source"], "^[0-9a-f]{32}$")
            number = sessions[0]["session_id"]
            self.fails(2, "--yes", "session", "end", number)
            self.ok("session", "end", number, "--yes")
            self.fails(1, number, "session", "end", number, "--yes")

    def test_a_signal_finishes_what_was_produced(self):
        self.wait_ready()
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.running("produce", "orders/8", stdin=subprocess.PIPE,
                              stderr=subprocess.PIPE) as producer:
                # Read from Kafka, so it was sent; stdin stays open.
                producer.stdin.write(f"before {number}\n")
                producer.stdin.flush()
                deadline = time.monotonic() + PATIENCE_S
                while f"before {number}\n" not in self.ok(
                        "consume", "orders/8", "-e"):
                    self.assertLess(time.monotonic(), deadline)
                producer.send_signal(number)
                error = producer.stderr.read()
                self.assertEqual(producer.wait(), 0, error)
                self.assertIn("1 of 1 messages acknowledged", error)
            self.assertFalse([s for s in self.parsed("session", "list")
                              if s["connected"]])

    def test_events(self):
        first = self.ok("events", "--from", "1", "--to", "1:1")
        self.assertRegex(first, r"^1:1  \S+Z  incarnation_began  ")
        records = [json.loads(line) for line in self.ok(
            "events", "-o", "json", "--to", "5").splitlines()]
        self.assertEqual(records[0]["position"], "1:1")
        self.assertIn("sub_cluster_added", [r["record"] for r in records])
        indexes = [int(r["position"].split(":")[1]) for r in records]
        self.assertEqual(indexes, sorted(indexes))
        self.fails(1, "from: there is no incarnation 2", "events", "--from",
                   "2:1")
        self.fails(1, "to: there is no incarnation 4", "events", "--to",
                   "4:3")
        self.fails(1, "to: 1:2 is before from, 1:5", "events", "--from",
                   "1:5", "--to", "1:2")
        self.fails(1, "beyond the newest entry", "events", "--from", "99999")
        self.fails(1, "beyond the newest entry", "events", "--to", "99999")
        with self.running("events", "--follow", "--from",
                          self.parsed("status")["position"],
                          stdout=subprocess.PIPE) as follower:
            self.ok("vpc", "create", "seen")
            line = "begin"
            while line and "vpc_created" not in line:
                line = follower.stdout.readline()
            self.assertIn('"seen"', line)
        self.ok("vpc", "delete", "seen", "--yes")


if __name__ == "__main__":
    unittest.main(verbosity=2)
