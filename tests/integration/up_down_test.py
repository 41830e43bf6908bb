"""./dev up and down: a system that stays, used as it says, and its end."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Where ctest's build has its programs; the dev build when run by hand.
BIN = pathlib.Path(os.environ.get("KAFED_BIN", ROOT / "build/dev/bin"))
COMMAND = re.compile(r"^  (.*bin/kafedctl .*)$", re.MULTILINE)


def started_at(pid):
    """The start time of a process that runs; None for others."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *fields = text[text.rindex(")") + 2:].split()
    return None if state == "Z" else fields[18]


def family(pid):
    """{process id: (name, start time)} of a process and all its children."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text()
            except OSError:
                continue  # ended meanwhile
            name = text[text.index("(") + 1:text.rindex(")")]
            fields = text[text.rindex(")") + 2:].split()
            parents[int(entry.name)] = (int(fields[1]), name)
    found = {pid}
    while True:
        more = {child for child, (parent, _) in parents.items()
                if parent in found} - found
        if not more:
            return {each: (parents[each][1], started_at(each))
                    for each in found}
        found |= more


class UpDownTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="kafed-test-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "bin").symlink_to(BIN)
        self.state = self.folder / "state"
        self.addCleanup(self.demo, "down")

    def demo(self, verb, *flags):
        environment = {k: v for k, v in os.environ.items()
                       if k != "KAFED_SERVER"}
        return subprocess.run(
            [sys.executable, ROOT / "tools/demo.py", verb, "--state",
             self.state, *flags], capture_output=True, text=True,
            timeout=300, env=environment)

    def up(self, *flags):
        return self.demo("up", "--hosts", "300", "--preset", BIN.parent.name,
                         *flags)

    def start(self, kafka="embedded", nodes=1):
        """Starts it; what it printed, its processes and its folder."""
        done = self.up("--kafka", kafka,
                       *(["--nodes", str(nodes)] if nodes > 1 else []))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"three {kafka} sub-clusters", done.stdout)
        state = self.read_state()
        processes = family(state["pid"])
        names = sorted(name for name, _ in processes.values())
        broker = {"embedded": "embedded_kafka", "apache": "java"}[kafka]
        self.assertEqual(names.count(broker), 3, names)
        self.assertEqual(names.count("kafed"), nodes, names)
        folder = pathlib.Path(state["folder"])
        self.assertTrue(folder.is_dir())
        return done.stdout, processes, folder

    def read_state(self):
        """What is known of it; {} before it began and after it ended."""
        path = self.state / "state.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def wait_for(self, what, condition, timeout=60):
        deadline = time.monotonic() + timeout
        while not (result := condition()):
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.02)
        return result

    def assert_ends(self, processes, folder):
        done = self.demo("down")
        self.assertEqual((done.returncode, done.stdout.strip()),
                         (0, "down: every process has ended"), done.stderr)
        self.assert_gone(processes, folder)

    def assert_gone(self, processes, folder):
        left = {pid: process for pid, process in processes.items()
                if started_at(pid) == process[1] is not None}
        self.assertEqual(left, {})
        self.assertFalse(folder.exists())
        self.assertEqual(self.read_state(), {})

    def assert_nothing_is_up(self):
        done = self.demo("down")
        self.assertEqual((done.returncode, done.stdout.strip(), done.stderr),
                         (0, "down: nothing is up", ""))

    def run_command(self, command, server):
        """What a line of the printed text prints, run as it is."""
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, text=True,
            capture_output=True, timeout=60,
            env={**os.environ, "KAFED_SERVER": server})
        self.assertEqual(done.returncode, 0, f"{command}: {done.stderr}")
        return done.stdout + done.stderr

    def check_use_and_end(self, kafka):
        self.assert_nothing_is_up()
        said, processes, folder = self.start(kafka)
        server = re.search(r"export KAFED_SERVER=(\S+)", said).group(1)
        commands = COMMAND.findall(said)
        self.assertEqual(len(commands), 4, said)
        answers = [self.run_command(each, server) for each in commands]
        status, route, produced, consumed = answers
        self.assertIn("az1-kafka", status)
        for key in ("nca/ephost_0", "vpc/vpc-0", "elb/lb-0", "orders/42"):
            self.assertIn(key, route)
        self.assertIn("1 of 1 messages acknowledged", produced)
        self.assertIn("hello", consumed.splitlines())
        url = re.search(r"curl (\S+)", said).group(1)
        with urllib.request.urlopen(url, timeout=20) as answer:
            self.assertIn(b"kafed_", answer.read())

        again = self.up()
        self.assertEqual((again.returncode, again.stdout), (1, ""))
        self.assertIn(f"up: it is running already, at {server}; end it with "
                      "./dev down", again.stderr)
        self.assertEqual(family(self.read_state()["pid"]), processes)

        self.assert_ends(processes, folder)
        self.assert_nothing_is_up()

    def test_it_can_be_used_as_it_says_and_ends_on_embedded_kafka(self):
        self.check_use_and_end("embedded")

    def test_it_can_be_used_as_it_says_and_ends_on_apache_kafka(self):
        self.check_use_and_end("apache")

    def test_of_three_nodes_one_can_be_killed_as_it_says(self):
        said, processes, folder = self.start(nodes=3)
        names = [name for name, _ in processes.values()]
        self.assertIn("java", names)  # the ZooKeeper
        server = re.search(r"export KAFED_SERVER=(\S+)", said).group(1)
        self.assertEqual(len(set(server.split(","))), 3, said)
        commands = COMMAND.findall(said)
        self.assertEqual(len(commands), 5, said)
        kill, pid = re.search(r"^  (kill -9 (\d+))$", said,
                              re.MULTILINE).groups()
        self.assertEqual(processes[int(pid)][0], "kafed")
        lost = re.search(r"`unreachable` of (\S+)", said).group(1)

        def nodes():  # {address: its row}
            rows = self.run_command(commands[-1], server).splitlines()[1:]
            return {row.split()[1]: row for row in rows}

        def coordinators():
            return [address for address, row in nodes().items()
                    if " yes " in row]

        self.assertEqual(set(nodes()), set(server.split(",")))
        self.assertEqual(coordinators(), [lost])
        self.run_command(kill, server)
        self.wait_for("it is unreachable",
                      lambda: "unreachable" in nodes()[lost])
        self.wait_for("another coordinator", lambda: len(
            set(coordinators()) - {lost}) == 1)
        for command in commands[:-1]:
            self.run_command(command, server)
        self.wait_for("the end of the node is noticed",
                      lambda: self.read_state().get("ended"))
        again = self.up()
        self.assertIn("but kafed-1 has ended", again.stderr)
        self.assert_ends(processes, folder)
        self.assert_nothing_is_up()

    def test_it_ends_also_when_the_node_was_killed(self):
        _, processes, folder = self.start()
        node = next(pid for pid, (name, _) in processes.items()
                    if name == "kafed")
        os.kill(node, signal.SIGKILL)
        self.wait_for("the end of the node is noticed",
                      lambda: self.read_state().get("ended"))
        again = self.up()
        self.assertEqual(again.returncode, 1)
        self.assertIn("but kafed has ended; end it with ./dev down",
                      again.stderr)
        self.assert_ends(processes, folder)
        self.assert_nothing_is_up()

    def test_it_starts_again_after_its_holder_was_killed(self):
        _, processes, folder = self.start()
        os.kill(self.read_state()["pid"], signal.SIGKILL)
        self.wait_for("its processes end with it", lambda: not any(
            started_at(pid) == process[1] is not None
            for pid, process in processes.items()))
        self.assert_nothing_is_up()
        self.assert_gone(processes, folder)
        self.start()

    def begin(self):
        """An `up` that is not ready yet: it, its processes, its folder."""
        starting = subprocess.Popen(
            [sys.executable, ROOT / "tools/demo.py", "up", "--state",
             self.state, "--hosts", "300", "--preset", BIN.parent.name],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(starting.communicate)
        self.addCleanup(starting.kill)
        pid = self.wait_for("a holder", lambda: self.read_state().get("pid"))
        self.wait_for("a node", lambda: any(
            name == "kafed" for name, _ in family(pid).values()))
        state = self.read_state()
        self.assertNotIn("server", state)
        return starting, family(pid), pathlib.Path(state["folder"])

    def test_an_interrupted_start_leaves_nothing(self):
        starting, processes, folder = self.begin()
        starting.send_signal(signal.SIGINT)
        self.assertNotEqual(starting.wait(timeout=60), 0)
        self.assert_gone(processes, folder)
        self.assert_nothing_is_up()

    def test_it_ends_also_what_is_still_starting(self):
        starting, processes, folder = self.begin()
        self.assert_ends(processes, folder)
        said = starting.communicate(timeout=60)
        self.assertEqual(starting.returncode, 1)
        self.assertEqual(said[0], "")
        self.assertIn("up: it was ended before it was ready", said[1])

    def test_a_start_that_fails_says_why_and_leaves_nothing(self):
        done = self.demo("up", "--preset", "no-such-build")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no-such-build", done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        self.assert_nothing_is_up()


if __name__ == "__main__":
    unittest.main(verbosity=2)
