"""Every bad input: refused with the field named, and nothing is changed.

Two tables, of the admin services' calls and of kafedctl's nouns. After each
row the node's position and the hash of its state are what they were.
"""

import os
import subprocess
import tempfile
import threading
import time
import unittest

from kafed_node import (BIN, Node, admin_pb2, grpc, options, request_id,
                        routing_pb2, types_pb2)

LONG = "x" * 300
CONTROL = "a\x01b"
UNICAST, MULTICAST, RESOURCE, HASHED = (
    getattr(types_pb2, f"TOPIC_KIND_{kind}")
    for kind in ("UNICAST", "MULTICAST", "RESOURCE", "HASHED"))
INVALID, NOT_FOUND, EXISTS, PRECONDITION, EXHAUSTED = (
    grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.RESOURCE_EXHAUSTED)


def cluster(**more):
    spec = {"name": "new", "region": "eu", "zones": ["z1"],
            "bootstrap_servers": "127.0.0.1:1", **more}
    return admin_pb2.AddSubClusterRequest(
        spec=types_pb2.SubClusterSpec(**spec))


def topic(**more):
    return admin_pb2.CreateTopicRequest(
        spec=types_pb2.TopicSpec(**{"name": "new", "kind": HASHED, **more}))


def hosts(*specs, total=None):
    return admin_pb2.ImportHostsRequest(
        total=len(specs) if total is None else total,
        hosts=[types_pb2.HostSpec(**{"region": "eu", **spec})
               for spec in specs])


def instance(**more):
    spec = {"id": "new", "region": "eu",
            "quotas": [types_pb2.Quota(service="port", quota=1)], **more}
    return admin_pb2.AddInstanceRequest(spec=types_pb2.InstanceSpec(**spec))


