"""A restore from a backup while producers and agents go on, on Apache Kafka.

The traffic and the checker are the demo's: every message by sequence number.
Half way the node is killed, its data directory deleted, a backup that is older
than the last changes restored, and the node started again on its address.
"""

import shutil
import subprocess
import sys
import tempfile
import unittest

from kafed_node import BIN, ROOT

sys.path.insert(0, str(ROOT / "tools"))
sys.path.insert(0, str(ROOT / "tests" / "support"))
import demo  # noqa: E402 (needs the path)
from demo_screen import Screen  # noqa: E402
from demo_system import System  # noqa: E402
from kafka_fleet import ClusterSpec, Fleet  # noqa: E402

HOSTS = 600
ARGUMENTS = ["demo", "--kafka", "apache", "--hosts", str(HOSTS), "--seconds",
             "16", "--agents-real", "12"]


class RestoreTest(unittest.TestCase):
    def restore(self, system, _screen):
        """In place of the demo's joins while it runs."""
        backup = system.folder / "backup.snap"
        data = system.folder / "data"
        system.ctl("snapshot", "save", backup)
        before = system.status()
        # Acknowledged after the backup: a restore does not bring it back.
        system.ctl("host", "add", "late", "--region", "eu")
        node = system._processes["kafed"]
        node.kill()
        node.wait()
        node.stdout.close()
        shutil.rmtree(data)
        done = subprocess.run(
            [BIN / "kafed", "restore", "--from", backup, "--data-dir", data],
            capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        system.start_node(listen=system.server)
        after = system.status()
        self.assertEqual(self.incarnation(after),
                         self.incarnation(before) + 1)
        self.assertEqual(len(system.ctl("host", "list", want_json=True)),
                         HOSTS)
        # A new home after the restore: waits for every older route.
        system.join("vpc-0", system.hosts_of_zone(demo.ZONES[1])[-3:])
        system.join("vpc-1", system.hosts_of_zone(demo.ZONES[2])[-2:])

    def test_nothing_is_lost_while_a_backup_is_restored(self):
        args = demo.parse(ARGUMENTS)
        folder = tempfile.TemporaryDirectory(prefix="kafed-restore-")
        self.addCleanup(folder.cleanup)
        fleet = Fleet([ClusterSpec(name, "4.4.0") for name in ("a", "b", "c")])
        with fleet, System(folder.name + "/system") as system:
            system.bin = BIN
            system.clusters = [
                (name, zone, fleet[name].bootstrap, "")
                for name, zone in zip(("a", "b", "c"), demo.ZONES)]
            system.start_node()
            screen = Screen(sys.stderr)
            demo.build_federation(args, system, screen)
            epoch = self.epoch_of(system)
            original = demo.join_while_running
            demo.join_while_running = self.restore
            try:
                demo.run_traffic(args, system, screen)
            finally:
                demo.join_while_running = original
            self.assertGreater(self.epoch_of(system) >> 32, epoch >> 32)
            code, line = system.check("apache", HOSTS, args.agents_real)
        print(line)
        self.assertEqual(code, 0, line)

    @staticmethod
    def incarnation(status):
        return int(status["position"].split(":")[0])

    @staticmethod
    def epoch_of(system):
        route = system.ctl("route", "nca/host-000000", want_json=True)
        return int(route[0]["targets"][0]["epoch"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
