"""The Producer against librdkafka alone, on one Apache Kafka broker."""

import pathlib

from bench_system import ROOT, Node
from kafka_fleet import ClusterSpec, Fleet

PRODUCE = {
    "produce_overhead_throughput":
        "messages/s of the Producer / those of librdkafka",
    "produce_overhead_p99":
        "99th percentile of a delivery at 2,000 messages/s, the same way",
}
HOSTS = 1_000
MESSAGES = 300_000
PACED = 20_000
RATE = 2_000


def kafka_version():
    """The newest that tools/setup.sh fetches."""
    for line in pathlib.Path(ROOT / "tools/setup.sh").read_text().splitlines():
        if line.startswith("KAFKA_VERSIONS="):
            return line.split('"')[1].split()[-1]
    raise RuntimeError("tools/setup.sh names no KAFKA_VERSIONS")


def produce(bench, _wanted):
    with Fleet([ClusterSpec("a", kafka_version(), heap="1g")],
               bench.folder / "kafka") as fleet, \
            Node(bench, bench.folder / "produce") as node:
        node.add_cluster("a", "z1", fleet["a"].bootstrap)
        node.ctl("topic", "create", "nca", "--kind", "unicast")
        hosts = bench.folder / "produce.csv"
        hosts.write_text("id,region,zone\n" + "".join(
            f"host-{i:06d},eu,z1\n" for i in range(HOSTS)))
        node.ctl("host", "import", hosts)
        node.wait_for_kafka()

        def run(kind, messages, rate):
            return bench.program("produce_load", kind, node.server, HOSTS,
                                 messages, rate)

        for kind in ("raw", "kafed"):  # the broker's compiler
            run(kind, MESSAGES, 0)

        def flat_out(kind):
            measured = run(kind, MESSAGES, 0)
            return {kind: measured["per_second"],
                    f"{kind} CPU us a message": measured["cpu_us"]}

        found = bench.rounds(5, {
            kind: lambda kind=kind: flat_out(kind)
            for kind in ("kafed", "raw", "header")})

        def evenly(kind):
            measured = run(kind, PACED, RATE)
            return {kind: measured["p99_us"],
                    f"{kind} median": measured["p50_us"]}

        paced = bench.rounds(3, {
            kind: lambda kind=kind: evenly(kind)
            for kind in ("kafed", "raw")})
    for name, values, scale, unit in (
            ("produce_overhead_throughput", found, 1, "messages_per_s"),
            ("produce_overhead_p99", paced, 1e-3, "p99_ms")):
        add_ratio(bench, name, values, scale, unit)


def add_ratio(bench, name, values, scale, unit):
    """The value is the ratio; peers have what librdkafka reached, bare and
    with a header of the size that the Producer adds."""
    ratio = values["kafed"] / values["raw"]
    bench.add(name, ratio, "ratio")
    bench.results[name]["peers"] = [
        {"name": f"{peer}_{unit}",
         "value": float(f"{values[kind] * scale:.6g}"),
         "ratio": float(f"{values['kafed'] / values[kind]:.4g}")}
        for kind, peer in (("raw", "librdkafka"),
                           ("header", "librdkafka_with_header"))
        if kind in values]


GROUPS = [(PRODUCE, produce)]