A = admin_pb2
# (call, request, code, what the message has)
CALLS = [
    # sub-clusters
    ("AddSubCluster", cluster(name=""), INVALID, "name: is empty; expected"),
    ("AddSubCluster", cluster(name=LONG), INVALID, "name: has 300"),
    ("AddSubCluster", cluster(name=CONTROL), INVALID, "name: 'a?b'"),
    ("AddSubCluster", cluster(name="a"), EXISTS, "name: sub-cluster a exists"),
    ("AddSubCluster", cluster(region=""), INVALID, "region: is empty"),
    ("AddSubCluster", cluster(zones=[""]), INVALID, "zones"),
    ("AddSubCluster", cluster(zones=["z1", "z1"]), INVALID, "zones"),
    ("AddSubCluster", cluster(bootstrap_servers=""), INVALID, "bootstrap"),
    ("AddSubCluster", cluster(bootstrap_servers="x"), INVALID, "HOST:PORT"),
    ("AddSubCluster", cluster(bootstrap_servers="x:0"), INVALID, "bootstrap"),
    ("AddSubCluster", cluster(security_ref="../x"), INVALID, "security_ref"),
    ("UpdateSubCluster", A.UpdateSubClusterRequest(name="none", weight=1),
     NOT_FOUND, "name: no sub-cluster is called 'none'"),
    ("UpdateSubCluster", A.UpdateSubClusterRequest(
        name="a", bootstrap_servers="x"), INVALID, "bootstrap_servers"),
    ("RemoveSubCluster", A.RemoveSubClusterRequest(name="none"), NOT_FOUND,
     "name: no sub-cluster is called 'none'"),
    ("RemoveSubCluster", A.RemoveSubClusterRequest(name="a"), PRECONDITION,
     "name: "),
    # topics
    ("CreateTopic", topic(name=""), INVALID, "name: is empty"),
    ("CreateTopic", topic(name=LONG), INVALID, "name: has 300"),
    ("CreateTopic", topic(name=CONTROL), INVALID, "name: 'a?b'"),
    ("CreateTopic", topic(name="nca"), EXISTS, "name: topic nca exists"),
    ("CreateTopic", topic(kind=0), INVALID, "kind"),
    ("CreateTopic", topic(kind=77), INVALID, "kind"),
    ("CreateTopic", topic(partitions=10_000_000), INVALID, "partitions"),
    ("CreateTopic", topic(kind=UNICAST, partitions=3), INVALID, "partitions"),
    ("CreateTopic", topic(limits=types_pb2.Limits(
        partitions_per_topic=2_000_000)), INVALID, "partitions_per_topic"),
    ("CreateTopic", topic(retention_ms=1), INVALID, "retention"),
    ("CreateTopic", topic(replication=100), INVALID, "replication"),
    ("DeleteTopic", A.DeleteTopicRequest(name="none"), NOT_FOUND,
     "name: no topic is called 'none'"),
    ("DescribeTopic", A.DescribeTopicRequest(name="none"), NOT_FOUND,
     "name: no topic is called 'none'"),
    # hosts
    ("ImportHosts", hosts(), INVALID, "hosts: is empty; expected hosts"),
    ("ImportHosts", hosts({"id": ""}), INVALID, "id: is empty; expected"),
    ("ImportHosts", hosts({"id": LONG}), INVALID, "id: has 300 bytes"),
    ("ImportHosts", hosts({"id": CONTROL}), INVALID, "id: 'a?b'"),
    ("ImportHosts", hosts({"id": "a/b"}), INVALID, "id: 'a/b'"),
    ("ImportHosts", hosts({"id": "n"}, {"id": "n"}), INVALID, "n"),
    ("ImportHosts", hosts({"id": "h0"}), EXISTS, "h0"),
    ("ImportHosts", hosts({"id": "n", "region": ""}), INVALID,
     "region: is missing"),
    ("ImportHosts", hosts({"id": "n", "region": "us"}), PRECONDITION,
     "region: no sub-cluster is in region us; add one with"),
    ("ImportHosts", hosts({"id": "n", "zone": CONTROL}), INVALID, "zone"),
    ("ImportHosts", hosts({"id": "n", "labels": {"": "v"}}), INVALID,
     "labels: a name is empty"),
    ("ImportHosts", hosts({"id": "n", "labels": {"l": LONG}}), INVALID,
     "label 'l'"),
    ("ImportHosts", hosts({"id": "n"}, total=7), INVALID,
     "total: 7 hosts were announced, 1 came"),
    ("ImportHosts", hosts(*({"id": f"n{i}"} for i in range(300))), EXHAUSTED,
     "topic nca: region eu has room for"),
    ("RemoveHosts", A.RemoveHostsRequest(), INVALID, "ids"),
    ("RemoveHosts", A.RemoveHostsRequest(ids=["none"]), NOT_FOUND, "none"),
    ("RemoveHosts", A.RemoveHostsRequest(ids=["h1", "none"]), NOT_FOUND,
     "none"),
    ("RemoveHosts", A.RemoveHostsRequest(ids=["h1", "h1"]), None, "'h1'"),
    ("RemoveHosts", A.RemoveHostsRequest(ids=["h0"]), PRECONDITION, "h0"),
    ("RemoveHosts", A.RemoveHostsRequest(ids=[f"h{i}" for i in range(2001)]),
     INVALID, "2000"),
    ("ListHosts", A.ListHostsRequest(page_size=1_000_000), INVALID,
     "page_size: 1000000 is over the maximum"),
    ("ListHosts", A.ListHostsRequest(page_token="zz"), INVALID, "page_token"),
    ("ListHosts", A.ListHostsRequest(region="us"), None, "region: no sub-"),
    ("DescribeHost", A.DescribeHostRequest(id="none"), NOT_FOUND, "none"),
    # VPCs
    ("CreateVpc", A.CreateVpcRequest(id=""), INVALID, "id: is empty"),
    ("CreateVpc", A.CreateVpcRequest(id=LONG), INVALID, "id: has 300"),
    ("CreateVpc", A.CreateVpcRequest(id=CONTROL), INVALID, "id: 'a?b'"),
    ("CreateVpc", A.CreateVpcRequest(id="v"), EXISTS, "v"),
    ("CreateVpc", A.CreateVpcRequest(id="w", region="nowhere"), None,
     "region"),
    ("AddVpcHosts", A.AddVpcHostsRequest(vpc="none", hosts=["h1"]),
     NOT_FOUND, "none"),
    ("AddVpcHosts", A.AddVpcHostsRequest(vpc="v"), INVALID, "hosts"),
    ("AddVpcHosts", A.AddVpcHostsRequest(vpc="v", hosts=["none"]), NOT_FOUND,
     "none"),
    ("AddVpcHosts", A.AddVpcHostsRequest(vpc="v", hosts=["h1", "h1"]),
     INVALID, "h1"),
    ("AddVpcHosts", A.AddVpcHostsRequest(vpc="v", hosts=["h0"]), None, "h0"),
    ("RemoveVpcHosts", A.RemoveVpcHostsRequest(vpc="v", hosts=["h1"]), None,
     "h1"),
    ("DeleteVpc", A.DeleteVpcRequest(id="none"), NOT_FOUND, "none"),
    ("DeleteVpc", A.DeleteVpcRequest(id="v"), PRECONDITION, "v"),
    ("DescribeVpc", A.DescribeVpcRequest(id="none"), NOT_FOUND, "none"),
    # resources, instances, sessions
    ("AddResource", A.AddResourceRequest(topic="none", id="r"), NOT_FOUND,
     "topic: no topic is called 'none'"),
    ("AddResource", A.AddResourceRequest(topic="nca", id="r"), None,
     "topic: nca is not of kind resource"),
    ("AddResource", A.AddResourceRequest(topic="elb", id=""), INVALID,
     "id: is empty"),
    ("AddResource", A.AddResourceRequest(topic="elb", id="lb"), EXISTS, "lb"),
    ("RemoveResource", A.RemoveResourceRequest(topic="elb", id="none"),
     NOT_FOUND, "none"),
    ("AddInstance", instance(id=""), INVALID, "id: is empty"),
    ("AddInstance", instance(id="i"), EXISTS, "i"),
    ("AddInstance", instance(quotas=[]), INVALID, "quotas"),
    ("AddInstance", instance(quotas=[types_pb2.Quota(
        service="port", quota=-1)]), INVALID, "quota"),
    ("AddInstance", instance(quotas=[types_pb2.Quota(
        service="port", quota=float("nan"))]), INVALID, "quota"),
    ("RemoveInstance", A.RemoveInstanceRequest(id="none"), NOT_FOUND, "none"),
    ("EndSession", A.EndSessionRequest(session_id=77), NOT_FOUND, "77"),
    ("Explain", A.ExplainRequest(key="nokey"), INVALID, "TOPIC/ID"),
]

