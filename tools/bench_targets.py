"""What each benchmark should reach, and why where it does not.

A target is (text, value or peer, comparison, bound): the measured value, or
its ratio to the peer, must be at least or at most the bound.
"""

AT_LEAST, AT_MOST = "at least", "at most"

TARGETS = {
    "lookup_local_1m": [
        ("8 M/s", None, AT_LEAST, 8e6),
        ("60 x Redis, one per round trip", "redis_get", AT_LEAST, 60)],
    "lookup_local_1m_uuid": [("5.5 M/s", None, AT_LEAST, 5.5e6)],
    "lookup_local_1m_grouped": [("12 M/s", None, AT_LEAST, 12e6)],
    "route_unary_64": [
        ("0.8 x echo", "echo", AT_LEAST, 0.8),
        ("1.3 x etcd", "etcd", AT_LEAST, 1.3)],
    "route_batch_1000": [
        ("1 x Redis MGET", "redis_mget_1000", AT_LEAST, 1)],
    "bind_durable_batch": [
        ("1 x Redis, appendfsync always", "redis_set_pipelined", AT_LEAST,
         1)],
    "import_1m_s": [
        ("faster than Redis, appendfsync always", "redis_appendfsync_always",
         AT_MOST, 1)],
    "bind_cost_ratio_1m_10k": [("at most 1.2", None, AT_MOST, 1.2)],
    "restart_1m_s": [
        ("faster than Redis from RDB", "redis_rdb", AT_MOST, 1),
        ("faster than Redis from AOF", "redis_aof", AT_MOST, 1),
        ("faster than etcd", "etcd", AT_MOST, 1)],
    "memory_server_bytes_per_host": [("at most 200", None, AT_MOST, 200)],
    "memory_mirror_bytes_per_host": [("at most 80", None, AT_MOST, 80)],
    "produce_overhead_throughput": [("at least 0.97", None, AT_LEAST, 0.97)],
    "produce_overhead_p99": [("at most 1.05", None, AT_MOST, 1.05)],
    "partitions_scale_flatness": [("at most 1.2", None, AT_MOST, 1.2)],
}

# Why a target is not reached, as profiles say; shown only where one is not.
_CACHE = (
    "A look-up walks three hash tables (key, partition, Kafka topic): of its "
    "time, 78% is spent in `BlockTable::Find`, nearly all of it waiting for "
    "memory at the tags, offsets and key bytes of the blocks (`FindRow` 43%, "
    "`memcmp` 22%); partition and Kafka topic are half of it.")
REASONS = {
    "lookup_local_1m": _CACHE,
    "lookup_local_1m_uuid": _CACHE,
    "lookup_local_1m_grouped":
        "The view has no grouped look-up that fetches ahead, so a group is "
        "16 look-ups, one after the other.",
    "partitions_scale_flatness":
        "The table of partitions is one more table that does not fit in the "
        "cache: following is flat, look-ups are not.",
    "bind_cost_ratio_1m_10k":
        "The same work on the same number of nodes; the difference is misses "
        "of the cache in the tables of hosts, bindings and partitions.",
    "route_batch_1000":
        "The node decodes rows of three tables for each key "
        "(`BlockTable::Find` and `memcmp` 46%), allocates for it (18%) and "
        "sends 77 bytes a key, of which brokers, names of the sub-cluster and "
        "of the Kafka topic are most; Redis sends 25.",
    "bind_durable_batch":
        "Planning and applying take 13 of 18 us of CPU a host: placement 21%, "
        "applying records 49%, copies of protobuf messages 15%.",
    "import_1m_s":
        "As `bind_durable_batch`: one thread plans and applies.",
    "memory_server_bytes_per_host":
        "The image takes about 100 bytes a host (what is left after a "
        "restart); the rest is memory of the import that the allocator keeps: "
        "all hosts are held as protobuf messages until the import ends.",
    "produce_overhead_throughput":
        "The Producer takes 5 us of CPU a message, librdkafka alone 1 us. "
        "Nearly a third of it is `malloc` and `free` (a message, its copy, its "
        "header, its report with names), then `Dispatcher::OnReport` and "
        "`WhyWait` and reading clocks. On two processors that the broker "
        "shares, this CPU is the throughput.",
}


def judge(result):
    """(text of the target, reached) for each target of the result."""
    judged = []
    for text, peer, comparison, bound in TARGETS.get(result["name"], []):
        if peer is None:
            value = result["value"]
        else:
            ratios = [each["ratio"] for each in result["peers"]
                      if each["name"] == peer]
            if not ratios:
                continue
            value = ratios[0]
        reached = value >= bound if comparison == AT_LEAST else value <= bound
        judged.append((text, reached))
    return judged
