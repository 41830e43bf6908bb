"""Benchmarks of calls to a node: routes, bindings, followers."""

import json
import resource
import subprocess

from bench_system import HOSTS, Node, Process, Redis, Repeated, say

ROUTES = {
    "route_unary_64": "Route of one key, 64 calls in flight",
    "route_batch_100": "Route of 100 keys, 4 calls in flight",
    "route_batch_1000": "Route of 1,000 keys, 4 calls in flight",
}
BINDS = {
    "bind_durable_single": "one host in each import, 64 callers",
    "bind_latency_p99_ms": "99th percentile of one of these calls",
    "bind_durable_batch": "100,000 hosts in one import",
}
FOLLOW = {
    "mirror_bootstrap_1m_s": "a Mirror from nothing to its first view",
    "mirror_delta_1pct_bytes_ratio":
        "bytes of 1% new hosts / bytes of a full view",
}
STALLS = {
    "bind_p99_while_saving_ratio":
        "99th percentile of one binding while snapshots are saved / while "
        "none is, 1 million hosts",
    "bind_p99_while_bootstrapping_ratio":
        "the same while fresh followers take the whole view",
    "route_p99_while_bootstrapping_ratio":
        "99th percentile of Route of one key, the same way",
}
FAN_OUT = {
    "follow_fanout_1000_p99_ms":
        "from a call that binds a host to the views of 1,000 followers",
}


def routes(bench, wanted):
    node = bench.node_1m()

    def route(in_flight, keys):
        return bench.program("rpc_load", "kafed", node.server, HOSTS,
                             in_flight, keys)

    if "route_unary_64" in wanted:
        etcd = bench.etcd_1m()
        reply_bytes = route(64, 1)["reply_bytes"]
        with Process([bench.bin / "echo_server"],
                     bench.folder / "echo.log") as echo:
            address = echo.line().removeprefix("listening on ")
            # Tag and length of the one field of the reply.
            payload = reply_bytes - (2 if reply_bytes < 130 else 3)

            def load(mode, server, last):
                return bench.program("rpc_load", mode, server, HOSTS, 64,
                                     last)["per_second"]

            found = bench.rounds(5, {
                "kafed": lambda: load("kafed", node.server, 1),
                "echo": lambda: load("echo", address, payload),
                "etcd": lambda: load("etcd", etcd.address, 1)})
        bench.drop("etcd")
        bench.add("route_unary_64", found["kafed"], "calls/s",
                  [("echo", found["echo"]), ("etcd", found["etcd"])])
    redis = bench.redis_1m()
    found = bench.rounds(3, {
        "100": lambda: route(4, 100)["per_second"] * 100,
        "1000": lambda: route(4, 1_000)["per_second"] * 1_000,
        "redis_mget_100": lambda: redis.load("mget", 100, 4),
        "redis_mget_1000": lambda: redis.load("mget", 1_000, 4)})
    for size in (100, 1_000):
        bench.add(f"route_batch_{size}", found[str(size)], "keys/s",
                  [(f"redis_mget_{size}", found[f"redis_mget_{size}"])])


def binds(bench, _wanted):
    node = bench.node_1m()
    numbers = iter(range(1_000))

    def single():
        found = bench.program("bind_load", "single", node.server,
                              f"s{next(numbers)}", 64, 3)
        return {"single": found["per_second"],
                "p99_ms": found["p99_us"] / 1_000}

    def batch():
        return bench.program("bind_load", "batch", node.server,
                             f"b{next(numbers)}", 100_000, 1)["per_second"]

    with Redis(bench, bench.folder / "always", "--appendonly", "yes",
               "--appendfsync", "always") as redis:
        found = bench.rounds(3, {
            "single": single,
            "redis_set_64_clients": lambda: redis.load("set", 1, 64, 100_000),
            "batch": batch,
            "redis_set_pipelined":
                lambda: redis.load("set", 1_000, 1, 100_000)})
    bench.drop("node")
    bench.add("bind_durable_single", found["single"], "bindings/s",
              [("redis_set_64_clients", found["redis_set_64_clients"])])
    bench.add("bind_latency_p99_ms", found["p99_ms"], "ms")
    bench.add("bind_durable_batch", found["batch"], "bindings/s",
              [("redis_set_pipelined", found["redis_set_pipelined"])])


def stalls(bench, _wanted):
    node = bench.node_1m()
    numbers = iter(range(1_000))

    def bind():
        return bench.program("bind_load", "single", node.server,
                             f"w{next(numbers)}", 4, 4)["p99_us"]

    def route():
        return bench.program("rpc_load", "kafed", node.server, HOSTS, 4,
                             1)["p99_us"]

    def save(number):
        file = bench.folder / f"stall-{number}"
        node.ctl("snapshot", "save", file)
        file.unlink()

    def bootstrap(_number):
        bench.program("follow_load", "mirror", node.server)

    def beside(action, measure, name):
        def measured():
            with Repeated(action) as other:
                value = measure()
            return {name: value, f"{name} done": other.times}
        return measured

    found = bench.rounds(3, {
        "bind": bind,
        "save": beside(save, bind, "bind while saving"),
        "follow": beside(bootstrap, bind, "bind while bootstrapping"),
        "route": route,
        "routes": beside(bootstrap, route, "route while bootstrapping")})
    for name, busy, quiet in (
            ("bind_p99_while_saving_ratio", "bind while saving", "bind"),
            ("bind_p99_while_bootstrapping_ratio", "bind while bootstrapping",
             "bind"),
            ("route_p99_while_bootstrapping_ratio",
             "route while bootstrapping", "route")):
        bench.add(name, found[busy] / found[quiet], "ratio")


def follow(bench, _wanted):
    node = bench.node_1m()
    found = bench.rounds(3, {
        "mirror": lambda: bench.program("follow_load", "mirror",
                                        node.server)["seconds"]})
    bench.add("mirror_bootstrap_1m_s", found["mirror"], "s")
    with subprocess.Popen(
            [bench.bin / "follow_load", "delta", node.server],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True) as client:
        try:
            client.stdout.readline()
            bench.program("bind_load", "batch", node.server, "delta",
                          HOSTS // 100, 1)
            answer = client.communicate("go\n", timeout=120)[0]
        except BaseException:
            client.kill()
            raise
    sizes = json.loads(answer.splitlines()[-1])
    say(f"    {sizes}")
    bench.add("mirror_delta_1pct_bytes_ratio",
              sizes["delta_bytes"] / sizes["full_bytes"], "ratio")


def fan_out(bench, _wanted):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Node(bench, bench.folder / "fan-out") as node:
        node.add_cluster("eu-0", "z1")
        node.ctl("topic", "create", "nca", "--kind", "unicast")
        bench.program("bind_load", "batch", node.server, "host", 1_000, 1)
        node.wait_for_kafka()
        found = bench.rounds(3, {
            "fan-out": lambda: bench.program("follow_load", "fanout",
                                             node.server, 1_000, 40)})
    bench.add("follow_fanout_1000_p99_ms", found["p99_ms"], "ms")


GROUPS = [(ROUTES, routes), (FOLLOW, follow), (STALLS, stalls), (BINDS, binds),
          (FAN_OUT, fan_out)]
