"""./dev bench: measures, and writes what was measured.

  ./dev bench                          everything (about half an hour)
  ./dev bench lookup_local_1m ...      only what is named, and what is
                                       measured together with it
  ./dev bench --list                   the names
  ./dev bench --json FILE              results into FILE; those of other names
                                       that it already holds stay
  ./dev bench --report FILE            docs/performance.md from FILE
"""

import argparse
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import time

import bench_calls
import bench_cluster
import bench_local
import bench_node
import bench_produce
import bench_report
from bench_system import ROOT, Bench, say

GROUPS = (bench_local.GROUPS + bench_node.GROUPS + bench_calls.GROUPS
          + bench_produce.GROUPS + bench_cluster.GROUPS)
LOAD = round(os.getloadavg()[0], 1)
NAMES = {name: text for names, _ in GROUPS for name, text in names.items()}


def first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True,
                              check=False, cwd=ROOT)
        return (done.stdout or done.stderr).strip().splitlines()[0]
    except (OSError, IndexError):
        return "unknown"


def machine():
    cpu = re.search(r"model name\s*: (.*)",
                    pathlib.Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s*(\d+)", pathlib.Path(
        "/proc/meminfo").read_text()).group(1))
    version = re.search(r"v=(\S+)", first_line("redis-server", "--version"))
    return {
        "cpu": cpu.group(1) if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**20, 1),
        "kernel": platform.release(),
        "compiler": first_line("g++", "--version"),
        "redis": version.group(1) if version else "unknown",
        "etcd": first_line("etcd", "--version").split()[-1],
        "zookeeper": bench_cluster.zookeeper_version(),
        "kafka": bench_produce.kafka_version(),
        "commit": first_line("git", "rev-parse", "--short", "HEAD"),
        "date": time.strftime("%Y-%m-%d"),
        # What else the machine did, the most of all runs in the file: a figure
        # from a busy one is only good for its ratios.
        "load_at_start": LOAD,
    }


def save(path, results):
    former, measured_on = {}, machine()
    if path.exists():
        try:
            found = json.loads(path.read_text())
            former = {each["name"]: each for each in found["results"]}
            if former.keys() - results.keys():
                measured_on["load_at_start"] = max(
                    LOAD, found["machine"]["load_at_start"])
        except (ValueError, KeyError, TypeError) as error:
            raise SystemExit(f"bench: {path} is not a file of results: "
                             f"{error!r}") from error
    former.update(results)
    out = {"machine": measured_on,
           "results": [former[name] for name in NAMES if name in former]}
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(out, indent=1) + "\n")
    part.replace(path)


def run(groups, wanted, args):
    """The groups that failed, by their first name."""
    failed = {}
    with Bench(args.bin) as bench:
        for names, measure in groups:
            begun = time.monotonic()
            say(f"== {', '.join(names)}")
            before = dict(bench.results)
            try:
                measure(bench, wanted)
            except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                say(f"  failed: {error}")
                bench.results = before
                failed[next(iter(names))] = str(error)
            say(f"   {time.monotonic() - begun:.0f} s")
            if args.json:
                save(args.json, bench.results)
    return failed


def parse():
    parser = argparse.ArgumentParser(
        prog="./dev bench", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--report", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--bin", type=pathlib.Path, metavar="DIR",
                        default=ROOT / "build/release/bin",
                        help="where the programs are")
    # For ./dev: prints what must be set up first, and does nothing.
    parser.add_argument("--plan", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    for name in args.names:
        if name not in NAMES:
            parser.error(f"NAME: there is no benchmark '{name}'; "
                         f"./dev bench --list has their names")
    if args.json and not args.json.absolute().parent.is_dir():
        parser.error(f"--json: there is no folder for {args.json}")
    return args


def main():
    if "--plan" in sys.argv[1:] and {"-h", "--help"} & set(sys.argv[1:]):
        return 0
    args = parse()
    wanted = set(args.names or NAMES)
    groups = [(names, measure) for names, measure in GROUPS
              if wanted & set(names)]
    if args.plan:
        if not args.list and not args.report:
            print("build bench zookeeper" + (
                " kafka" if wanted & set(bench_produce.PRODUCE) else ""))
        return 0
    if args.list:
        for name, text in NAMES.items():
            print(f"{name:32} {text}")
        return 0
    if args.report:
        return bench_report.write(args.report, NAMES)
    failed = run(groups, wanted, args)
    for name, error in failed.items():
        print(f"bench: {name} and what goes with it was not measured: "
              f"{error}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("bench: interrupted")
