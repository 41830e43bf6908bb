"""Benchmarks of a node with a million hosts: import, restart, snapshots."""

import signal
import statistics
import time

from bench_system import HOSTS, Etcd, Node, Redis, say

IMPORT = {
    "import_1m_s": "kafedctl host import of 1 million hosts into a new node",
    "memory_server_bytes_per_host":
        "resident bytes of the node after the import, less those before",
}
SNAPSHOTS = {
    "snapshot_save_1m_s": "kafedctl snapshot save, read back and verified",
    "snapshot_load_1m_s": "loading and verifying that image",
}
RESTART = {
    "restart_1m_s": "from exec to readiness, after a clean stop",
}
REFERENCE = {
    "restart_reference_s":
        "restart with 100,000 VPCs of 10 to 100,000 hosts beside the fleet",
    "memory_reference_bytes_per_host":
        "resident bytes of that node after its start",
    "join_cost_ratio_100k_10":
        "one host joins a VPC of 100,000 hosts / one of 10, in CPU",
}


def _import_once(bench, number):
    """(seconds, resident bytes of each host) of a new node."""
    node = bench.empty_node(f"import-{number}")
    try:
        before = node.process.resident_bytes()
        begun = time.monotonic()
        node.ctl("host", "import", bench.host_file())
        took = time.monotonic() - begun
        node.wait_for_kafka()
        return took, (node.process.resident_bytes() - before) / HOSTS
    finally:
        node.stop()


def import_hosts(bench, _wanted):
    redis = bench.redis_1m()
    of_redis = (redis.used_memory() - bench.redis_empty_bytes) / HOSTS
    taken, sizes, peer = [], [], []
    for number in range(3):
        took, size = _import_once(bench, number)
        taken.append(took)
        sizes.append(size)
        with Redis(bench, bench.folder / f"always-{number}", "--appendonly",
                   "yes", "--appendfsync", "always") as always:
            peer.append(HOSTS / always.load("set", 1_000, 1))
        say(f"    round {number + 1}: {took:.2f} s, {size:.0f} bytes/host, "
            f"Redis {peer[-1]:.2f} s")
    bench.add("import_1m_s", statistics.median(taken), "s",
              [("redis_appendfsync_always", statistics.median(peer))])
    bench.add("memory_server_bytes_per_host", statistics.median(sizes),
              "bytes/host", [("redis", of_redis)])


def snapshots(bench, _wanted):
    node = bench.node_1m()
    path = bench.folder / "image.snapshot"

    def save():
        begun = time.monotonic()
        node.ctl("snapshot", "save", path)
        return time.monotonic() - begun

    found = bench.rounds(3, {
        "save": save,
        "load": lambda: bench.program("snapshot_load", path)["seconds"]})
    say(f"    the file has {path.stat().st_size / HOSTS:.1f} bytes a host")
    bench.add("snapshot_save_1m_s", found["save"], "s")
    bench.add("snapshot_load_1m_s", found["load"], "s")
    path.unlink()


def _filled_redis(bench, name, *settings):
    """A folder with the table as Redis keeps it; the settings to load it."""
    folder = bench.folder / name
    with Redis(bench, folder, *settings) as redis:
        redis.load("set", 1_000, 1)
        if not settings:
            redis.ask("SAVE")
    return lambda: _start_s(Redis(bench, folder, *settings))


def _start_s(server):
    with server:
        return server.start_s


def restart(bench, _wanted):
    node = bench.node_1m()
    bench.etcd_1m()
    bench.drop("etcd")
    rdb = _filled_redis(bench, "rdb")
    aof = _filled_redis(bench, "aof", "--appendonly", "yes")
    found = bench.rounds(3, {
        "kafed": node.restart,
        "kafed after kill -9": lambda: node.restart(signal.SIGKILL),
        "redis_rdb": rdb,
        "redis_aof": aof,
        "etcd": lambda: _start_s(Etcd(bench.folder / "etcd"))})
    bench.add("restart_1m_s", found["kafed"], "s",
              [(name, found[name]) for name in ("redis_rdb", "redis_aof",
                                                "etcd")])


def reference(bench, _wanted):
    """The node gets its state by a restore: joins of a million hosts one by
    one, each with its message, would measure Kafka."""
    path = bench.folder / "reference.snapshot"
    made = bench.program("reference_image", path)
    say(f"    {made['memberships']:,} memberships, "
        f"{made['image_bytes'] / HOSTS:.0f} bytes of image a host, a join "
        f"{made['join_large_us']:.0f} and {made['join_small_us']:.0f} us")
    with Node(bench, bench.folder / "reference", restore=path) as node:
        found = bench.rounds(3, {"restart": node.restart})
        resident = node.process.resident_bytes()
    bench.add("restart_reference_s", found["restart"], "s")
    bench.add("memory_reference_bytes_per_host", resident / HOSTS,
              "bytes/host")
    bench.add("join_cost_ratio_100k_10",
              made["join_large_us"] / made["join_small_us"], "ratio")


GROUPS = [(IMPORT, import_hosts), (SNAPSHOTS, snapshots), (RESTART, restart),
          (REFERENCE, reference)]
