"""./dev demo: what its last line says, on embedded and on Apache Kafka, with
one node and with three, and that a falsified ledger makes it fail."""

import json
import os
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PRESET = pathlib.Path(
    os.environ.get("KAFED_BIN", ROOT / "build/dev/bin")).parent.name


def demo(*flags):
    done = subprocess.run(
        [sys.executable, ROOT / "tools/demo.py", "demo", "--preset", PRESET,
         *flags], capture_output=True, text=True, timeout=500)
    line = done.stdout.strip().splitlines()
    return done, json.loads(line[-1]) if line else {}


class DemoTest(unittest.TestCase):
    def check(self, done, figures, kafka):
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(figures["kafka"], kafka)
        self.assertEqual(figures["sub_clusters"], 3)
        self.assertEqual(figures["delivered"], figures["expected"])
        for figure in ("lost", "duplicated", "reordered"):
            self.assertEqual(figures[figure], 0, figure)
        self.assertGreater(figures["sent"], 500)
        self.assertGreater(figures["expected"], figures["sent"])
        self.assertGreater(figures["repeats_filtered"], 0)
        self.assertLessEqual(figures["foreign_per_own"], 10)

    def test_all_is_delivered_on_embedded_kafka(self):
        done, figures = demo("--hosts", "1000", "--seconds", "3",
                             "--agents-real", "20")
        self.check(done, figures, "embedded")
        self.assertEqual(figures["agents_real"] + figures["agents_shared"],
                         1000)

    def test_all_is_delivered_on_apache_kafka_one_of_them_on_zookeeper(self):
        done, figures = demo("--kafka", "apache", "--with-zookeeper",
                             "--hosts", "600", "--seconds", "3",
                             "--agents-real", "12", "--producers", "2")
        self.check(done, figures, "apache")

    def test_all_is_delivered_while_a_coordinator_of_three_is_killed(self):
        done, figures = demo("--nodes", "3", "--hosts", "600", "--seconds",
                             "14", "--agents-real", "12", "--producers", "2")
        self.check(done, figures, "embedded")
        self.assertEqual(figures["nodes"], 3)
        # The office of the killed one lasts as long as its session.
        self.assertGreater(figures["failover_ms"], 1000)
        self.assertLess(figures["longest_pause_ms"], 5000)
        said = re.search(r"node (\d), the coordinator, is killed.*"
                         r"node (\d) is the coordinator now.*"
                         r"ok hosts join VPCs.*"
                         r"node (\d) is back", done.stderr, re.DOTALL)
        self.assertIsNotNone(said, done.stderr)
        lost, successor, back = said.groups()
        self.assertNotEqual(successor, lost)
        self.assertEqual(back, lost)

    def falsified(self, how, figure):
        done, figures = demo("--hosts", "300", "--seconds", "1",
                             "--producers", "2", "--agents-real", "4",
                             "--tamper", how)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(figures[figure], 1, done.stderr)

    def test_a_dropped_message_is_noticed(self):
        self.falsified("drop", "lost")

    def test_a_repeated_message_is_noticed(self):
        self.falsified("repeat", "duplicated")

    def test_swapped_messages_are_noticed(self):
        self.falsified("swap", "reordered")


if __name__ == "__main__":
    unittest.main(verbosity=2)