# (words, standard input, exit code, what is said)
COMMANDS = [
    ("cluster describe none", "", 1, "no sub-cluster is called 'none'"),
    ("cluster add a --region eu --zone z1 --bootstrap h:1", "", 1, "name: "),
    ("topic create new --kind hashed --partitions 0x", "", 2, "--partitions"),
    ("topic create new --kind hashed --partitions -1", "", 2, "--partitions"),
    ("topic create new --kind bogus", "", 2, "--kind"),
    ("topic delete none --yes", "", 1, "none"),
    ("host import -", "id,region\nn1,eu\nn2\n", 1,
     "line 3, column 1: has 1 columns; expected 2"),
    ("host import -", "id,region\nn1,eu\nn1,eu\n", 1,
     "line 3, column 1: id: 'n1' was already given in line 2"),
    ("host import - --format jsonl --region eu", '{"id":"n1"}\n{"id":5}\n', 1,
     "line 2, column 7: expected a string for 'id'"),
    ("host import - --region eu", '{"Hosts":[{"id":"n1"},{"ip":"1"}]}', 1,
     "line 1, column 23: the host has no 'id'"),
    ("host import - --skip-bad", "name\nn1\n", 1, "column 1: the first"),
    ("host import - --skip-bad", "id,region\nn1\n", 1, "no host is left"),
    # What the node refuses, --skip-bad does not skip.
    ("host import - --skip-bad", "id,region\nn1,eu\nh0,eu\nbad\n", 1, "h0"),
    ("host describe none", "", 1, "none"),
    ("vpc add-hosts v none", "", 1, "none"),
    ("vpc describe none", "", 1, "none"),
    ("resource add none r", "", 1, "topic: no topic is called 'none'"),
    ("instance add new --region eu --quota port=-1", "", 1,
     "quotas.port: quota must be above 0"),
    ("session end 77 --yes", "", 1, "77"),
    ("route nca/none", "", 1, "nca/none: key:"),
    ("members none", "", 1, "none"),
    ("subscriptions none", "", 1, "none"),
    ("explain nokey", "", 1, "TOPIC/ID"),
    ("produce nca/none", "x\n", 1, "none"),
    ("vpc create new --request-id 12", "", 2, "--request-id"),
]


class BadInputTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="kafed-bad-")
        cls.addClassCleanup(folder.cleanup)
        cls.node = Node(folder.name)
        cls.addClassCleanup(cls.node.stop)
        cls.node.add_cluster("a", "127.0.0.1:1")
        for name, kind in (("vpc", "MULTICAST"), ("elb", "RESOURCE")):
            cls.node.create_topic(name, kind)
        limits = types_pb2.Limits(topics=1, partitions_per_topic=5,
                                  keys_per_partition=10)
        cls.node.admin.CreateTopic(A.CreateTopicRequest(
            options=options(), spec=types_pb2.TopicSpec(
                name="nca", kind=UNICAST, limits=limits)))
        cls.node.add_hosts(["h0", "h1", "h2"])
        cls.node.create_vpc("v")
        cls.node.join("v", ["h0"])
        cls.node.admin.AddResource(A.AddResourceRequest(
            options=options(), topic="elb", id="lb"))
        request = instance(id="i")
        request.options.CopyFrom(options())
        cls.node.admin.AddInstance(request)
        # The background's last change: what could not be reached is known.
        deadline = time.monotonic() + 90
        while not cls.node.admin.ListSubClusters(
                A.ListSubClustersRequest()).sub_clusters[0].reason:
            if time.monotonic() > deadline:
                raise RuntimeError(cls.node.log())
            time.sleep(0.1)

    def state(self):
        status = self.node.admin.Status(A.StatusRequest())
        return status.position.index, status.image_hash

    def call(self, name, request):
        if "options" in request.DESCRIPTOR.fields_by_name and \
                not request.HasField("options"):
            request.options.CopyFrom(options())
        stub = getattr(self.node.admin, name)
        if name == "ImportHosts":
            return list(stub(iter([request]), timeout=60))[-1]
        return stub(request, timeout=60)

    def refused(self, name, request):
        with self.assertRaises(grpc.RpcError) as caught:
            self.call(name, request)
        return caught.exception

    maxDiff = None

    def test_every_call_names_what_is_wrong_and_changes_nothing(self):
        before = self.state()
        wrong = []
        for name, template, code, said in CALLS:
            request = type(template)()
            request.CopyFrom(template)
            try:
                answer = self.call(name, request)
                wrong.append(f"{name}, {said}: answered {answer}")
                continue
            except grpc.RpcError as error:
                if code is not None and error.code() != code:
                    wrong.append(f"{name}: {error.code()} {error.details()}, "
                                 f"expected {code}")
                if said not in error.details():
                    wrong.append(f"{name}: {error.details()}, without {said}")
            if self.state() != before:
                wrong.append(f"{name}, {said}: changed something")
                before = self.state()
        self.assertEqual(wrong, [], "\n".join(wrong))

    def test_every_change_needs_an_id_of_its_own(self):
        before = self.state()
        for name, request in (
                ("AddSubCluster", cluster()), ("CreateTopic", topic()),
                ("ImportHosts", hosts({"id": "n"})),
                ("RemoveHosts", A.RemoveHostsRequest(ids=["h1"])),
                ("CreateVpc", A.CreateVpcRequest(id="w")),
                ("AddVpcHosts", A.AddVpcHostsRequest(vpc="v", hosts=["h1"])),
                ("DeleteVpc", A.DeleteVpcRequest(id="v", cascade=True)),
                ("AddResource", A.AddResourceRequest(topic="elb", id="n")),
                ("AddInstance", instance()),
                ("RemoveInstance", A.RemoveInstanceRequest(id="i"))):
            for identifier, said in (
                    (b"", "options.request_id: is missing"),
                    (b"short", "request_id: "), (bytes(16), "request_id: ")):
                request.options.request_id = identifier
                request.options.dry_run = False
                error = self.refused(name, request)
                self.assertIn(said, error.details(), name)
        self.assertEqual(self.state(), before)

    def test_a_request_id_again_too_old_and_of_another_request(self):
        first = A.CreateVpcRequest(options=options(), id="once", region="eu")
        answer = self.call("CreateVpc", first)
        before = self.state()
        self.assertEqual(self.call("CreateVpc", first), answer)
        other = A.CreateVpcRequest(options=first.options, id="twice")
        error = self.refused("CreateVpc", other)
        self.assertEqual(error.code(), INVALID)
        self.assertIn("request_id: was used for another request before",
                      error.details())
        value = int.from_bytes(request_id(), "big") & (1 << 80) - 1
        for minutes, code, said in ((-11, PRECONDITION, "older than the 10 "),
                                    (4, INVALID, "in the future")):
            at = int((time.time() + 60 * minutes) * 1000) << 80 | value
            error = self.refused("CreateVpc", A.CreateVpcRequest(
                options=A.MutationOptions(request_id=at.to_bytes(16, "big")),
                id="late"))
            self.assertEqual(error.code(), code)
            self.assertIn(said, error.details())
        self.assertEqual(self.state(), before)
        self.call("DeleteVpc", A.DeleteVpcRequest(id="once"))

    def test_of_two_operators_one_is_told_that_the_other_was_first(self):
        for turn in range(20):
            start = threading.Barrier(4)
            outcomes = []

            def change(start=start, outcomes=outcomes, turn=turn):
                start.wait()
                try:
                    self.call("CreateVpc", A.CreateVpcRequest(
                        id=f"race-{turn}", region="eu"))
                    outcomes.append("ok")
                except grpc.RpcError as error:
                    outcomes.append(error.details())
            threads = [threading.Thread(target=change) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(outcomes.count("ok"), 1, outcomes)
            self.assertEqual(sum(f"race-{turn} exists" in text
                                 for text in outcomes), 3, outcomes)
            self.call("DeleteVpc", A.DeleteVpcRequest(id=f"race-{turn}"))

    def test_routes_of_what_there_is_not(self):
        for key in ("", "nca", "/", "nca/", "none/x", "nca/none",
                    "nca/" + LONG, "nca/a\x01"):
            result = self.node.route(key)[0]
            self.assertNotEqual(result.error_code, 0, key)
            self.assertRegex(result.error, "^key: ")
        for keys in ([], ["nca/h0"] * 10_001):
            with self.assertRaises(grpc.RpcError) as caught:
                self.node.routing.Route(routing_pb2.RouteRequest(keys=keys))
            self.assertEqual(caught.exception.code(), INVALID)
            self.assertIn(f"keys: has {len(keys)}, expected 1 to 10000",
                          caught.exception.details())

    def kafedctl(self, words, stdin=""):
        return subprocess.run(
            [BIN / "kafedctl", *words.split()], input=stdin, text=True,
            capture_output=True, timeout=120, check=False,
            env={**os.environ, "KAFED_SERVER": self.node.address})

    def test_every_noun_names_what_is_wrong_and_changes_nothing(self):
        before = self.state()
        wrong = []
        for words, stdin, code, said in COMMANDS:
            done = self.kafedctl(words, stdin)
            if done.returncode != code or said not in done.stderr:
                wrong.append(f"{words}: {done.returncode} {done.stderr}")
        after = self.state()
        self.assertEqual(wrong, [], "\n".join(wrong))
        # `produce` opens and closes a session; nothing else is left.
        self.assertLessEqual(after[0] - before[0], 2)

    def test_data_directories_that_are_not_ours_are_named(self):
        with tempfile.TemporaryDirectory() as folder:
            foreign = os.path.join(folder, "photos")
            os.mkdir(foreign)
            for name in ("photos/one.jpg", "file"):
                with open(os.path.join(folder, name), "w",
                          encoding="ascii") as file:
                    file.write("x")
            data = str(self.node.folder / "data")
            for directory, said in (
                    (data, f"in use by another process (pid "
                     f"{self.node.process.pid})"),
                    (foreign, f"{foreign} is not a data directory of kafed: "
                     "it holds 'one.jpg'"),
                    (os.path.join(folder, "file"), "file")):
                for words in (["serve", "--listen", "127.0.0.1:0",
                               "--http-listen", "off"], ["verify"]):
                    done = subprocess.run(
                        [BIN / "kafed", *words, "--data-dir", directory],
                        capture_output=True, text=True, timeout=60,
                        check=False)
                    self.assertEqual(done.returncode, 1, done.stderr)
                    if words[0] == "serve" or directory == data:
                        self.assertIn(said, done.stderr)
                    self.assertIn(directory, done.stderr)
            self.assertEqual(os.listdir(foreign), ["one.jpg"])

    def test_bad_lines_are_skipped_when_asked(self):
        done = self.kafedctl("host import - --skip-bad --region eu",
                             "id,rack\ns1,7\ns2\ns1,8\ns3,9\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("2 hosts were skipped:\n"
                      "line 3, column 1: has 1 columns; expected 2",
                      done.stderr)
        self.assertIn("line 4, column 1: id: 's1' was already given in line 2",
                      done.stderr)
        self.assertIn("2 hosts added", done.stdout)
        self.call("RemoveHosts", A.RemoveHostsRequest(ids=["s1", "s3"]))


if __name__ == "__main__":
    unittest.main(verbosity=2)
