"""What bad_input_test.py asks: two tables, of the API's calls and of kafedctl.

A row says how the refusal reads. Its request is a message, a list of those
of a stream, or bytes that are no message, also in a list. The test adds what
each request, the first of a stream, must have: a request id, the time.
"""

from kafed_node import (admin_pb2, events_pb2, grpc, options, peer_pb2,
                        routing_pb2, types_pb2)

LONG = "x" * 300
CONTROL = "a\x01b"
# Names that must not be said back as they are: longer than an answer's header
# may be, and what a terminal acts on; and how they are said back.
HUGE = "y" * 100_000
ESCAPE = "no\x1b[31m"
UNFIT = ((HUGE, f"'{'y' * 40}...'"), (ESCAPE, "'no?[31m'"))
UNICAST, MULTICAST, RESOURCE, HASHED = (
    getattr(types_pb2, f"TOPIC_KIND_{kind}")
    for kind in ("UNICAST", "MULTICAST", "RESOURCE", "HASHED"))
(INVALID, NOT_FOUND, EXISTS, PRECONDITION, EXHAUSTED, DENIED, BEYOND, LATER,
 UNDECODABLE) = (
    grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.UNAVAILABLE,
    # What gRPC itself answers.
    grpc.StatusCode.UNIMPLEMENTED)
# A field that is longer than the message that holds it.
NO_MESSAGE = b"\x0a\x7f"
# Who opened the one session that there is, and its number.
SOURCE = b"s" * 16
SESSION = 1


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


def report(**more):
    return admin_pb2.ReportInstanceRequest(**{"id": "i", **more})


def used(service, amount):
    return types_pb2.Quota(service=service, used=amount)


def position(index, incarnation=1):
    return types_pb2.Position(incarnation=incarnation, index=index)


def session(**more):
    return routing_pb2.OpenSessionRequest(
        **{"source": b"new" + bytes(13), **more})


def follow(**more):
    return routing_pb2.FollowRequest(**more)


def events(**more):
    return events_pb2.ReadEventsRequest(**more)


def close(*counts):
    return routing_pb2.CloseSessionRequest(
        session_id=SESSION, source=SOURCE,
        counts=[types_pb2.SegmentCount(topic_id=of, partition=number,
                                       epoch=epoch, acknowledged=1)
                for of, number, epoch in counts])


