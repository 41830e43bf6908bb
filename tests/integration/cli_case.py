"""A node with an embedded Kafka, as an operator finds it: by kafedctl.

Python's standard library only, as an operator's script would be.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import child_process  # noqa: E402 (needs the path)

# Where ctest's build has its programs; the dev build when run by hand.
BIN = pathlib.Path(os.environ.get("KAFED_BIN", ROOT / "build/dev/bin"))
SAMPLES = ROOT / "samples"
# Nobody listens on port 1.
NOBODY = "127.0.0.1:1"
PATIENCE_S = 60


class Process:
    """A program that says in its first line where it is; ended by its id."""

    def __init__(self, command, log):
        parent = os.getpid()
        with open(log, "ab") as out:
            self.process = subprocess.Popen(
                [str(word) for word in command], stdout=subprocess.PIPE,
                stderr=out, text=True,
                preexec_fn=lambda: child_process.die_with_parent(parent))
        self.line = self.process.stdout.readline().strip()
        if not self.line:
            raise RuntimeError(f"no start:\n{pathlib.Path(log).read_text()}")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def serve(folder, name, *flags):
    """A node on a data directory of that name, and its address."""
    node = Process([BIN / "kafed", "serve", "--data-dir", folder / name,
                    "--listen", "127.0.0.1:0", "--http-listen", "off",
                    "--free-space-floor-bytes", "1048576", *flags],
                   folder / f"{name}.log")
    return node, node.line.removeprefix("listening on ")


class CliCase(unittest.TestCase):
    """One node for all tests of a suite: sub-cluster eu1-a, a topic of each
    kind, and 200 hosts, ephost_0 and on."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="kafed-cli-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.path = pathlib.Path(cls.folder.name)
        control = cls.path / "kafka.sock"
        kafka = Process([BIN / "embedded_kafka", "--brokers", "1",
                         "--control", control], cls.path / "kafka.log")
        cls.addClassCleanup(kafka.stop)
        cls.bootstrap = kafka.line
        node, cls.server = serve(cls.path, "node", "--reconcile-interval-ms",
                                 "300")
        cls.addClassCleanup(node.stop)
        # What all tests stand on; what is said of it is a test in itself.
        cls.ran = [
            cls.run_cli("cluster", "add", "eu1-a", "--region", "eu",
                        "--zone", "z1", "--zone", "z2",
                        "--bootstrap", cls.bootstrap,
                        "--admin", f"embedded:{control}"),
            cls.run_cli("topic", "create", "nca", "--kind", "unicast",
                        "--partitions-per-topic", "5"),
            cls.run_cli("topic", "create", "vpc", "--kind", "multicast",
                        "--partitions-per-topic", "5"),
            cls.run_cli("topic", "create", "elb", "--kind", "resource",
                        "--partitions-per-topic", "5"),
            cls.run_cli("topic", "create", "orders", "--kind", "hashed",
                        "--partitions", "4", "--retention", "1d"),
            cls.run_cli("host", "import", SAMPLES / "alcor-machine-200.json",
                        "--region", "eu", "--zone", "z1"),
        ]
        for done in cls.ran:
            if done.returncode != 0:
                raise RuntimeError(f"{done.args}: {done.stderr}")

    @classmethod
    def run_cli(cls, *words, stdin="", env=None):
        """The finished process; stdin is never a terminal."""
        environment = {**os.environ, "KAFED_SERVER": cls.server, **(env or {})}
        return subprocess.run(
            [BIN / "kafedctl", *map(str, words)], input=stdin, text=True,
            capture_output=True, env=environment, timeout=PATIENCE_S * 2)

    @classmethod
    @contextlib.contextmanager
    def running(cls, *words, server=None, **pipes):
        """kafedctl while the block runs: killed with it, or when it hangs."""
        child = subprocess.Popen(
            [BIN / "kafedctl", "--server", server or cls.server, *words],
            text=True, **pipes)
        # Ends the reading of what does not come.
        watchdog = threading.Timer(PATIENCE_S, child.kill)
        watchdog.start()
        try:
            yield child
        finally:
            watchdog.cancel()
            child.kill()
            child.communicate()

    def ok(self, *words, **more):
        done = self.run_cli(*words, **more)
        self.assertEqual(done.returncode, 0, f"{words}: {done.stderr}")
        return done.stdout

    def parsed(self, *words, **more):
        return json.loads(self.ok(*words, "--output", "json", **more))

    def fails(self, code, text, *words, **more):
        done = self.run_cli(*words, **more)
        self.assertEqual(done.returncode, code, f"{words}: {done.stderr}")
        self.assertTrue(done.stderr.startswith("kafedctl: "), done.stderr)
        self.assertIn(text, done.stderr)
        return done

    def wait_ready(self):
        """Until Kafka has all topics and all markers are written."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            topics = self.parsed("topic", "list")
            status = self.parsed("status")
            if status["pending_markers"] == "0" and all(
                    t["kafka_topics"] == t["kafka_topics_ready"]
                    for t in topics):
                return
            self.assertLess(time.monotonic(), deadline, topics)
            time.sleep(0.05)
