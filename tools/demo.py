#!/usr/bin/env python3
"""./dev demo, up and down: a small federation on this machine.

demo: three sub-clusters in three zones, one node, a fleet of hosts, producers
and agents for some seconds; then a checker that trusts nobody, and one JSON
line. With --nodes 3, the coordinator among the nodes is killed meanwhile. up:
the same system without the traffic, left running. down: ends it.
"""

import argparse
import json
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
import demo_up  # noqa: E402
from demo_federation import ZONES, build_federation, kafka  # noqa: E402
from demo_screen import Screen  # noqa: E402
from demo_system import System  # noqa: E402

DEFAULT_HOSTS = 10_000
SECONDS = 8
SECONDS_OF_SEVERAL_NODES = 24  # one of them goes and comes back


def parse(argv):
    parser = argparse.ArgumentParser(prog="./dev", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name in ("demo", "up"):
        verb = verbs.add_parser(name)
        verb.add_argument("--kafka", choices=["embedded", "apache"],
                          default="embedded")
        verb.add_argument("--with-zookeeper", action="store_true",
                          help="one of the Apache clusters on ZooKeeper")
        verb.add_argument("--nodes", type=int, choices=range(1, 8), default=1,
                          metavar="N", help="kafed nodes, 1 to 7; several "
                          "share a ZooKeeper (default: 1)")
        verb.add_argument("--hosts", type=int, default=DEFAULT_HOSTS)
        verb.add_argument("--preset", default="dev",
                          help="whose programs to run")
        if name == "up":
            continue
        verb.add_argument("--seconds", type=float,
                          help=f"of traffic (default: {SECONDS}; "
                               f"{SECONDS_OF_SEVERAL_NODES} with several "
                               "nodes)")
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
    for name in ("up", "down"):
        verbs.choices[name].add_argument(
            "--state", metavar="DIR", type=pathlib.Path,
            default=ROOT / "build" / "up",
            help="where it is remembered what is up (default: build/up)")
    args = parser.parse_args(argv)
    if args.verb != "down" and args.hosts < 200:
        parser.error("--hosts: the sample file alone has 200")
    if args.verb == "demo" and args.agents_real > args.hosts:
        parser.error("--agents-real: more than --hosts")
    if args.verb == "demo" and args.seconds is None:
        args.seconds = SECONDS if args.nodes == 1 else SECONDS_OF_SEVERAL_NODES
    return args


def join_while_running(system, screen):
    """Half-way, hosts join VPCs: one of them a VPC without a home there."""
    with screen.step("hosts join VPCs while producers send"):
        system.join("vpc-0", system.hosts_of_zone(ZONES[1])[-3:])
        system.join("vpc-1", system.hosts_of_zone(ZONES[2])[-2:])


def story(system, screen, share):
    """What happens during the traffic, of which the part `share()` is over.

    Yields whenever it waits, so that the screen goes on.
    """
    if system.nodes is None:
        while share() < 1 / 2:
            yield
        join_while_running(system, screen)
        return
    nodes = system.nodes
    while share() < 1 / 6:
        yield
    lost = nodes.coordinator()
    nodes.kill(lost)
    screen.event(f"node {lost}, the coordinator, is killed (kill -9)")
    begun = time.monotonic()
    yield from nodes.waiting(nodes.coordinator)
    system.failover_ms = round((time.monotonic() - begun) * 1000)
    screen.event(f"node {nodes.coordinator()} is the coordinator now, after "
                 f"{system.failover_ms / 1000:.1f} s")
    join_while_running(system, screen)
    while share() < 3 / 4:
        yield
    nodes.start(lost)
    yield from nodes.waiting(lambda: nodes.is_back(lost))
    screen.event(f"node {lost} is back")


def run_traffic(args, system, screen):
    real = system.pick_real_agents(args.agents_real)
    agents = system.start_agents(real)
    producers = [system.start_producer(i, args.seconds, args.rate,
                                       repeats=10 if i == 0 else 0)
                 for i in range(args.producers)]
    begun = time.monotonic()
    events = story(system, screen,
                   lambda: (time.monotonic() - begun) / args.seconds)
    told = False
    while not told or any(producer.poll() is None for producer in producers):
        told = next(events, "over") == "over"
        elapsed = time.monotonic() - begun
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


def with_nodes(system, line):
    """The checker's line, with what several nodes add to it."""
    if system.nodes is None or not line:
        return line
    return json.dumps({**json.loads(line),
                       "nodes": len(system.nodes.addresses),
                       "failover_ms": system.failover_ms,
                       "longest_pause_ms": system.longest_pause_ms()})


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
                with screen.step(demo_up.nodes_started(args.nodes)):
                    system.start_nodes(args.nodes)
                build_federation(args, system, screen)
                run_traffic(args, system, screen)
                if args.tamper:
                    system.tamper(args.tamper)
                code, line = system.check(args.kafka, args.hosts,
                                          args.agents_real)
                line = with_nodes(system, line)
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


def main():
    args = parse(sys.argv[1:])
    verbs = {"demo": demo, "up": demo_up.up, "down": demo_up.down}
    return verbs[args.verb](args)


if __name__ == "__main__":
    sys.exit(main())
