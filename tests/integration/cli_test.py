"""Every verb of kafedctl against a real node and an embedded Kafka.

Python's standard library only, as an operator's script would be.
"""

import json
import os
import pathlib
import signal
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


class CliTest(unittest.TestCase):
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
        node = Process([BIN / "kafed", "serve",
                        "--data-dir", cls.path / "data",
                        "--listen", "127.0.0.1:0", "--http-listen", "off",
                        "--free-space-floor-bytes", "1048576",
                        "--reconcile-interval-ms", "300"],
                       cls.path / "node.log")
        cls.addClassCleanup(node.stop)
        cls.server = node.line.removeprefix("listening on ")
        # What all tests stand on; adding it is a test in itself.
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

    @classmethod
    def run_cli(cls, *words, stdin="", env=None):
        """The finished process; stdin is never a terminal."""
        environment = {**os.environ, "KAFED_SERVER": cls.server, **(env or {})}
        return subprocess.run(
            [BIN / "kafedctl", *map(str, words)], input=stdin, text=True,
            capture_output=True, env=environment, timeout=PATIENCE_S * 2)

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

    def test_setting_up_said_what_it_did(self):
        for done in self.ran:
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, r"\(position 1:\d+\)\n$")
        self.assertIn("200 hosts added", self.ran[-1].stdout)

    def test_clusters(self):
        listed = self.parsed("cluster", "list")
        self.assertEqual([c["spec"]["name"] for c in listed], ["eu1-a"])
        self.assertEqual(listed[0]["spec"]["zones"], ["z1", "z2"])
        described = self.ok("cluster", "describe", "eu1-a")
        self.assertIn(self.bootstrap, described)
        self.ok("cluster", "update", "eu1-a", "--weight", "150",
                "--failover-permille", "1200")
        it = self.parsed("cluster", "describe", "eu1-a")
        self.assertEqual(it["spec"]["weight"], 150)
        self.assertEqual(it["spec"]["profile"]["failover_permille"], 1200)
        self.fails(1, "name:", "cluster", "add", "eu1-a", "--region", "eu",
                   "--zone", "z1", "--bootstrap", self.bootstrap)
        self.fails(1, "name:", "cluster", "describe", "none")
        self.fails(1, "name:", "cluster", "remove", "none", "--yes")
        self.fails(1, "eu1-a", "cluster", "remove", "eu1-a", "--yes")
        self.fails(2, "--yes", "cluster", "remove", "eu1-a")
        self.fails(2, "nothing to change", "cluster", "update", "eu1-a")
        self.ok("cluster", "add", "us1-a", "--region", "us", "--zone", "z9",
                "--bootstrap", NOBODY)
        self.ok("cluster", "remove", "us1-a", "-y")
        self.assertEqual(len(self.parsed("cluster", "list")), 1)

    def test_topics(self):
        self.assertEqual({t["spec"]["name"] for t in self.parsed(
            "topic", "list")} & {"nca", "vpc", "elb", "orders"},
            {"nca", "vpc", "elb", "orders"})
        it = self.parsed("topic", "describe", "orders")
        self.assertEqual(len(it["partitions"]), 4)
        self.assertEqual(it["topic"]["spec"]["retention_ms"], "86400000")
        self.assertIn("0-536870911", self.ok("topic", "describe", "orders"))
        self.fails(1, "none", "topic", "describe", "none")
        self.fails(1, "name", "topic", "create", "a b", "--kind", "hashed")
        before = len(self.parsed("topic", "list"))
        self.assertIn("dry run, nothing changed", self.ok(
            "topic", "create", "tmp", "--kind", "hashed", "--dry-run"))
        self.assertEqual(len(self.parsed("topic", "list")), before)
        self.ok("topic", "create", "tmp", "--kind", "hashed",
                "--lease-ttl", "5s", "--on-lease-end", "continue")
        self.fails(2, "--yes", "topic", "delete", "tmp")
        self.ok("topic", "delete", "tmp", "--yes")
        self.fails(1, "tmp", "topic", "delete", "tmp", "--yes")

    def test_hosts(self):
        csv = "host,region,zone,rack\nc1,eu,z1,7\nc2,eu,,8\n"
        self.assertIn("2 hosts added",
                      self.ok("host", "import", "-", stdin=csv))
        self.assertIn("1 host would be added in 1 entry", self.ok(
            "host", "add", "one", "--region", "eu", "--dry-run"))
        lines = ('{"id":"j1","region":"eu","zone":"z2","labels":{"a":"b"}}\n'
                 '{"id":"j2","region":"eu"}\n')
        self.ok("host", "import", "-", "--format", "jsonl", stdin=lines)
        infos = {"host_infos": [{"node_id": "n1", "node_name": "one",
                                 "local_ip": "10.0.0.1", "server_port": 80}]}
        file = self.path / "infos.json"
        file.write_text(json.dumps(infos))
        self.ok("host", "import", file, "--region", "eu")
        self.ok("host", "add", "a1", "--region", "eu", "--zone", "z1",
                "--label", "rack=9", "--label", "name=x")
        listed = {h["host"]["id"]: h for h in self.parsed("host", "list")}
        for name in ("ephost_0", "c1", "c2", "j1", "j2", "n1", "a1"):
            self.assertEqual(listed[name]["home"], "eu1-a")
        self.assertEqual(listed["c1"]["host"]["labels"], {"rack": "7"})
        self.assertEqual(listed["n1"]["host"]["labels"]["node_name"], "one")
        self.assertEqual(listed["a1"]["host"]["labels"],
                         {"rack": "9", "name": "x"})
        self.fails(1, "region: no sub-cluster is in region 'us'; there are: "
                   "eu", "host", "list", "--region", "us")
        self.assertGreaterEqual(
            len(self.parsed("host", "list", "--home", "eu1-a")), 206)
        table = self.ok("host", "list", "-o", "wide").splitlines()
        self.assertEqual(table[0].split()[:4], ["ID", "REGION", "ZONE",
                                                "HOME"])
        self.assertEqual(table[1:], sorted(table[1:]))
        self.assertIn("rack=9", self.ok("host", "describe", "a1"))
        self.fails(2, "--yes", "host", "remove", "c1", "c2")
        self.ok("host", "remove", "c1", "c2", "j1", "j2", "n1", "a1", "-y")
        self.fails(1, "c1", "host", "describe", "c1")

    def test_imports_are_all_or_nothing(self):
        before = len(self.parsed("host", "list"))
        done = self.fails(
            1, "line 3, column 4: has 2 columns; expected 3",
            "host", "import", "-", stdin="id,region,zone\nx1,eu,z1\nx2,eu\n")
        self.assertIn("nothing was sent", done.stderr)
        self.fails(1, "line 2, column 1: region", "host", "import",
                   SAMPLES / "alcor-compute-hosts.csv")
        self.fails(1, "no-such-file", "host", "import", "no-such-file")
        self.fails(1, "ephost_0", "host", "import", "-", "--region", "eu",
                   stdin="id\nx1\nephost_0\n")
        self.fails(1, "region", "host", "import", "-", "--region", "nowhere",
                   stdin="id\nx1\n")
        self.assertIn("dry run", self.ok(
            "host", "import", "-", "--region", "eu", "--dry-run",
            stdin="id\nx1\n"))
        self.assertEqual(len(self.parsed("host", "list")), before)

    def test_many_hosts_need_many_messages_and_pages(self):
        rows = "".join(f"m{i:05d},r{i % 40}\n" for i in range(9000))
        self.ok("host", "import", "-", "--region", "eu",
                stdin="id,rack\n" + rows)
        listed = [h["host"]["id"] for h in self.parsed("host", "list")]
        self.assertEqual(len(listed), len(set(listed)))
        self.assertEqual(sum(i.startswith("m") for i in listed), 9000)
        many = [f"m{i:05d}" for i in range(9000)]
        for at in range(0, 9000, 2000):
            self.ok("host", "remove", "--yes", *many[at:at + 2000])
        self.fails(1, "2000", "host", "remove", "--yes", *many[:2001])

    def test_vpcs(self):
        self.ok("vpc", "create", "v1", "--region", "eu")
        said = self.ok("vpc", "add-hosts", "v1", "ephost_1", "ephost_2",
                       "--vms", "ephost_1=vm1,vm2")
        self.assertIn("Membership version: 1", said)
        self.assertIn("New homes:", said)
        it = self.parsed("vpc", "describe", "v1")
        self.assertEqual(set(it["hosts"]), {"ephost_1", "ephost_2"})
        self.assertIn("v1", [v["id"] for v in self.parsed("vpc", "list")])
        members = self.parsed("members", "v1")
        vms = {h["id"]: h["vms"] for g in members["groups"]
               for h in g["hosts"]}
        self.assertEqual(vms, {"ephost_1": ["vm1", "vm2"], "ephost_2": []})
        self.assertIn("ephost_1{vm1,vm2}", self.ok("members", "v1",
                                                   "--topic", "nca"))
        self.wait_ready()
        topics = {s["topic"] for s in self.parsed(
            "subscriptions", "ephost_1")["subscriptions"]}
        self.assertEqual(topics, {"nca", "vpc"})
        self.assertIn("v1@", self.ok("subscriptions", "ephost_1"))
        self.fails(1, "v1", "vpc", "delete", "v1", "--yes")
        self.fails(1, "ephost_1", "host", "remove", "ephost_1", "--yes")
        self.fails(2, "--yes", "vpc", "remove-hosts", "v1", "ephost_2")
        self.ok("vpc", "remove-hosts", "v1", "ephost_2", "--yes")
        self.ok("vpc", "delete", "v1", "--cascade", "--yes")
        self.fails(1, "v1", "vpc", "describe", "v1")
        self.fails(1, "none", "vpc", "add-hosts", "none", "ephost_1")
        self.fails(1, "none", "subscriptions", "none")

    def test_resources(self):
        self.ok("resource", "add", "elb", "lb-1", "--region", "eu")
        self.ok("resource", "add", "elb", "lb-2")
        listed = self.parsed("resource", "list", "elb")
        self.assertEqual({r["id"] for r in listed}, {"lb-1", "lb-2"})
        self.assertEqual(len({r["partition"] for r in listed}), 2)
        self.fails(1, "lb-1", "resource", "add", "elb", "lb-1")
        self.fails(1, "nca", "resource", "add", "nca", "lb-3")
        self.fails(2, "--yes", "resource", "remove", "elb", "lb-1")
        self.ok("resource", "remove", "elb", "lb-1", "--yes")
        self.ok("resource", "remove", "elb", "lb-2", "--yes")
        self.assertEqual(self.parsed("resource", "list"), [])
        self.fails(1, "topic: no topic is called 'none'", "resource", "list",
                   "none")
        self.fails(1, "topic: nca is not of kind resource", "resource",
                   "list", "nca")

    def test_instances(self):
        self.ok("instance", "add", "i1", "--region", "eu", "--zone", "z1",
                "--quota", "port=100:2:0.5", "--quota", "subnet=50")
        self.ok("vpc", "create", "owned")
        it = self.parsed("instance", "list")[0]
        self.assertEqual(it["spec"]["quotas"][0]["cost"], 2)
        self.assertGreaterEqual(int(it["vpcs"]), 1)
        self.assertEqual(self.parsed(
            "instance", "report", "i1", "--used", "port=99",
            "--vpc", "owned")["overloaded"], True)
        self.fails(1, "none", "instance", "report", "none", "--used", "a=1")
        self.fails(1, "load: service 'nope' is none of instance i1; it has: "
                   "port, subnet", "instance", "report", "i1", "--used",
                   "nope=1")
        self.fails(2, "--used", "instance", "report", "i1", "--used",
                   "port=-1")
        self.fails(1, "region: no sub-cluster is in region 'nope'",
                   "instance", "add", "i2", "--region", "nope", "--quota",
                   "port=1")
        self.fails(1, "i1", "instance", "remove", "i1", "--yes")
        self.ok("instance", "remove", "i1", "--cascade", "--yes")
        self.ok("vpc", "delete", "owned", "--yes")
        self.assertEqual(self.parsed("instance", "list"), [])

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
        producer = subprocess.Popen(
            [BIN / "kafedctl", "--server", self.server, "produce",
             "orders/7"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
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
        finally:
            producer.kill()
            producer.communicate()

    def test_a_signal_finishes_what_was_produced(self):
        self.wait_ready()
        for number in (signal.SIGINT, signal.SIGTERM):
            producer = subprocess.Popen(
                [BIN / "kafedctl", "--server", self.server, "produce",
                 "orders/8"], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True)
            watchdog = threading.Timer(PATIENCE_S, producer.kill)
            watchdog.start()
            try:
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
            finally:
                watchdog.cancel()
                producer.kill()
                producer.communicate()
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
        follower = subprocess.Popen(
            [BIN / "kafedctl", "--server", self.server, "events", "--follow",
             "--from", self.parsed("status")["position"]],
            stdout=subprocess.PIPE, text=True)
        # Ends the reading below if nothing comes.
        watchdog = threading.Timer(PATIENCE_S, follower.kill)
        watchdog.start()
        try:
            self.ok("vpc", "create", "seen")
            line = "begin"
            while line and "vpc_created" not in line:
                line = follower.stdout.readline()
            self.assertIn('"seen"', line)
        finally:
            watchdog.cancel()
            follower.kill()
            follower.communicate()
        self.ok("vpc", "delete", "seen", "--yes")

    def test_snapshots(self):
        image = self.path / "image"
        said = self.ok("snapshot", "save", image)
        self.assertIn("(verified)", said)
        view = self.parsed("snapshot", "save", self.path / "view",
                           "--route-view")
        self.assertEqual(view["content"], "route view")
        self.assertEqual(view["tables"]["sub_cluster"], 1)
        # Offline: no node is asked.
        info = self.parsed("snapshot", "info", image, "--server", NOBODY)
        self.assertEqual(info["content"], "image")
        self.assertGreaterEqual(info["tables"]["hosts"], 200)
        content = bytearray(image.read_bytes())
        content[len(content) // 2] ^= 1
        broken = self.path / "broken"
        broken.write_bytes(content)
        self.fails(1, "broken", "snapshot", "info", broken)
        broken.write_bytes(bytes(content[:100]))
        self.fails(1, "broken", "snapshot", "info", broken)
        self.fails(1, "none", "snapshot", "info", self.path / "none")
        self.fails(1, "cannot write", "snapshot", "save",
                   self.path / "no" / "folder")

    def test_status(self):
        it = self.parsed("status")
        self.assertRegex(it["position"], r"^1:\d+$")
        self.assertRegex(it["image_hash"], "^[0-9a-f]{32}$")
        self.assertEqual(it["sub_clusters"][0]["spec"]["name"], "eu1-a")
        self.assertIn("sub-cluster eu1-a", self.ok("status"))
        self.assertIn("vpc_members", self.ok("status", "-o", "wide"))
        self.assertIn("position: \"1:", self.ok("status", "-o", "yaml"))

    def test_the_same_request_id_changes_nothing_twice(self):
        number = int(time.time() * 1000) << 80 | 7 << 76 | 2 << 62 | 12345
        words = ("vpc", "create", "once", "--request-id", f"{number:032x}")
        first = self.parsed(*words)
        self.assertEqual(self.parsed(*words), first)
        self.fails(1, "once", "vpc", "create", "once")
        self.ok("vpc", "delete", "once", "--yes")

    def serve(self, name, *flags):
        node = Process([BIN / "kafed", "serve", "--data-dir",
                        self.path / name, "--listen", "127.0.0.1:0",
                        "--http-listen", "off", "--free-space-floor-bytes",
                        "1048576", *flags], self.path / f"{name}.log")
        self.addCleanup(node.stop)
        return node, node.line.removeprefix("listening on ")

    def test_a_stopped_node_is_waited_for(self):
        node, address = self.serve("stopped")
        node.process.send_signal(signal.SIGSTOP)
        try:
            begun = time.monotonic()
            self.fails(1, f"no node answers at {address} within 4s",
                       "status", "--server", address, "--timeout", "4s")
            self.assertGreaterEqual(time.monotonic() - begun, 3.9)
        finally:
            node.process.send_signal(signal.SIGCONT)
        self.ok("status", "--server", address)

    def test_a_node_that_shuts_down_ends_its_streams(self):
        node, address = self.serve("ending")
        follower = subprocess.Popen(
            [BIN / "kafedctl", "--server", address, "events", "--follow"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        watchdog = threading.Timer(PATIENCE_S, follower.kill)
        watchdog.start()
        try:
            self.assertIn("incarnation_began", follower.stdout.readline())
            begun = time.monotonic()
            node.process.terminate()
            self.assertEqual(node.process.wait(), 0)
            self.assertLess(time.monotonic() - begun, 3)
            _, error = follower.communicate()
            self.assertIn("the node is shutting down", error)
            self.assertEqual(follower.returncode, 1)
        finally:
            watchdog.cancel()
            follower.kill()
            follower.communicate()

    def kafed_fails(self, code, text, *words):
        done = subprocess.run([BIN / "kafed", *map(str, words)], text=True,
                              capture_output=True, timeout=PATIENCE_S)
        self.assertEqual(done.returncode, code, done.stderr)
        for line in done.stderr.splitlines():
            # Its log, and what it says at the end; nothing of libraries.
            self.assertRegex(line, r"^(\d{4}-\d\d-\S+Z |kafed: |See 'kafed)")
        self.assertIn(text, done.stderr)

    def test_a_node_that_does_not_start_says_why(self):
        serve = ("serve", "--http-listen", "off", "--data-dir",
                 self.path / "not-started", "--listen")
        self.kafed_fails(1, f"listen: can't listen on {self.server}: the port "
                         "is in use", *serve, self.server)
        self.kafed_fails(1, "not one of this machine", *serve, "192.0.2.1:1")
        self.kafed_fails(1, "host 'x.invalid' is not known", *serve,
                         "x.invalid:1")
        self.kafed_fails(2, "is a folder", *serve, "127.0.0.1:0", "--config",
                         self.path)
        config = self.path / "twice.yaml"
        config.write_text("log_level: info\nlog_level: debug\n")
        self.kafed_fails(2, "log_level: is given twice (again in line 2)",
                         *serve, "127.0.0.1:0", "--config", config)
        self.kafed_fails(1, "is not a data directory of kafed", "serve",
                         "--data-dir", SAMPLES, "--listen", "127.0.0.1:0",
                         "--http-listen", "off")
        self.kafed_fails(2, "kafed: a command is missing")
        self.kafed_fails(2, "'bogus' is no command", "bogus")
        self.kafed_fails(2, "'--bogus' was not expected", "serve", "--bogus")
        self.kafed_fails(2, "See 'kafed restore --help'", "restore")

    def test_a_proxy_is_not_asked(self):
        proxy = {"http_proxy": f"http://{self.server}", "no_proxy": ""}
        self.ok("status", env=proxy)
        self.fails(1, "no node answers at 192.0.2.1:7420", "status",
                   "--server", "192.0.2.1:7420", "--timeout", "300ms",
                   env=proxy)

    def test_the_embedded_kafka_says_when_it_ends(self):
        done = subprocess.run([BIN / "embedded_kafka", "--help"], text=True,
                              capture_output=True, timeout=PATIENCE_S)
        self.assertEqual(done.returncode, 0)
        self.assertIn("--detached", done.stdout)
        self.assertIn("ends with the\nprocess that started it", done.stdout)

    def test_bad_arguments_of_the_shell(self):
        done = subprocess.run(
            [BIN / "kafedctl", "vpc", "create", b"a\xff", "--server",
             self.server], capture_output=True, timeout=PATIENCE_S)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(done.stderr,
                         b"kafedctl: argument 'a?' is not UTF-8\n")
        self.fails(1, "begins with '__'", "topic", "create",
                   "__consumer_offsets", "--kind", "hashed")
        self.fails(1, "HOST:PORT", "cluster", "add", "c", "--region", "eu",
                   "--zone", "z", "--bootstrap", "http://x:9092")
        self.fails(1, "vms of host 'ephost_9': 'a?' holds a control", "vpc",
                   "add-hosts", self.vpc("odd"), "ephost_9", "--vms",
                   "ephost_9=a\n")

    def vpc(self, name):
        self.ok("vpc", "create", name)
        self.addCleanup(self.ok, "vpc", "delete", name, "--cascade", "--yes")
        return name

    def test_a_dry_run_stands_where_it_was_planned(self):
        before = self.parsed("status")["position"]
        dry = self.parsed("vpc", "create", "dry", "--dry-run")["position"]
        after = self.parsed("status")["position"]
        index = [int(p.split(":")[1]) for p in (before, dry, after)]
        self.assertLessEqual(index[0], index[1])
        self.assertLessEqual(index[1], index[2])

    def test_servers(self):
        for flag in (("--server", NOBODY), ()):
            done = self.fails(1, f"no node answers at {NOBODY}", "status",
                              *flag, env={"KAFED_SERVER": NOBODY})
            self.assertIn("is kafed running there?", done.stderr)
        self.fails(1, NOBODY, "produce", "orders/1", "--server", NOBODY)
        self.fails(1, NOBODY, "events", "--server", NOBODY)
        # The first of several that answers.
        self.ok("status", "--server", f"{NOBODY},{self.server}")
        self.ok("--timeout", "5s", "status")

    def test_wrong_usage(self):
        for words in ((), ("bogus",), ("cluster",), ("cluster", "bogus"),
                      ("cluster", "add"), ("topic", "create", "t"),
                      ("host", "list", "-o", "xml"), ("route",),
                      ("status", "--timeout", "5"),
                      ("vpc", "add-hosts", "v1"),
                      ("vpc", "add-hosts", "v1", "h", "--vms", "x=y"),
                      ("produce", "nokey"), ("consume", "nokey"),
                      ("consume", "nca/x", "-f", "%z"),
                      ("events", "--from", "x"),
                      ("vpc", "create", "v", "--request-id", "12")):
            self.fails(2, "", *words)

    def test_the_reference_page_is_current(self):
        page = ROOT / "docs" / "reference" / "cli.md"
        self.assertEqual(self.ok("reference"), page.read_text())
        self.assertTrue(self.ok("version").startswith("kafedctl "))
        self.assertTrue(self.ok("--version").startswith("kafedctl "))


if __name__ == "__main__":
    unittest.main(verbosity=2)
