"""What the demo and `up` have in common: clusters, and a federation on them."""

import contextlib
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
from kafka_fleet import ClusterSpec, Fleet  # noqa: E402 (needs the path)

ZONES = ["az1", "az2", "az3"]
VPCS = 40
RESOURCES = 12


@contextlib.contextmanager
def kafka(args, system):
    """Yields [(name, zone, bootstrap, admin)]."""
    names = [f"{zone}-kafka" for zone in ZONES]
    if args.kafka == "embedded":
        yield [(name, zone, *system.start_embedded_kafka(name))
               for name, zone in zip(names, ZONES)]
        return
    specs = [ClusterSpec(names[0], "4.4.0", heap="384m"),
             ClusterSpec(names[1], "3.9.2", heap="384m"),
             ClusterSpec(names[2], "3.9.2", heap="384m",
                         mode="zookeeper" if args.with_zookeeper
                         else "kraft")]
    with Fleet(specs, folder=system.folder / "kafka") as fleet:
        yield [(name, zone, fleet[name].bootstrap, "")
               for name, zone in zip(names, ZONES)]


def build_federation(args, system, screen):
    with screen.step("register three sub-clusters in three zones"):
        for name, zone, bootstrap, admin in system.clusters:
            system.ctl("cluster", "add", name, "--region", "eu", "--zone",
                       zone, "--bootstrap", bootstrap,
                       *(["--admin", admin] if admin else []))
    with screen.step(f"import {args.hosts:,} hosts, 200 of them Alcor's"):
        system.import_hosts(args.hosts, ZONES)
    with screen.step("create topics nca, vpc, elb and orders"):
        system.ctl("topic", "create", "nca", "--kind", "unicast")
        system.ctl("topic", "create", "vpc", "--kind", "multicast",
                   "--partitions-per-topic", "10")
        system.ctl("topic", "create", "elb", "--kind", "resource",
                   "--partitions-per-topic", "20")
        system.ctl("topic", "create", "orders", "--kind", "hashed",
                   "--partitions", "12")
    with screen.step(f"create {VPCS} VPCs, {RESOURCES} load balancers and two "
                     "instances"):
        for name, quota in (("southbound-1", 40), ("southbound-2", 60)):
            system.ctl("instance", "add", name, "--region", "eu", "--quota",
                       f"port={quota}")
        system.create_vpcs(VPCS)
        for i in range(RESOURCES):
            system.ctl("resource", "add", "elb", f"lb-{i}")
    with screen.step("wait until Kafka has all topics and markers are written"):
        system.wait_until_ready()
