#!/usr/bin/env python3
"""./dev demo, up and down: a small federation on this machine.

demo: three sub-clusters in three zones, one node, a fleet of hosts, producers
and agents for some seconds; then a checker that trusts nobody, and one JSON
line. up: the same system without the traffic, left running. down: ends it.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
import child_process  # noqa: E402 (needs the path)
from demo_screen import Screen  # noqa: E402
from demo_system import System  # noqa: E402
from kafka_fleet import ClusterSpec, Fleet  # noqa: E402

ZONES = ["az1", "az2", "az3"]
STATE = ROOT / "build" / "up" / "state.json"
VPCS = 40
RESOURCES = 12
DEFAULT_HOSTS = 10_000


def parse(argv):
    parser = argparse.ArgumentParser(prog="./dev", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name in ("demo", "up"):
        verb = verbs.add_parser(name)
        verb.add_argument("--kafka", choices=["embedded", "apache"],
                          default="embedded")
        verb.add_argument("--with-zookeeper", action="store_true",
                          help="one of the Apache clusters on ZooKeeper")
        verb.add_argument("--hosts", type=int, default=DEFAULT_HOSTS)
        verb.add_argument("--preset", default="dev",
                          help="whose programs to run")
        if name == "up":
            continue
        verb.add_argument("--seconds", type=float, default=8)
        verb.add_argument("--producers", type=int, default=4)
        verb.add_argument("--rate", type=float, default=400,
                          help="messages a second of each producer")
        verb.add_argument("--agents-real", type=int, default=60)
        verb.add_argument("--tamper", choices=["drop", "repeat", "swap"],
                          help="falsify one line of an agent's ledger: the "
                               "checker must notice")
        verb.add_argument("--keep", metavar="DIR",
                          help="keep ledgers and logs here")
    verbs.add_parser("down")
    args = parser.parse_args(argv)
    if args.verb != "down" and args.hosts < 200:
        parser.error("--hosts: the sample file alone has 200")
    if args.verb == "demo" and args.agents_real > args.hosts:
        parser.error("--agents-real: more than --hosts")
    return args


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@contextlib.contextmanager
def kafka(args, system):
    """Yields [(name, zone, bootstrap, admin)]."""
    names = [f"{zone}-kafka" for zone in ZONES]
    if args.kafka == "embedded":
        yield [(name, zone, *system.start_embedded_kafka(name))
               for name, zone in zip(names, ZONES)]
        return
    specs = [ClusterSpec(names[0], "4.3.1", heap="384m"),
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


def join_while_running(system, screen):
    """Half-way, hosts join VPCs: one of them a VPC without a home there."""
    with screen.step("hosts join VPCs while producers send"):
        system.join("vpc-0", system.hosts_of_zone(ZONES[1])[-3:])
        system.join("vpc-1", system.hosts_of_zone(ZONES[2])[-2:])


def run_traffic(args, system, screen):
    real = system.pick_real_agents(args.agents_real)
    agents = system.start_agents(real)
    producers = [system.start_producer(f"dpm-{i}", args.seconds, args.rate,
                                       repeats=10 if i == 0 else 0)
                 for i in range(args.producers)]
    begun = time.monotonic()
    joined = False
    while any(producer.poll() is None for producer in producers):
        elapsed = time.monotonic() - begun
        if not joined and elapsed > args.seconds / 2:
            joined = True
            join_while_running(system, screen)
        screen.progress(elapsed, args.seconds, system.traffic())
        time.sleep(0.25)
        if elapsed > args.seconds + 90:
            raise RuntimeError("producers did not end; see their logs in "
                               f"{system.folder}")
    for producer in producers:
        if producer.returncode != 0:
            raise RuntimeError(f"a producer failed:\n{system.tail('dpm-0')}")
    with screen.step("agents read what is left"):
        agents.send_signal(signal.SIGTERM)
        if agents.wait(timeout=120) != 0:
            raise RuntimeError(f"the agents failed:\n{system.tail('agents')}")


def demo(args):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kafed-demo-"))
    screen = Screen(sys.stderr)
    screen.title(args.kafka, args.hosts)
    try:
        with child_process.ending_on_signals(), \
                System(folder, args.preset) as system:
            with screen.step("start three Kafka clusters"):
                kafka_clusters = kafka(args, system)
                system.clusters = kafka_clusters.__enter__()
            try:
                with screen.step("start a node"):
                    system.start_node()
                build_federation(args, system, screen)
                run_traffic(args, system, screen)
                if args.tamper:
                    system.tamper(args.tamper)
                code, line = system.check(args.kafka, args.hosts,
                                          args.agents_real)
                screen.summary(system.status(), line, code)
            finally:
                kafka_clusters.__exit__(None, None, None)
        print(line, flush=True)
        return code
    except (RuntimeError, subprocess.SubprocessError) as error:
        screen.failed(str(error))
        return 1
    finally:
        if args.keep:
            shutil.copytree(folder, args.keep, dirs_exist_ok=True,
                            ignore=shutil.ignore_patterns("*.sock", "db"))
        shutil.rmtree(folder, ignore_errors=True)


def up(args):
    if STATE.exists():
        state = json.loads(STATE.read_text())
        if is_alive(state["pid"]):
            sys.exit("up: it is running already; end it with ./dev down")
    # A process of its own holds everything, so that `down` ends one process.
    STATE.parent.mkdir(parents=True, exist_ok=True)
    STATE.unlink(missing_ok=True)
    log = open(STATE.parent / "up.log", "w")
    holder = subprocess.Popen(
        [sys.executable, __file__, "hold", args.kafka, str(args.hosts),
         args.preset, "1" if args.with_zookeeper else ""],
        stdout=log, stderr=log, stdin=subprocess.DEVNULL,
        start_new_session=True)
    while not STATE.exists():
        if holder.poll() is not None:
            sys.exit(f"up: it did not start:\n"
                     f"{(STATE.parent / 'up.log').read_text()[-3000:]}")
        time.sleep(0.1)
    state = json.loads(STATE.read_text())
    print(f"""kafed is up with {args.hosts:,} hosts on three {args.kafka} \
