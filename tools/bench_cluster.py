"""Benchmarks of a metadata cluster: three nodes over three real servers of
ZooKeeper or etcd."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import time
import urllib.request

from bench_system import (POLL_S, Node, Service, child_process, http_ok, say)
from etcd_cluster import EtcdCluster
from zookeeper_ensemble import CLASSES, SYNCED_JAVA, ZooKeeperEnsemble

COMMITS = {
    "commit_latency_1":
        "one client, one change at a time, through a node over three "
        "ZooKeeper servers, median",
    "commit_latency_1_p99": "99th percentile of the same",
    "commit_records_s":
        "records of changes of one VPC each, 1,000 in flight, through one "
        "node over three ZooKeeper servers",
    "commit_changes_s": "those changes",
    "commit_import_records_s":
        "records of four imports at once, through one node over three "
        "ZooKeeper servers",
}
ETCD_COMMITS = {
    "commit_latency_1_etcd":
        "one client, one change at a time, through a node over three etcd "
        "servers, median",
    "commit_latency_1_etcd_p99": "99th percentile of the same",
    "commit_records_etcd_s": "as commit_records_s, over three etcd servers",
}
FOLLOWERS = (1, 100, 1_000)
PROPAGATION = {
    f"propagation_{count}_p99_ms":
        "from the acknowledgement of a change at one node to the "
        + ("view of a follower" if count == 1 else
           f"views of {count:,} followers") + " at another, 99th percentile"
    for count in FOLLOWERS
}
CATCH_UP = {
    "catchup_records_s":
        "records that a node was away for, over the time from its start to "
        "readiness at the log's tail",
    "catchup_empty_disk_records_s":
        "all records, over the same time of a node with an empty disk",
}
FAILOVER = {
    "failover_gap_read_ms":
        "longest time between two answers to a reader while the coordinator, "
        "which it asks, is killed, less the longest before",
    "failover_gap_write_ms": "the same of changes by one writer",
}

IN_FLIGHT = 1_000
PIPELINED = 1_000
AWAY_HOSTS = 40_000
QUIET_S, LOOK_S = 9, 9
PLAIN = {"zookeeper": "zookeeper_create", "etcd": "etcd_put"}


def zookeeper_version():
    # The package has a second name with the version for the jar.
    jars = pathlib.Path(CLASSES).parent.glob("zookeeper-[0-9]*.jar")
    return next((jar.stem.partition("-")[2] for jar in jars), "unknown")


class Cluster(Service):
    """Three nodes, each a client of another server of the quorum, and an
    embedded Kafka with 1,000 hosts."""

    def __init__(self, bench, backend):
        self._bench = bench
        self._stack = contextlib.ExitStack()
        self.backend = backend
        self.nodes = []
        folder = bench.folder / f"cluster-{backend}"
        folder.mkdir()
        try:
            self.quorum = self._stack.enter_context(
                ZooKeeperEnsemble(folder, 3, java=SYNCED_JAVA)
                if backend == "zookeeper" else EtcdCluster(folder, 3))
            servers = self.quorum.servers.split(",")
            for number, server in enumerate(servers):
                peers = ",".join(node.server for node in self.nodes)
                node = self._stack.enter_context(Node(
                    bench, folder / f"node-{number}", flags=[
                        "--log-backend", backend, "--log-servers", server,
                        *(["--peers", peers] if peers else [])]))
                self.nodes.append(node)
            # Neither a leader's nor a slow client's way to the quorum: that of
            # two clients in three.
            member = (self.quorum.leader() + 1) % 3
            self.node, self.server = self.nodes[member], servers[member]
            self._fill()
        except BaseException:
            self.stop()
            raise

    def _fill(self):
        for zone in ("z1", "z2"):
            self.node.add_cluster(f"eu-{zone}", zone)
        self.node.ctl("topic", "create", "nca", "--kind", "unicast",
                      "--topics", 300)
        self._bench.program("bind_load", "batch", self.node.server, "host",
                            1_000, 1)
        self.node.wait_for_kafka()
        for node in self.nodes:
            wait_for(node, tail_of(self.node))
        # Compilers, connections, caches.
        self._bench.program("commit_load", "plain", self.backend, self.server,
                            200, 50, 3)
        self._bench.program("commit_load", "changes", self.node.server, 50, 3)

    def coordinator(self, timeout=60):
        """The node in office, once a node says that it answers."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            listed = self.node.ctl("node", "list", want_json=True)
            found = [node for node in self.nodes for each in listed
                     if each.get("coordinator") and each.get("reachable")
                     and each["address"] == node.server]
            if found:
                return found[0]
            time.sleep(0.1)
        raise RuntimeError("there is no coordinator")

    def stop(self):
        self._stack.close()


