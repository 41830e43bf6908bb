"""Data directories that a node must not take, and damaged ones: what it and
the offline commands say, that what must stay does, and what can be recovered.

Python's standard library only; a newer version's directory is made with the
RocksDB library that kafed links (tests/support/rocks.py).
"""

import json
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from cli_case import BIN, NOBODY, PATIENCE_S, serve
import rocks  # of tests/support, whose path cli_case adds

SERVE = ["serve", "--listen", "127.0.0.1:0", "--http-listen", "off"]
# Where the store keeps the version of its format.
VERSION = b"meta", b"format_version"


def kafed(*words):
    return subprocess.run([BIN / "kafed", *map(str, words)], text=True,
                          capture_output=True, timeout=PATIENCE_S,
                          check=False)


def ctl(address, *words):
    return subprocess.run([BIN / "kafedctl", "--server", address, *words],
                          text=True, capture_output=True, check=True,
                          timeout=PATIENCE_S).stdout


class DataDirectoryTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """A directory that a node left in order, and what was in it."""
        folder = tempfile.TemporaryDirectory(prefix="kafed-directory-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        node, address = serve(cls.folder, "template")
        cls.addClassCleanup(node.stop)
        ctl(address, "cluster", "add", "a", "--region", "eu", "--zone", "z1",
            "--bootstrap", NOBODY)
        ctl(address, "topic", "create", "orders", "--kind", "hashed")
        node.stop()

    def setUp(self):
        """A copy of it for each test."""
        self.name = self.id().rpartition(".")[2]
        self.data = self.folder / self.name
        shutil.copytree(self.folder / "template", self.data)

    def serve(self):
        node, address = serve(self.folder, self.name)
        self.addCleanup(node.stop)
        return node, address

    def refused(self, said, directory=None, by_verify=None):
        """By the node and by its offline checker, with exit code 1."""
        directory = directory or self.data
        for words, text in ((SERVE, said), (["verify"], by_verify or said)):
            done = kafed(*words, "--data-dir", directory)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertEqual(done.stdout, "")
            self.assertIn(text.replace("DIR", str(directory)), done.stderr)

    def rows(self, families=()):
        with rocks.opened(self.data, families, read_only=True) as database:
            rows = database.rows()
        # The log is there, so "unchanged" says something.
        self.assertGreater(sum(family == b"log" for family, _ in rows), 2)
        return rows

    def set_version(self, value):
        """As a kafed of that version does."""
        (self.data / "kafed.format").write_bytes(value + b"\n")
        with rocks.opened(self.data) as database:
            database.put(*VERSION, value)

    def files(self):
        """What is in them, but for the hint who used the directory last."""
        files = {path.relative_to(self.data): path.read_bytes()
                 for path in self.data.rglob("*") if path.is_file()}
        del files[pathlib.Path("kafed.lock")]
        self.assertGreater(len(files), 4)
        return files

    def test_one_of_a_newer_kafed_is_left_to_it(self):
        known = int(self.rows()[VERSION])
        self.set_version(b"%d" % (known + 1))
        rows = self.rows()
        files = self.files()
        self.refused(f"data directory DIR has format version {known + 1}, "
                     f"this kafed knows versions up to {known}: start the "
                     "newer kafed that wrote it")
        # Not even opened: that may rewrite what only the newer one can read.
        self.assertEqual(self.files(), files)
        self.assertEqual(self.rows(), rows)
        # Nothing else was wrong with it.
        self.set_version(b"%d" % known)
        _, address = self.serve()
        topics = json.loads(ctl(address, "topic", "list", "-o", "json"))
        self.assertEqual([topic["spec"]["name"] for topic in topics],
                         ["orders"])

    def test_a_table_of_a_newer_kafed_is_named(self):
        with rocks.opened(self.data) as database:
            database.add_family(b"ledger")
        rows = self.rows([b"ledger"])
        files = self.files()
        self.refused("DIR/db holds the column family 'ledger', which this "
                     "version does not know: use the version of kafed that "
                     "wrote it")
        self.assertEqual(self.files(), files)
        self.assertEqual(self.rows([b"ledger"]), rows)

    def test_a_version_that_is_no_number_is_not_guessed(self):
        self.set_version(b"two")
        files = self.files()
        self.refused("the format version of DIR is unreadable")
        self.assertEqual(self.files(), files)

    def test_the_version_is_known_without_its_file(self):
        known = int(self.rows()[VERSION])
        self.set_version(b"%d" % (known + 1))
        (self.data / "kafed.format").unlink()
        rows = self.rows()
        self.refused(f"data directory DIR has format version {known + 1}")
        self.assertEqual(self.rows(), rows)
        self.assertFalse((self.data / "kafed.format").exists())
        # Of one that is known, it is made anew.
        with rocks.opened(self.data) as database:
            database.put(*VERSION, b"%d" % known)
        self.serve()
        self.assertEqual((self.data / "kafed.format").read_text(),
                         f"{known}\n")

    def test_one_that_is_in_use_names_who_uses_it(self):
        node, address = self.serve()
        self.refused("data directory DIR is in use by another process (pid "
                     f"{node.process.pid})")
        ctl(address, "status")

    def test_a_folder_of_something_else_is_left_alone(self):
        photos = self.folder / "photos"
        photos.mkdir()
        (photos / "one.jpg").write_text("x")
        self.refused("DIR is not a data directory of kafed: it holds "
                     "'one.jpg'", photos, "DIR is not a data directory of "
                     "kafed: it has no db/")
        self.assertEqual([path.name for path in photos.iterdir()],
                         ["one.jpg"])
        self.assertEqual((photos / "one.jpg").read_text(), "x")

    def test_a_file_is_no_directory(self):
        file = self.folder / "file"
        file.write_text("x")
        self.refused("cannot create the data directory DIR: Not a directory",
                     file, "DIR is not a data directory of kafed")
        self.assertEqual(file.read_text(), "x")

    def topics(self):
        _, address = self.serve()
        found = json.loads(ctl(address, "topic", "list", "-o", "json"))
        return address, [topic["spec"]["name"] for topic in found]

    def damage(self):
        """What verify names; it changes nothing."""
        files = self.files()
        done = kafed("verify", "--data-dir", self.data)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertEqual(self.files(), files)
        return [line for line in (done.stdout + done.stderr).splitlines()
                if line.startswith("damage: ")]

    def change_row(self, family, key):
        """Another bit in the middle of a row's value."""
        value = bytearray(self.rows()[family, key])
        value[len(value) // 2] ^= 0x10
        with rocks.opened(self.data) as database:
            database.put(family, key, bytes(value))

    def log_keys(self):
        return sorted(key for family, key in self.rows() if family == b"log")

    def test_a_log_that_was_cut_is_not_taken_but_salvaged(self):
        newest = max((path for path in (self.data / "db").glob("*.log")
                      if path.stat().st_size), key=lambda path: path.name)
        with open(newest, "r+b") as file:
            file.truncate(newest.stat().st_size * 9 // 10)
        done = kafed(*SERVE, "--data-dir", self.data)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, r"ends \d+ writes before what was "
                         r"synced: .*kafed verify --data-dir")
        self.assertRegex(self.damage()[0], "before what was synced")
        saved = self.folder / "salvaged"
        done = kafed("verify", "--data-dir", self.data, "--salvage", saved)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.data = self.folder / "restored"
        self.name = self.data.name
        done = kafed("restore", "--from", saved, "--data-dir", self.data)
        self.assertEqual(done.returncode, 0, done.stderr)
        address, topics = self.topics()
        self.assertEqual(topics, ["orders"])
        self.assertIn(" 2:", ctl(address, "status"))

    def test_a_damaged_entry_is_named_when_it_is_read(self):
        second = self.log_keys()[1]
        self.change_row(b"log", second)
        self.assertRegex(self.damage()[0], "log entry 2")
        # The snapshot behind it makes it harmless to the node.
        address, topics = self.topics()
        self.assertEqual(topics, ["orders"])
        done = subprocess.run(
            [BIN / "kafedctl", "--server", address, "events", "--from", "2"],
            text=True, capture_output=True, check=False, timeout=PATIENCE_S)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertRegex(done.stderr, "log entry 2 is damaged: wrong checksum")

    def test_a_damaged_snapshot_is_left_out(self):
        rows = self.rows()
        largest = max((key for family, key in rows if family == b"snapshot"),
                      key=lambda key: len(rows[b"snapshot", key]))
        self.change_row(b"snapshot", largest)
        self.assertRegex(self.damage()[0], "snapshot")
        self.assertEqual(self.topics()[1], ["orders"])
        self.assertIn("snapshot can't be used",
                      (self.folder / f"{self.name}.log").read_text())


if __name__ == "__main__":
    unittest.main(verbosity=2)