# The first epoch of a partition, the 12 partitions of topic 3 (orders), and a
# position of an incarnation with the node's counter that is not the node's.
EPOCH = (1 << 32) + 1
OTHER = types_pb2.Position(incarnation=1, nonce=7, index=1)
# Further than any log of a test; min_position has a test of its own.
FUTURE = position(1 << 40)
A, R, P = admin_pb2, routing_pb2, peer_pb2
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
    ("AddSubCluster", cluster(zones=[f"z{i}" for i in range(10_000)]), INVALID,
     "zones: has 10000, at most 64 are allowed"),
    ("AddSubCluster", cluster(admin="embedded:/a\x1b"), INVALID,
     "admin: 'embedded:/a?' holds a control character"),
    ("AddSubCluster", cluster(admin="embedded:/" + LONG), INVALID,
     "admin: has 310 bytes, at most 256 are allowed"),
    ("UpdateSubCluster", A.UpdateSubClusterRequest(
        name="a", bootstrap_servers="x"), INVALID, "bootstrap_servers"),
    *(("UpdateSubCluster", A.UpdateSubClusterRequest(name="a", **none),
       INVALID, "nothing to change was given; expected one at least of")
      for none in ({}, {"profile": types_pb2.Limits()}, {"zones": []})),
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
    ("CreateTopic", topic(region_policy=77), INVALID,
     "region_policy: 77 is not known; expected single-region or multi-region"),
    ("CreateTopic", topic(on_lease_end=77), INVALID,
     "on_lease_end: 77 is not known; expected stop or continue"),
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
    ("DescribeTopic", A.DescribeTopicRequest(
        name="nca", max_partitions=4_000_000_000), INVALID,
     "max_partitions: 4000000000 is over the maximum 10000"),
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
    # A second message makes no import of a dry run, nor changes its total.
    ("ImportHosts", [
        A.ImportHostsRequest(options=options(dry_run=True), total=2,
                             hosts=hosts({"id": "n"}).hosts),
        A.ImportHostsRequest(options=options(),
                             hosts=hosts({"id": "m"}).hosts)],
     INVALID, "options: is given again; expected on the first message only"),
    ("ImportHosts", [hosts({"id": "n"}), hosts({"id": "m"}, total=2)],
     INVALID, "total: is given again; expected on the first message only"),
    # For gRPC, what can't be decoded is the end of the stream.
    ("ImportHosts", [NO_MESSAGE], INVALID, "options.request_id: is missing"),
    ("ImportHosts", [hosts({"id": "n"}, total=2), NO_MESSAGE], INVALID,
     "total: 2 hosts were announced, 1 came before the stream ended, or a "
     "message that can't be decoded; nothing was added"),
    ("ImportHosts", hosts(*({"id": f"n{i}"} for i in range(300))), EXHAUSTED,
     "topic nca: region eu has room for"),
    ("RemoveHosts", A.RemoveHostsRequest(), INVALID, "ids"),
    ("RemoveHosts", A.RemoveHostsRequest(ids=["none"]), NOT_FOUND, "none"),
    ("RemoveHosts", A.RemoveHostsRequest(ids=["h1", "none"]), NOT_FOUND,
     "none"),
    ("RemoveHosts", A.RemoveHostsRequest(ids=["h1", "h1"]), INVALID,
     "is given twice"),
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
    ("DeleteVpc", A.DeleteVpcRequest(id="none"), NOT_FOUND,
     "id: no VPC is called 'none'; see `kafedctl vpc list`"),
    ("DeleteVpc", A.DeleteVpcRequest(id="v"), PRECONDITION, "v"),
    ("DescribeVpc", A.DescribeVpcRequest(id="none"), NOT_FOUND, "none"),
    ("DescribeVpc", A.DescribeVpcRequest(id="v", max_hosts=4_000_000_000),
     INVALID, "max_hosts: 4000000000 is over the maximum 100000"),
    # resources, instances, sessions
    ("AddResource", A.AddResourceRequest(topic="none", id="r"), NOT_FOUND,
     "topic: no topic is called 'none'"),
    ("AddResource", A.AddResourceRequest(topic="nca", id="r"), None,
     "topic: nca is not of kind resource"),
    ("AddResource", A.AddResourceRequest(topic="elb", id=""), INVALID,
     "id: is empty"),
    ("AddResource", A.AddResourceRequest(topic="elb", id="lb"), EXISTS, "lb"),
    *(("AddResource", A.AddResourceRequest(topic="elb", id="r",
                                           **{field: name}),
       INVALID, f"{field}: {said}") for field in ("region", "zone")
      for name, said in ((CONTROL, "'a?b' holds a character other than"),
                         (HUGE, "has 100000 characters, at most 64"))),
    ("AddResource", A.AddResourceRequest(topic="elb", id="r", region="us"),
     PRECONDITION, "region: topic elb is not in region us"),
    ("RemoveResource", A.RemoveResourceRequest(topic="elb", id="none"),
     NOT_FOUND, "none"),
    ("AddInstance", instance(id=""), INVALID, "id: is empty"),
    ("AddInstance", instance(id="i"), EXISTS, "i"),
    ("AddInstance", instance(quotas=[]), INVALID, "quotas"),
    ("AddInstance", instance(quotas=[types_pb2.Quota(
        service="port", quota=-1)]), INVALID, "quota"),
    ("AddInstance", instance(quotas=[types_pb2.Quota(
        service="port", quota=float("nan"))]), INVALID, "quota"),
    ("AddInstance", instance(quotas=[types_pb2.Quota(
        service="port", quota=1)] * 2), INVALID,
     "quotas: service 'port' is given twice"),
    ("AddInstance", instance(quotas=[types_pb2.Quota(
        service=f"s{i}", quota=1) for i in range(10_000)]), INVALID,
     "quotas: has 10000, at most 64 are allowed"),
    ("RemoveInstance", A.RemoveInstanceRequest(id="none"), NOT_FOUND, "none"),
    ("EndSession", A.EndSessionRequest(session_id=77), NOT_FOUND, "77"),
    # what is read
    ("Explain", A.ExplainRequest(key="nokey"), INVALID, "TOPIC/ID"),
    ("Explain", A.ExplainRequest(key="none/x"), NOT_FOUND,
     "key: no topic is called 'none'"),
    ("Explain", A.ExplainRequest(key="nca/none"), NOT_FOUND,
     "key: no host is called 'none'"),
    ("Explain", A.ExplainRequest(key="orders/"), INVALID,
     "key: has no id; expected TOPIC/ID"),
    ("Explain", A.ExplainRequest(key="orders/" + LONG), INVALID,
     "key: has 300 bytes, at most 128 are allowed"),
    ("Explain", A.ExplainRequest(key="orders/" + CONTROL), INVALID,
     "key: 'a?b' holds a control character"),
    ("ListSubClusters", A.ListSubClustersRequest(name="none"), NOT_FOUND,
     "name: no sub-cluster is called 'none'"),
    ("ListSubClusters", A.ListSubClustersRequest(name=LONG), NOT_FOUND,
     "name: no sub-cluster is called 'xxx"),
    ("ListHosts", A.ListHostsRequest(home="none"), NOT_FOUND,
     "home: no sub-cluster is called 'none'"),
    ("ListVpcs", A.ListVpcsRequest(page_size=10_001), INVALID,
     "page_size: 10001 is over the maximum 10000"),
    ("ListVpcs", A.ListVpcsRequest(page_token="-1"), INVALID, "page_token: "),
    ("ListVpcs", A.ListVpcsRequest(page_token="f" * 17), INVALID,
     "page_token: "),
    ("ListResources", A.ListResourcesRequest(topic="none"), NOT_FOUND,
     "topic: no topic is called 'none'"),
    ("ListResources", A.ListResourcesRequest(topic="nca"), INVALID,
     "topic: nca is not of kind resource"),
    ("ListResources", A.ListResourcesRequest(page_size=4_000_000_000),
     INVALID, "page_size: 4000000000 is over the maximum 10000"),
    ("ListResources", A.ListResourcesRequest(page_token=LONG), INVALID,
     "page_token: "),
    ("ReportInstance", report(id="none"), NOT_FOUND,
     "id: no instance is called 'none'"),
    ("ReportInstance", report(load=[used("none", 1)]), NOT_FOUND,
     "load: service 'none' is none of instance i; it has: port"),
    ("ReportInstance", report(load=[used("port", -1)]), INVALID,
     "load: service 'port': used is -1"),
    ("ReportInstance", report(load=[used("port", float("inf"))]), INVALID,
     "load: service 'port': used is inf; expected a number"),
    ("ReportInstance", report(load=[used("port", 1), used("port", 1)]),
     INVALID, "load: service 'port' is given twice"),
    ("ReportInstance", report(vpcs=["v", "none"]), NOT_FOUND,
     "vpcs: no VPC is called 'none'"),
    ("ReportInstance", report(vpcs=["v", "v"]), INVALID,
     "vpcs: 'v' is given twice"),
    # requests without a field, or with one that cannot be wrong
    *((call, NO_MESSAGE, UNDECODABLE, "") for call in (
        "ListTopics", "ListInstances", "ListSessions", "Status",
        "SaveSnapshot", "ListNodes", "Nodes", "FinishUpgrade", "State",
        "DescribeLog")),
    # nodes
    ("RemoveNode", A.RemoveNodeRequest(node_id=77), NOT_FOUND,
     "node_id: there is no node 77"),
    ("RemoveNode", NO_MESSAGE, UNDECODABLE, ""),
    ("FetchSnapshot", P.FetchSnapshotRequest(
        snapshot=types_pb2.Position(incarnation=9, index=9)), NOT_FOUND, ""),
    ("FetchSnapshot", P.FetchSnapshotRequest(min_index=2**63), LATER,
     "min_index: this node is not at 9223372036854775808 yet"),
    # routes
    ("Route", R.RouteRequest(), INVALID, "keys: has 0, expected 1 to 10000"),
    ("Route", R.RouteRequest(keys=["nca/h0"] * 10_001), INVALID,
     "keys: has 10001, expected 1 to 10000"),
    ("RouteMembers", R.RouteMembersRequest(vpc="none"), NOT_FOUND,
     "vpc: no VPC is called 'none'"),
    ("RouteMembers", R.RouteMembersRequest(vpc="v", topic="none"), NOT_FOUND,
     "topic: no unicast topic is called 'none'"),
    ("RouteMembers", R.RouteMembersRequest(vpc="v", topic="elb"), NOT_FOUND,
     "topic: no unicast topic is called 'elb'"),
    ("Owner", R.OwnerRequest(), NOT_FOUND, "vpc: no VPC is called ''"),
    ("Owner", R.OwnerRequest(vpc="none"), NOT_FOUND,
     "vpc: no VPC is called 'none'"),
    ("Subscriptions", R.SubscriptionsRequest(host="none"), NOT_FOUND,
     "host: no host is called 'none'"),
    ("Subscriptions", R.SubscriptionsRequest(resource_topic="nca"), NOT_FOUND,
     "resource_topic: no resource topic is called 'nca'"),
    ("Subscriptions", R.SubscriptionsRequest(host="h0", resource_topic="elb"),
     INVALID, "resource_topic: is given together with host; expected one"),
    *((call, request(min_position=OTHER), NOT_FOUND,
       "min_position: there is no incarnation 1 with nonce 7; this one has ")
      for call, request in (
          ("Route", lambda **more: R.RouteRequest(keys=["nca/h0"], **more)),
          ("RouteMembers", lambda **more: R.RouteMembersRequest(
              vpc="v", **more)),
          ("Owner", lambda **more: R.OwnerRequest(vpc="v", **more)),
          ("Subscriptions", lambda **more: R.SubscriptionsRequest(
              host="h0", **more)))),
    # what producers and mirrors say
    ("OpenSession", session(source=b""), INVALID,
     "source: has 0 bytes, expected 16"),
    ("OpenSession", session(source=bytes(16)), INVALID,
     "source: is all zero"),
    ("OpenSession", session(name=LONG), INVALID, "name: has 300 bytes"),
    ("OpenSession", session(name=CONTROL), INVALID, "name: 'a?b'"),
    ("OpenSession", session(region="a b"), INVALID, "region: 'a b'"),
    ("OpenSession", session(region=CONTROL), INVALID, "region: 'a?b'"),
    ("OpenSession", session(region=HUGE), INVALID,
     "region: has 100000 characters, at most 64"),
    ("OpenSession", session(client_time_ms=1), PRECONDITION,
     "client_time_ms: the client's clock is off by -"),
    ("OpenSession", session(client_time_ms=2**64 - 1), PRECONDITION,
     "client_time_ms: the client's clock is off by "),
    ("CloseSession", R.CloseSessionRequest(session_id=77, source=SOURCE),
     NOT_FOUND, "session_id: there is no session 77"),
    ("CloseSession", R.CloseSessionRequest(session_id=SESSION), INVALID,
     "source: has 0 bytes, expected the 16 of OpenSession"),
    ("CloseSession", R.CloseSessionRequest(
        session_id=SESSION, source=b"o" * 16), DENIED,
     "source: session 1 belongs to another producer"),
    ("CloseSession", close((99, 0, EPOCH)), INVALID, "counts: there is no "
     "segment of topic 99, partition 0, epoch 4294967297"),
    *(("CloseSession", close((3, 0, EPOCH), wrong), INVALID,
       "counts: there is no segment of topic ")
      for wrong in ((0, 0, EPOCH), (3, 12, EPOCH), (3, 0, EPOCH + 1),
                    (3, 0, 0), (3, 0, 2 << 32))),
    ("CloseSession", close((3, 0, EPOCH), (3, 0, EPOCH)), INVALID,
     "counts: the segment of topic 3, partition 0, epoch 4294967297 is given "
     "twice"),
    ("CloseSession", close(*((3, i, EPOCH) for i in range(20_000))), INVALID,
     "counts: there is no segment of topic 3, partition 12, epoch 4294967297"),
    ("ReportReady", R.ReportReadyRequest(session_id=SESSION,
                                         sub_cluster_id=9),
     PRECONDITION, "sub_cluster_id: no move to it is prepared"),
    ("ReportDrained", R.ReportDrainedRequest(session_id=77), NOT_FOUND,
     "session_id: there is no session 77"),
    ("ReportDrained", R.ReportDrainedRequest(session_id=SESSION),
     PRECONDITION, "counts: is empty"),
    ("ReportDrained", R.ReportDrainedRequest(
        session_id=SESSION, counts=[types_pb2.SegmentCount(topic_id=99)]),
     PRECONDITION, "counts: a segment that is named is not closing"),
    ("Follow", follow(session_id=77), NOT_FOUND,
     "session_id: there is no session 77"),
    ("Follow", follow(session_id=SESSION, client_time_ms=1), PRECONDITION,
     "client_time_ms: the client's clock is off by -"),
    ("Follow", follow(position=FUTURE), LATER, "position: this node is behind "
     "the client's view"),
    ("Follow", follow(position=position(1, incarnation=9)), LATER,
     "position: this node is behind the client's view"),
    ("Follow", [follow(), follow(session_id=SESSION)], INVALID,
     "session_id: is 1, the stream began with 0"),
    ("Follow", [follow(session_id=SESSION), follow(position=FUTURE)], INVALID,
     "position: 1:1099511627776 was not sent on this stream"),
    # events
    ("Read", events(**{"from": FUTURE}), BEYOND,
     "from: 1:1099511627776 is beyond the newest entry"),
    ("Read", events(to=FUTURE), BEYOND,
     "to: 1:1099511627776 is beyond the newest entry"),
    ("Read", events(**{"from": position(1, incarnation=9)}), NOT_FOUND,
     "from: there is no incarnation 9; the newest is 1"),
    ("Read", events(to=position(1, incarnation=9)), NOT_FOUND,
     "to: there is no incarnation 9; the newest is 1"),
    *(("Read", events(**{field: OTHER}), NOT_FOUND,
       f"{field}: there is no incarnation 1 with nonce 7; this one has ")
      for field in ("from", "to")),
    ("Read", events(**{"from": position(3), "to": position(2)}), INVALID,
     "to: 1:2 is before from, 1:3"),
]

