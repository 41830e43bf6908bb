"""Runs the apache_kafka_test program on real Apache Kafka, old and new.

usage: apache_kafka_test.py PROGRAM
"""

import os
import pathlib
import subprocess
import sys
import unittest

SUPPORT = pathlib.Path(__file__).resolve().parent.parent / "support"
sys.path.insert(0, str(SUPPORT))
from kafka_cluster import ClusterSpec  # noqa: E402 (needs the path)
from kafka_fleet import Fleet  # noqa: E402

PROGRAM = None


class ApacheKafkaTest(unittest.TestCase):

    def run_on(self, spec):
        with Fleet([spec]) as fleet:
            cluster = fleet[spec.name]
            pids = " ".join(str(cluster.pid(n)) for n in cluster.nodes)
            done = subprocess.run(
                [PROGRAM], timeout=400, check=False,
                env={**os.environ,
                     "KAFED_TEST_KAFKA": cluster.bootstrap,
                     "KAFED_TEST_KAFKA_BROKERS": str(spec.nodes),
                     "KAFED_TEST_KAFKA_PIDS": pids})
            self.assertEqual(done.returncode, 0)

    def test_kafka_3_9(self):
        self.run_on(ClusterSpec("old", "3.9.2"))

    def test_kafka_4_4_with_three_brokers(self):
        self.run_on(ClusterSpec("new", "4.4.0", nodes=3))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2)
