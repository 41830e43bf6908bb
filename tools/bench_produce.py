"""Producers and Subscribers on one Apache Kafka broker; librdkafka alone is the
peer."""

import contextlib
import pathlib
import tempfile
import time

from bench_system import ROOT, Node, Repeated
from kafka_fleet import ClusterSpec, Fleet

PRODUCE = {
    "produce_overhead_throughput":
        "messages/s of the Producer / those of librdkafka",
    "produce_overhead_p99":
        "99th percentile of a delivery at 2,000 messages/s, the same way",
}
# The axes of load: messages a second sent, and agents that read.
SEND_RATES = (500, 2_000, 8_000)
AGENTS = (1, 10, 40)
RATES = {
    **{f"send_{rate}_p99_ms":
       f"99th percentile of a delivery at {rate:,} messages/s"
       for rate in SEND_RATES},
    **{f"subscribe_{agents}_p99_ms":
       f"from Produce to the handlers of {agents} agent"
       f"{'s' if agents > 1 else ''}, 1,000 messages/s in all, 99th percentile"
       for agents in AGENTS},
    "send_while_creating_p99_ratio":
        "99th percentile of a delivery at 2,000 messages/s while Kafka topics "
        "are created / while none are",
}
HOSTS = 1_000
MESSAGES = 300_000
PACED = 20_000
RATE = 2_000
SUBSCRIBE_MESSAGES = 8_000
SUBSCRIBE_RATE = 1_000


def kafka_version():
    """The newest that tools/setup.sh fetches."""
    for line in pathlib.Path(ROOT / "tools/setup.sh").read_text().splitlines():
        if line.startswith("KAFKA_VERSIONS="):
            return line.split('"')[1].split()[-1]
    raise RuntimeError("tools/setup.sh names no KAFKA_VERSIONS")


@contextlib.contextmanager
def node_on_kafka(bench):
    """A node with 1,000 hosts on one broker."""
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
        yield node


def produce(bench, _wanted):
    with node_on_kafka(bench) as node:
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


def rates(bench, _wanted):
    with node_on_kafka(bench) as node:
        def send(kind, rate, seconds=6):
            return bench.program("produce_load", kind, node.server, HOSTS,
                                 rate * seconds, rate)["p99_us"] / 1_000

        def subscribe(agents):
            with tempfile.TemporaryDirectory(dir=bench.folder) as states:
                return bench.program("subscribe_load", node.server, agents,
                                     SUBSCRIBE_MESSAGES, SUBSCRIBE_RATE,
                                     states)["p99_us"] / 1_000

        for kind in ("raw", "kafed"):  # the broker's compiler
            bench.program("produce_load", kind, node.server, HOSTS, MESSAGES,
                          0)
        found = bench.rounds(3, {
            **{f"{kind} {rate}/s":
               lambda kind=kind, rate=rate: send(kind, rate)
               for rate in SEND_RATES for kind in ("kafed", "raw")},
            **{f"{agents} agents": lambda agents=agents: subscribe(agents)
               for agents in AGENTS}})
        for rate in SEND_RATES:
            bench.add(f"send_{rate}_p99_ms", found[f"kafed {rate}/s"], "ms",
                      [("librdkafka", found[f"raw {rate}/s"])])
        for agents in AGENTS:
            bench.add(f"subscribe_{agents}_p99_ms", found[f"{agents} agents"],
                      "ms")

        numbers = iter(range(100))

        def while_creating():
            name = f"c{next(numbers)}"

            def create(number):
                node.ctl("topic", "create", f"{name}-{number}", "--kind",
                         "hashed", "--topics", 1, "--partitions", 50)
                time.sleep(0.1)

            with Repeated(create) as creation:
                p99 = send("kafed", RATE)
            node.wait_for_kafka()
            return {"busy": p99, "created": creation.times}

        found = bench.rounds(3, {"quiet": lambda: send("kafed", RATE),
                                 "creating": while_creating})
        bench.add("send_while_creating_p99_ratio",
                  found["busy"] / found["quiet"], "ratio")


GROUPS = [(PRODUCE, produce), (RATES, rates)]