# Names that there are not, said back by each call that takes one.
CALLS += [
    (call, request(name), code, f"{field}: {before}{shown}")
    for name, shown in UNFIT
    for call, request, code, field, before in (
        ("DescribeHost", lambda name: A.DescribeHostRequest(id=name),
         NOT_FOUND, "id", "no host is called "),
        ("DescribeTopic", lambda name: A.DescribeTopicRequest(name=name),
         NOT_FOUND, "name", "no topic is called "),
        ("DescribeVpc", lambda name: A.DescribeVpcRequest(id=name),
         NOT_FOUND, "id", "no VPC is called "),
        ("ListSubClusters", lambda name: A.ListSubClustersRequest(name=name),
         NOT_FOUND, "name", "no sub-cluster is called "),
        ("UpdateSubCluster",
         lambda name: A.UpdateSubClusterRequest(name=name, weight=1),
         NOT_FOUND, "name", "no sub-cluster is called "),
        ("RemoveSubCluster", lambda name: A.RemoveSubClusterRequest(name=name),
         NOT_FOUND, "name", "no sub-cluster is called "),
        ("ListHosts", lambda name: A.ListHostsRequest(home=name),
         NOT_FOUND, "home", "no sub-cluster is called "),
        ("ListHosts", lambda name: A.ListHostsRequest(region=name),
         NOT_FOUND, "region", "no sub-cluster is in region "),
        ("ListResources", lambda name: A.ListResourcesRequest(topic=name),
         NOT_FOUND, "topic", "no topic is called "),
        ("AddResource", lambda name: A.AddResourceRequest(topic=name, id="r"),
         NOT_FOUND, "topic", "no topic is called "),
        ("RemoveResource",
         lambda name: A.RemoveResourceRequest(topic=name, id="r"),
         NOT_FOUND, "topic", "no topic is called "),
        ("RemoveResource",
         lambda name: A.RemoveResourceRequest(topic="elb", id=name),
         NOT_FOUND, "id", "topic elb has no resource called "),
        ("DeleteTopic", lambda name: A.DeleteTopicRequest(name=name),
         NOT_FOUND, "name", "no topic is called "),
        ("CreateVpc", lambda name: A.CreateVpcRequest(id="w", region=name),
         INVALID, "region", "no sub-cluster is in region "),
        ("DeleteVpc", lambda name: A.DeleteVpcRequest(id=name),
         NOT_FOUND, "id", "no VPC is called "),
        ("AddVpcHosts",
         lambda name: A.AddVpcHostsRequest(vpc=name, hosts=["h1"]),
         NOT_FOUND, "vpc", "no VPC is called "),
        ("AddVpcHosts",
         lambda name: A.AddVpcHostsRequest(vpc="v", hosts=[name]),
         NOT_FOUND, "hosts", "no host is called "),
        ("RemoveVpcHosts",
         lambda name: A.RemoveVpcHostsRequest(vpc=name, hosts=["h0"]),
         NOT_FOUND, "vpc", "no VPC is called "),
        ("RemoveVpcHosts",
         lambda name: A.RemoveVpcHostsRequest(vpc="v", hosts=[name]),
         NOT_FOUND, "hosts", ""),
        ("RemoveInstance", lambda name: A.RemoveInstanceRequest(id=name),
         NOT_FOUND, "id", "no instance is called "),
        ("ReportInstance", lambda name: report(id=name),
         NOT_FOUND, "id", "no instance is called "),
        ("ReportInstance", lambda name: report(load=[used(name, 1)]),
         NOT_FOUND, "load", "service "),
        ("Explain", lambda name: A.ExplainRequest(key=name), INVALID, "key",
         ""),
        ("Explain", lambda name: A.ExplainRequest(key=name + "/x"),
         NOT_FOUND, "key", "no topic is called "),
        ("Explain", lambda name: A.ExplainRequest(key="nca/" + name),
         NOT_FOUND, "key", "no host is called "),
        ("RouteMembers", lambda name: R.RouteMembersRequest(vpc=name),
         NOT_FOUND, "vpc", "no VPC is called "),
        ("RouteMembers",
         lambda name: R.RouteMembersRequest(vpc="v", topic=name),
         NOT_FOUND, "topic", "no unicast topic is called "),
        ("Owner", lambda name: R.OwnerRequest(vpc=name), NOT_FOUND, "vpc",
         "no VPC is called "),
        ("Subscriptions", lambda name: R.SubscriptionsRequest(host=name),
         NOT_FOUND, "host", "no host is called "),
        ("Subscriptions",
         lambda name: R.SubscriptionsRequest(resource_topic=name), NOT_FOUND,
         "resource_topic", "no resource topic is called "),
    )]