sub-clusters.

  export KAFED_SERVER={state['server']}
  bin/kafedctl status
  bin/kafedctl route nca/ephost_0 vpc/vpc-0 elb/lb-0 orders/42
  echo hello | bin/kafedctl produce nca/ephost_0
  bin/kafedctl consume nca/ephost_0 -e -o beginning
  curl http://{state['http']}/metrics

End it with ./dev down.""")
    return 0


def hold(kafka_kind, hosts, preset, with_zookeeper):
    args = argparse.Namespace(kafka=kafka_kind, hosts=int(hosts),
                              with_zookeeper=bool(with_zookeeper))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kafed-up-"))
    screen = Screen(sys.stderr)
    try:
        with child_process.ending_on_signals(), \
                System(folder, preset) as system:
            with kafka(args, system) as system.clusters:
                system.start_node()
                build_federation(args, system, screen)
                STATE.write_text(json.dumps({
                    "pid": os.getpid(), "server": system.server,
                    "http": system.http}))
                signal.pause()
    finally:
        STATE.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def down():
    if not STATE.exists():
        print("nothing is up")
        return 0
    pid = json.loads(STATE.read_text())["pid"]
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    for _ in range(600):
        if not is_alive(pid):
            STATE.unlink(missing_ok=True)
            print("down")
            return 0
        time.sleep(0.1)
    sys.exit(f"down: process {pid} does not end")


def main():
    if len(sys.argv) > 1 and sys.argv[1] == "hold":
        return hold(*sys.argv[2:6])
    args = parse(sys.argv[1:])
    return {"demo": demo, "up": up}[args.verb](args) \
        if args.verb != "down" else down()


if __name__ == "__main__":
    sys.exit(main())
