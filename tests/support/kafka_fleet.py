"""Real Apache Kafka clusters on free loopback ports, for tests and the demo.

As a module:

  with Fleet([ClusterSpec("a", "4.4.0"),
              ClusterSpec("b", "3.9.2", mode="zookeeper")]) as fleet:
      fleet["a"].bootstrap, fleet["b"].zookeeper
      fleet["a"].kill9(1); fleet["a"].restart(1); fleet["a"].wait_ready()

As a program: `kafka_fleet.py --cluster a=4.4.0 --cluster b=3.9.2:zookeeper`
prints one JSON line when all are ready, then obeys commands on its standard
input (kill9, stop, cont, restart, wait: see COMMANDS) until that ends or
SIGTERM comes; with --stay only SIGTERM ends it. Everything is ended by process
id and the directory removed.
"""

import argparse
import json
import pathlib
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import child_process  # noqa: E402 (needs the path)
from kafka_cluster import Cluster, ClusterSpec  # noqa: E402

COMMANDS = """commands, one a line, each answered by one JSON line:
  kill9 CLUSTER NODE     SIGKILL of one broker (numbered from 1)
  stop CLUSTER NODE      SIGSTOP: connections stay, nothing answers
  cont CLUSTER NODE      SIGCONT
  restart CLUSTER NODE   starts a killed broker on its old port and data
  wait CLUSTER           until every broker of the cluster answers
"""


class Fleet:
    """Independent clusters that start together and end together."""

    def __init__(self, specs, folder=None, timeout=120.0):
        names = [spec.name for spec in specs]
        if len(set(names)) != len(names):
            raise ValueError(f"clusters: names must differ: {names}")
        self._own_folder = folder is None
        self.folder = pathlib.Path(
            folder or tempfile.mkdtemp(prefix="kafed-kafka-"))
        self._timeout = timeout
        self._signals = child_process.ending_on_signals()
        self.clusters = {
            spec.name: Cluster(spec, self.folder / spec.name)
            for spec in specs}

    def __getitem__(self, name):
        return self.clusters[name]

    def __enter__(self):
        self._signals.__enter__()
        try:
            self.start()
        except BaseException:
            self.stop()
            self._signals.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *error):
        self.stop()
        self._signals.__exit__(None, None, None)

    def start(self):
        """Starts all at once: each step of all before the next of any."""
        deadline = time.monotonic() + self._timeout
        for step in ("prepare", "start_zookeeper", "finish_format", "start"):
            for cluster in self.clusters.values():
                getattr(cluster, step)(deadline)
        for cluster in self.clusters.values():
            cluster.wait_ready(deadline - time.monotonic())

    def stop(self):
        for cluster in self.clusters.values():
            cluster.stop()
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def describe(self):
        return {"clusters": [c.describe() for c in self.clusters.values()]}


def parse_cluster(text):
    """NAME=VERSION[:zookeeper][:NODES]"""
    name, _, rest = text.partition("=")
    words = rest.split(":")
    options = {}
    for word in words[1:]:
        if word in ("kraft", "zookeeper"):
            options["mode"] = word
        elif word in ("1", "3"):
            options["nodes"] = int(word)
        else:
            raise argparse.ArgumentTypeError(
                f"'{word}': kraft, zookeeper, 1 or 3")
    if not name or not words[0]:
        raise argparse.ArgumentTypeError("NAME=VERSION[:zookeeper][:NODES]")
    return name, words[0], options


def obey(fleet, line):
    """One command; returns the answer."""
    words = line.split()
    if len(words) not in (2, 3) or words[1] not in fleet.clusters:
        return {"error": "command: " + COMMANDS}
    cluster = fleet[words[1]]
    if words[0] == "wait" and len(words) == 2:
        cluster.wait_ready(120.0)
        return cluster.describe()
    actions = {"kill9": cluster.kill9, "stop": cluster.sigstop,
               "cont": cluster.sigcont, "restart": cluster.restart}
    if (words[0] not in actions or len(words) != 3
            or words[2] not in map(str, cluster.nodes)):
        return {"error": "command: " + COMMANDS}
    actions[words[0]](int(words[2]))
    return {"ok": True}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=COMMANDS,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cluster", action="append", required=True,
                        type=parse_cluster, help=parse_cluster.__doc__)
    parser.add_argument("--heap", default="192m",
                        help="of each broker; 512m for 10,000 partitions")
    parser.add_argument("--libs", type=pathlib.Path, default=None,
                        help="folder with the jars, a folder for each version")
    parser.add_argument("--stay", action="store_true",
                        help="read no commands, run until SIGTERM")
    args = parser.parse_args()
    specs = [ClusterSpec(name, version, heap=args.heap, libs=args.libs,
                         **options)
             for name, version, options in args.cluster]
    with Fleet(specs) as fleet:
        print(json.dumps(fleet.describe()), flush=True)
        while args.stay:
            signal.pause()
        for line in sys.stdin:
            print(json.dumps(obey(fleet, line)), flush=True)


if __name__ == "__main__":
    try:
        main()
    except (OSError, RuntimeError, ValueError) as error:
        sys.exit(f"kafka_fleet: {error}")