# (words, standard input, exit code, what is said)
COMMANDS = [
    *((words, "", 1, f"no {noun} is called 'none'") for words, noun in (
        ("cluster describe none", "sub-cluster"),
        ("topic delete none --yes", "topic"),
        ("host describe none", "host"),
        ("vpc describe none", "VPC"),
        ("vpc add-hosts v none", "host"),
        ("resource add none r", "topic"),
        ("members none", "VPC"),
        ("subscriptions none", "host"),
        ("route nca/none", "host"))),
    ("cluster add a --region eu --zone z1 --bootstrap h:1", "", 1, "name: "),
    ("topic create new --kind hashed --partitions 0x", "", 2, "--partitions"),
    ("topic create new --kind hashed --partitions -1", "", 2, "--partitions"),
    ("topic create new --kind bogus", "", 2, "--kind"),
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
    ("instance add new --region eu --quota port=-1", "", 1,
     "quotas.port: quota must be above 0"),
    ("session end 77 --yes", "", 1, "77"),
    ("node describe 77", "", 1, "ID: there is no node 77"),
    ("node describe x", "", 2, "ID: 'x' is not a whole number"),
    ("node remove 77 --yes", "", 1, "node_id: there is no node 77"),
    ("explain nokey", "", 1, "TOPIC/ID"),
    # What a terminal acts on is not said back by kafedctl itself either.
    ("host describe " + ESCAPE, "", 1, "no host is called 'no?[31m'"),
    ("host " + ESCAPE, "", 2, "'no?[31m' is no command of kafedctl host"),
    ("produce nca/none", "x\n", 1, "key: 'nca/none' is not bound"),
    ("vpc create new --request-id 12", "", 2, "--request-id"),
]