def cluster_of(bench, backend="zookeeper"):
    return bench.shared(f"cluster {backend}", lambda: Cluster(bench, backend))


def tail_of(node):
    """Index of the last entry that a node has applied."""
    with urllib.request.urlopen(f"http://{node.http}/metrics",
                                timeout=5) as answer:
        found = re.search(r"^kafed_position_index (\S+)$",
                          answer.read().decode(), re.MULTILINE)
    return int(float(found.group(1)))


def wait_for(node, tail):
    """Until it has applied `tail` and is ready; seconds since its start."""
    return node.process.wait_until(
        lambda: http_ok(f"http://{node.http}/readyz")
        and tail_of(node) >= tail)


def commits(bench, backend):
    """Medians of the rounds, by name."""
    cluster = cluster_of(bench, backend)
    node, server = cluster.node.server, cluster.server
    plain = PLAIN[backend]

    def latency():
        found = bench.program("commit_load", "latency", backend, server, node,
                              6)
        latency.value_bytes = found.pop("value_bytes")
        return {name.replace("_us", "_ms"): us / 1_000
                for name, us in found.items()}

    def put(in_flight):
        return bench.program("commit_load", "plain", backend, server,
                             latency.value_bytes, in_flight, 3)["per_second"]

    def changes():
        found = bench.program("commit_load", "changes", node, IN_FLIGHT, 4)
        found["changes_p99_ms"] = found.pop("p99_us") / 1_000
        return found

    numbers = iter(range(1_000))

    def imports():
        """Four at once, as several operators' tools would."""
        first = tail_of(cluster.node) + 1
        begun = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for each in [pool.submit(bench.program, "bind_load", "batch", node,
                                     f"i{next(numbers)}", 5_000, 1)
                         for _ in range(4)]:
                each.result()
        took = time.monotonic() - begun
        counted = bench.program("commit_load", "count", node, first,
                                tail_of(cluster.node))
        return {"import_records": counted["records"] / took}

    parts = {"latency": latency, plain: lambda: put(1), "changes": changes,
             f"{plain}_pipelined": lambda: put(PIPELINED)}
    if backend == "zookeeper":
        parts["imports"] = imports
    found = bench.rounds(5, parts)
    say(f"    values of {latency.value_bytes} bytes")
    return found


def add_commits(bench, backend, latency, records):
    plain = PLAIN[backend]
    found = commits(bench, backend)
    for percent, name in (("50", latency), ("99", f"{latency}_p99")):
        bench.add(name, found[f"change_p{percent}_ms"], "ms",
                  [(plain, found[f"plain_p{percent}_ms"])])
    peers = [(plain, found[plain]),
             (f"{plain}_pipelined_{PIPELINED}", found[f"{plain}_pipelined"])]
    bench.add(records, found["records_per_second"], "records/s", peers)
    return found, peers


def zookeeper_commits(bench, _wanted):
    found, peers = add_commits(bench, "zookeeper", "commit_latency_1",
                               "commit_records_s")
    bench.add("commit_changes_s", found["changes_per_second"], "changes/s",
              peers)
    bench.add("commit_import_records_s", found["import_records"], "records/s",
              peers)


def etcd_commits(bench, _wanted):
    add_commits(bench, "etcd", "commit_latency_1_etcd", "commit_records_etcd_s")
    bench.drop("cluster etcd")


