"""Benchmarks inside one process, with Redis beside them."""

import re
import statistics
import subprocess

from bench_system import HOSTS, say

LOOKUPS = {
    "lookup_local_1m": "one thread, one key at a time, random, short ids",
    "lookup_local_1m_uuid": "the same with UUIDs",
    "lookup_local_1m_grouped": "the same with short ids, in groups of 16",
    "lookup_local_p99_ns": "99th percentile of one look-up",
}
MEMORY = {
    "memory_mirror_bytes_per_host": "resident bytes of a mirrored view",
}
SCALE = {
    "partitions_scale_flatness":
        "look-up and follow: slowest / fastest of 10 thousand, 100 thousand "
        "and 1 million logical partitions",
}
BIND_COST = {
    "bind_cost_ratio_1m_10k":
        "CPU of one binding, 1 million hosts / 10 thousand",
}
SIMULATION = {
    "sim_seeds_per_min": "simulated runs of three nodes and four clients",
}


def _rate(runs, name):
    """By the clock, as peers are measured; a run is a group of 16."""
    return 16e9 / runs[name][0]["real_time"]


def lookups(bench, _wanted):
    redis = bench.redis_1m()

    def local():
        runs = bench.google(
            "lookup_bench",
            "^(LookUp/(short_names|uuids)|LookUpGroups/(short_names|uuids)|"
            "LookUpLatency.*|DependentRead)$", "--benchmark_min_time=1")
        latency, = [run for name, run in runs.items()
                    if name.startswith("LookUpLatency")]
        return {"short": _rate(runs, "LookUp/short_names"),
                "uuid": _rate(runs, "LookUp/uuids"),
                "grouped": _rate(runs, "LookUpGroups/short_names"),
                "grouped_uuid": _rate(runs, "LookUpGroups/uuids"),
                "dependent_reads": 1e9 / runs["DependentRead"][0]["real_time"],
                "p50_ns": latency[0]["p50_ns"], "p99_ns": latency[0]["p99_ns"]}

    found = bench.rounds(3, {
        "local": local,
        "redis_get": lambda: redis.load("get", 1, 1),
        "redis_get_pipelined_100": lambda: redis.load("get", 100, 1)})
    peers = [(name, found[name]) for name in (
        "redis_get", "redis_get_pipelined_100", "dependent_reads")]
    bench.add("lookup_local_1m", found["short"], "ops/s", peers)
    bench.add("lookup_local_1m_uuid", found["uuid"], "ops/s", peers)
    bench.add("lookup_local_1m_grouped", found["grouped"], "ops/s", peers)
    bench.add("lookup_local_p99_ns", found["p99_ns"], "ns")


def mirror_memory(bench, _wanted):
    redis = bench.redis_1m()
    of_redis = (redis.used_memory() - bench.redis_empty_bytes) / HOSTS

    def mirror():
        run, = bench.google("lookup_bench", "^Memory").values()
        return {"bytes": run[0]["bytes_per_host"],
                "of tables": run[0]["table_bytes_per_host"]}

    found = bench.rounds(3, {"mirror": mirror})
    bench.add("memory_mirror_bytes_per_host", found["bytes"], "bytes/host",
              [("redis", of_redis)])


def _flatness(values):
    return max(values) / min(values)


# Tables of this size take long to make, so rounds are taken inside one program.
INSIDE = ("--benchmark_repetitions=5",
          "--benchmark_enable_random_interleaving=true")


def _median_cpu(runs, rows=False):
    """Median CPU nanoseconds of a run, or of each of its rows; by name."""
    return {name: statistics.median(
        run["cpu_time"] / (run["rows"] if rows else 1)
        for run in each if run["run_type"] == "iteration")
            for name, each in runs.items()}


def scale(bench, _wanted):
    look_ups = _median_cpu(bench.google("lookup_bench", "^LookUp/partitions_",
                                        "--benchmark_min_time=0.5", *INSIDE))
    follows = _median_cpu(bench.google("image_bench", "^Follow/", *INSIDE),
                          rows=True)
    for name, time in look_ups.items():
        say(f"    {name}: {16e3 / time:.2f} M look-ups/s")
    for name, time in follows.items():
        say(f"    {name}: {time:,.0f} ns a row")
    bench.add("partitions_scale_flatness",
              max(_flatness(look_ups.values()), _flatness(follows.values())),
              "ratio")


def bind_cost(bench, _wanted):
    times = {int(name.split("/")[1]): time for name, time in _median_cpu(
        bench.google("image_bench", "^Bind/", *INSIDE)).items()}
    say("    us of one binding: " + ", ".join(
        f"{hosts:,} hosts {times[hosts] / 1e3:.2f}" for hosts in sorted(times)))
    bench.add("bind_cost_ratio_1m_10k", times[HOSTS] / times[10_000], "ratio")


def simulation(bench, _wanted):
    def run():
        done = subprocess.run([bench.bin / "simulate", "--seeds", "1500"],
                              capture_output=True, text=True, check=True)
        return float(re.search(r"(\d+) seeds a minute", done.stdout)[1])

    found = bench.rounds(3, {"seeds": run})
    bench.add("sim_seeds_per_min", found["seeds"], "runs/min")


GROUPS = [(LOOKUPS, lookups), (MEMORY, mirror_memory), (SCALE, scale),
          (BIND_COST, bind_cost), (SIMULATION, simulation)]
