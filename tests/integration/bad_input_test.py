"""Every bad input: refused with the field named, and nothing is changed.

The rows are in bad_input_rows.py. After each of them the node's position and
every byte of its state are what they were.
"""

import os
import subprocess
import tempfile
import threading
import time
import unittest

from bad_input_rows import (CALLS, COMMANDS, CONTROL, ESCAPE, FUTURE, HUGE,
                            INVALID, LONG, NO_MESSAGE, PRECONDITION, SESSION,
                            SOURCE, UNICAST, cluster, hosts, instance, topic)
from kafed_node import (BIN, Node, admin_pb2, events_pb2, grpc, options,
                        peer_pb2, request_id, routing_pb2, types_pb2)

A, R = admin_pb2, routing_pb2
# The methods of the API by name, and the services they belong to.
METHODS = {
    method.name: service for service in (
        admin_pb2.DESCRIPTOR.services_by_name["Admin"],
        routing_pb2.DESCRIPTOR.services_by_name["Routing"],
        events_pb2.DESCRIPTOR.services_by_name["Events"],
        peer_pb2.DESCRIPTOR.services_by_name["Peer"])
    for method in service.methods}


class BadInputTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="kafed-bad-")
        cls.addClassCleanup(folder.cleanup)
        cls.node = Node(folder.name)
        cls.addClassCleanup(cls.node.stop)
        cls.node.add_cluster("a", "127.0.0.1:1")
        for name, kind in (("vpc", "MULTICAST"), ("elb", "RESOURCE"),
                           ("orders", "HASHED")):
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
        cls.call("AddInstance", instance(id="i"))
        cls.call("OpenSession", R.OpenSessionRequest(source=SOURCE))
        # The background's last change: what could not be reached is known.
        deadline = time.monotonic() + 90
        while not cls.node.admin.ListSubClusters(
                A.ListSubClustersRequest()).sub_clusters[0].reason:
            if time.monotonic() > deadline:
                raise RuntimeError(cls.node.log())
            time.sleep(0.1)

    def state(self):
        """Position, hash and bytes of the image. Of an image that did not
        change, a snapshot has the same bytes each time."""
        status = self.node.admin.Status(A.StatusRequest())
        chunks = self.node.admin.SaveSnapshot(A.SaveSnapshotRequest())
        return (status.position.index, status.image_hash,
                b"".join(chunk.data for chunk in chunks))

    @classmethod
    def call(cls, name, request, timeout=60):
        """The answer, of a stream all answers; `request` as in CALLS."""
        requests = request if isinstance(request, list) else [request]
        if not isinstance(requests[0], bytes):
            requests = [cls.completed(requests[0]), *requests[1:]]
        if isinstance(requests[-1], bytes):
            path = f"/{METHODS[name].full_name}/{name}"
            stub = cls.node.channel.stream_stream(
                path, lambda message: message if isinstance(message, bytes)
                else message.SerializeToString())
            return list(stub(iter(requests), timeout=timeout))
        stub = getattr(getattr(cls.node, METHODS[name].name.lower()), name)
        if isinstance(stub, grpc.StreamStreamMultiCallable):
            return list(stub(iter(requests), timeout=timeout))
        answer = stub(requests[0], timeout=timeout)
        if isinstance(stub, grpc.UnaryStreamMultiCallable):
            return list(answer)
        return answer

    @staticmethod
    def completed(template):
        """The request with what each one must have."""
        request = type(template)()
        request.CopyFrom(template)
        fields = request.DESCRIPTOR.fields_by_name
        if "options" in fields and not request.HasField("options"):
            request.options.CopyFrom(options())
        if "client_time_ms" in fields and request.client_time_ms == 0:
            request.client_time_ms = int(time.time() * 1000)
        return request

    def refused(self, name, request):
        with self.assertRaises(grpc.RpcError) as caught:
            self.call(name, request)
        return caught.exception

    maxDiff = None

    def test_every_call_names_what_is_wrong_and_changes_nothing(self):
        before = self.state()
        wrong = []
        for name, request, code, said in CALLS:
            try:
                answer = self.call(name, request)
                wrong.append(f"{name}, {said}: answered {answer}")
            except grpc.RpcError as error:
                if code is not None and error.code() != code:
                    wrong.append(f"{name}: {error.code()} {error.details()}, "
                                 f"expected {code}")
                if said not in error.details():
                    wrong.append(f"{name}: {error.details()}, without {said}")
                if (len(error.details()) > 500 or
                        not error.details().isprintable()):
                    wrong.append(f"{name}: says back {error.details()!r:.999}")
            if self.state() != before:
                wrong.append(f"{name}, {said}: changed something")
                before = self.state()
        self.assertEqual(wrong, [], "\n".join(wrong))

    def test_no_call_of_the_api_is_left_out(self):
        asked = {name for name, *_ in CALLS}
        self.assertEqual(asked, set(METHODS))
        self.assertEqual(len(METHODS), sum(
            len(service.methods) for service in set(METHODS.values())))

    def test_positions_in_the_future_are_waited_for_and_then_refused(self):
        before = self.state()
        asked = [getattr(self.node.routing, name).future(request, timeout=60)
                 for name, request in (
            ("Route", R.RouteRequest(keys=["nca/h0"], min_position=FUTURE)),
            ("RouteMembers", R.RouteMembersRequest(
                vpc="v", min_position=FUTURE)),
            ("Owner", R.OwnerRequest(vpc="v", min_position=FUTURE)),
            ("Subscriptions", R.SubscriptionsRequest(
                host="h0", min_position=FUTURE)))]
        for answer in asked:
            error = answer.exception()
            self.assertEqual(error.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
            self.assertEqual(
                error.details(), f"min_position: this node is at 1:{before[0]}"
                f", asked for 1:{FUTURE.index}")
        self.assertEqual(self.state(), before)

    def test_every_change_needs_an_id_of_its_own(self):
        before = self.state()
        # But for the id nothing is wrong with them, except that `a` is in use.
        changes = {
            "AddSubCluster": cluster(), "CreateTopic": topic(),
            "UpdateSubCluster": A.UpdateSubClusterRequest(name="a", weight=7),
            "RemoveSubCluster": A.RemoveSubClusterRequest(name="a"),
            "DeleteTopic": A.DeleteTopicRequest(name="orders"),
            "ImportHosts": hosts({"id": "n"}),
            "RemoveHosts": A.RemoveHostsRequest(ids=["h1"]),
            "CreateVpc": A.CreateVpcRequest(id="w"),
            "AddVpcHosts": A.AddVpcHostsRequest(vpc="v", hosts=["h1"]),
            "RemoveVpcHosts": A.RemoveVpcHostsRequest(vpc="v", hosts=["h0"]),
            "DeleteVpc": A.DeleteVpcRequest(id="v", cascade=True),
            "AddResource": A.AddResourceRequest(topic="elb", id="n"),
            "RemoveResource": A.RemoveResourceRequest(topic="elb", id="lb"),
            "AddInstance": instance(),
            "RemoveInstance": A.RemoveInstanceRequest(id="i", cascade=True),
            "EndSession": A.EndSessionRequest(session_id=SESSION),
            "RemoveNode": A.RemoveNodeRequest(node_id=77),
            "FinishUpgrade": A.FinishUpgradeRequest()}
        self.assertEqual(set(changes), {
            name for name, service in METHODS.items() if "options" in
            service.methods_by_name[name].input_type.fields_by_name})
        for name, request in changes.items():
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
                    "nca/" + LONG, "nca/a\x01", "orders/", "orders/" + LONG,
                    "orders/a\x01", "orders/" + HUGE, HUGE, HUGE + "/x",
                    *(topic + name for name in (HUGE, ESCAPE)
                      for topic in ("nca/", "vpc/", "elb/"))):
            result = self.node.route(key)[0]
            self.assertNotEqual(result.error_code, 0, key)
            self.assertRegex(result.error, "^key: ")
            self.assertLess(len(result.error), 200)
            self.assertTrue(result.error.isprintable(), result.error)

    def test_what_gRPC_does_not_tell_from_the_end_of_a_stream(self):
        # Of an import the total tells, but for what follows a whole one.
        self.call("ImportHosts", [self.completed(hosts({"id": "whole"})),
                                  NO_MESSAGE])
        self.call("RemoveHosts", A.RemoveHostsRequest(ids=["whole"]))
        before = self.state()
        self.call("Follow", [R.FollowRequest(), NO_MESSAGE])
        self.assertEqual(self.state(), before)

    def test_one_bad_key_spares_the_others(self):
        good, bad, last = self.node.route("orders/1", "orders/", "orders/a b/c")
        self.assertEqual(bad.error, "key: has no id; expected TOPIC/ID")
        self.assertEqual(bad.targets, [])
        for each in (good, last):
            self.assertEqual(len(each.targets), 1, each)

    def test_positions_with_the_node_s_own_nonce_are_taken(self):
        at = self.node.admin.Status(A.StatusRequest()).position
        self.assertNotEqual(at.nonce, 0)
        self.call("Route", R.RouteRequest(keys=["nca/h0"], min_position=at))
        entries = self.call("Read", events_pb2.ReadEventsRequest(
            **{"from": at, "to": at}))
        self.assertEqual([entry.header.position for entry in entries], [at])

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
            if not done.stderr.replace("\n", "").isprintable():
                wrong.append(f"{words}: says back {done.stderr!r}")
            after = self.state()
            # `produce` opens and closes a session.
            entries = 2 if words.startswith("produce ") else 0
            if after[0] > before[0] + entries or (
                    after[0] == before[0] and after != before):
                wrong.append(f"{words}: changed something")
            before = after
        self.assertEqual(wrong, [], "\n".join(wrong))

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