def propagation(bench, _wanted):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # Its nodes may have as many connections as that.
    bench.drop("cluster zookeeper")
    cluster = cluster_of(bench)
    other = next(node for node in cluster.nodes if node is not cluster.node)

    def fan_out(count):
        found = bench.program("follow_load", "fanout", other.server, count,
                              40 if count > 100 else 200, cluster.node.server)
        say(f"      {count:,} followers: {found}")
        return found["acknowledged_p99_ms"]

    def plain():
        return bench.program("commit_load", "plain", "zookeeper",
                             cluster.server, 200, 1, 2)["p99_us"] / 1_000

    found = bench.rounds(3, {
        **{f"{count} followers": lambda count=count: fan_out(count)
           for count in FOLLOWERS},
        "zookeeper_create_p99": plain})
    for count in FOLLOWERS:
        bench.add(f"propagation_{count}_p99_ms", found[f"{count} followers"],
                  "ms", [("zookeeper_create_p99",
                          found["zookeeper_create_p99"])])


def catch_up(bench, _wanted):
    cluster = cluster_of(bench)
    away = next(node for node in cluster.nodes if node is not cluster.node)
    numbers = iter(range(1_000))

    def records(first, last):
        return bench.program("commit_load", "count", cluster.node.server,
                             first, last)["records"]

    def return_of_it(first):
        tail = tail_of(cluster.node)
        away.start()
        took = wait_for(away, tail)
        say(f"      {records(first, tail):,} records in {took:.2f} s")
        return records(first, tail) / took

    def was_away():
        first = tail_of(away) + 1
        away.process.stop(signal.SIGKILL)
        begun = time.monotonic()
        bench.program("bind_load", "batch", cluster.node.server,
                      f"away-{next(numbers)}", AWAY_HOSTS, 1)
        took = time.monotonic() - begun
        written = records(first, tail_of(cluster.node)) / took
        return {"away": return_of_it(first), "written": written}

    def empty_disk():
        away.process.stop(signal.SIGKILL)
        shutil.rmtree(away.folder / "data")
        return return_of_it(1)

    found = bench.rounds(3, {"away": was_away, "empty disk": empty_disk})
    peers = [("import_of_them", found["written"])]
    bench.add("catchup_records_s", found["away"], "records/s", peers)
    bench.add("catchup_empty_disk_records_s", found["empty disk"], "records/s",
              peers)


def failover(bench, _wanted):
    cluster = cluster_of(bench)

    def once():
        lost = cluster.coordinator()
        servers = [lost.server, *(node.server for node in cluster.nodes
                                  if node is not lost)]
        parent = os.getpid()
        with subprocess.Popen(
                [bench.bin / "failover_load", ",".join(servers)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                preexec_fn=lambda: child_process.die_with_parent(parent)
                ) as load:
            try:
                if load.stdout.readline().strip() != "ready":
                    raise RuntimeError("failover_load did not begin")
                time.sleep(QUIET_S)
                print(file=load.stdin, flush=True)
                lost.process.stop(signal.SIGKILL)
                time.sleep(LOOK_S)
                answer = load.communicate("\n", timeout=120)[0]
            except BaseException:
                load.kill()
                lost.process.stop()
                raise
        found = json.loads(answer)
        lost.start()
        wait_for(lost, tail_of(next(node for node in cluster.nodes
                                    if node is not lost)))
        return {**found, **{
            f"gap of the {kind}": max(0, found[f"{kind}_ms"]
                                      - found[f"usual_{kind}_ms"])
            for kind in ("read", "write")}}

    found = bench.rounds(5, {"kill -9": once})
    for kind in ("read", "write"):
        bench.add(f"failover_gap_{kind}_ms", found[f"gap of the {kind}"], "ms")


GROUPS = [(COMMITS, zookeeper_commits), (ETCD_COMMITS, etcd_commits),
          (PROPAGATION, propagation), (CATCH_UP, catch_up),
          (FAILOVER, failover)]
