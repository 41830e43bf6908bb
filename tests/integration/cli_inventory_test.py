"""kafedctl on what is registered, on what is said of it and on changes."""

import json
import secrets
import time
import unittest

from cli_case import NOBODY, SAMPLES, CliCase


class CliInventoryTest(CliCase):
    def test_setting_up_said_what_it_did(self):
        for done in self.ran:
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

    def test_hosts_with_long_labels(self):
        # More than an entry takes, however it is compressed.
        ids = [f"wide-{i}" for i in range(600)]
        wide = "".join(json.dumps({
            "id": each, "region": "eu", "labels": {
                f"l{n}": secrets.token_urlsafe(180) for n in range(8)}}) + "\n"
            for each in ids)
        self.assertIn("600 hosts added", self.ok(
            "host", "import", "-", "--format", "jsonl", stdin=wide))
        for each in (ids[0], ids[-1]):
            self.ok("host", "describe", each)
        self.ok("host", "remove", *ids, "--yes")

    def test_hosts(self):
        csv = "host,region,zone,rack\nc1,eu,z1,7\nc2,eu,,8\n"
        self.assertIn("2 hosts added",
                      self.ok("host", "import", "-", stdin=csv))
        self.assertIn("1 host would be added", self.ok(
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

    def test_log_status(self):
        log = self.parsed("log", "status")
        self.assertEqual(log["backend"], "local")
        self.assertEqual([link["loglet"] for link in log["links"]], ["local"])
        self.assertGreater(int(log["size_bytes"]), 0)
        text = self.ok("log", "status")
        self.assertRegex(text, r"Health: +ok, answered in \d+\.\d ms")
        self.assertRegex(text, r"Size: +\d+ bytes, no limit")
        self.assertRegex(text, r"local +1:1 +- +open")

    def test_nodes(self):
        node, = self.parsed("node", "list")
        it = node["node_id"]
        self.assertEqual(it, self.parsed("status")["node_id"])
        self.assertTrue(node["coordinator"])
        self.assertTrue(node["reachable"])
        self.assertEqual(node["health"], "ok")
        self.assertRegex(node["position"], r"^1:\d+$")
        heads, row = self.ok("node", "list").splitlines()
        self.assertEqual(heads.split(), [
            "ID", "ADDRESS", "REGION", "VERSION", "FEATURE-LEVEL",
            "COORDINATOR", "POSITION", "LAG", "LAG-MS", "HEALTH"])
        self.assertEqual(row.split()[0], it)
        self.assertEqual(row.split()[5], "yes")
        self.assertEqual(row.split()[-1], "ok")
        self.assertIn("FOLLOWERS", self.ok("node", "list", "-o", "wide"))
        self.assertEqual(self.parsed("node", "describe", it)["node_id"], it)
        self.assertIn(f"node_id: \"{it}\"",
                      self.ok("node", "describe", it, "-o", "yaml"))
        self.fails(1, f"ID: there is no node 77; expected one of {it}",
                   "node", "describe", "77")
        self.fails(2, "--yes", "node", "remove", "77")
        self.fails(1, "node_id: there is no node 77", "node", "remove", "77",
                   "--yes")
        self.fails(1, f"node_id: node {it} answers", "node", "remove", it,
                   "--yes")
        self.assertEqual(len(self.parsed("node", "list")), 1)

    def test_upgrades(self):
        it = self.parsed("upgrade", "status")
        level = self.parsed("status")["feature_level"]
        self.assertEqual(it["feature_level"], level)
        # Its only node made the data directory: there is nothing to raise.
        self.assertEqual(it["finish_raises_to"], level)
        self.assertEqual([n["feature_level"] for n in it["nodes"]], [level])
        self.assertIn("raises nothing", self.ok("upgrade", "status"))
        self.assertIn("dry run, nothing changed", self.ok(
            "upgrade", "finish", "--dry-run"))
        self.assertIn("nothing is to be done", self.ok("upgrade", "finish"))
        self.assertEqual(self.parsed("status")["feature_level"], level)

    def test_the_same_request_id_changes_nothing_twice(self):
        number = int(time.time() * 1000) << 80 | 7 << 76 | 2 << 62 | 12345
        words = ("vpc", "create", "once", "--request-id", f"{number:032x}")
        first = self.parsed(*words)
        self.assertEqual(self.parsed(*words), first)
        self.fails(1, "once", "vpc", "create", "once")
        self.ok("vpc", "delete", "once", "--yes")

    def test_a_dry_run_stands_where_it_was_planned(self):
        before = self.parsed("status")["position"]
        dry = self.parsed("vpc", "create", "dry", "--dry-run")["position"]
        after = self.parsed("status")["position"]
        index = [int(p.split(":")[1]) for p in (before, dry, after)]
        self.assertLessEqual(index[0], index[1])
        self.assertLessEqual(index[1], index[2])


if __name__ == "__main__":
    unittest.main(verbosity=2)
