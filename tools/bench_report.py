"""docs/performance.md and its plots, from a file of results."""

import json
import pathlib
import sys

from bench_targets import REASONS, TARGETS, judge
from plot_bars import bars, short

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"

# name -> (title, note, unit text, names of the results in it, value marked)
PLOTS = {
    "lookups": ("Local look-ups, 1 million hosts", "a second; more is better",
                ["lookup_local_1m", "lookup_local_1m_uuid",
                 "lookup_local_1m_grouped"]),
    "routes": ("Route, one key, 64 calls in flight",
               "calls a second; more is better", ["route_unary_64"]),
    "batches": ("Route, many keys in a call", "keys a second; more is better",
                ["route_batch_100", "route_batch_1000"]),
    "bindings": ("Durable bindings", "a second; more is better",
                 ["bind_durable_single", "bind_durable_batch"]),
    "times": ("1 million hosts", "seconds; less is better",
              ["import_1m_s", "restart_1m_s", "snapshot_save_1m_s",
               "snapshot_load_1m_s", "mirror_bootstrap_1m_s"]),
    "memory": ("Memory of a host", "bytes; less is better",
               ["memory_server_bytes_per_host",
                "memory_mirror_bytes_per_host"]),
}

METHOD = """\
## Method

`./dev bench --json FILE` measures, `./dev bench --report FILE` writes this
page. Everything runs on one machine over loopback: the release build of
`kafed`, `redis-server`, `etcd` and ZooKeeper with folders and ports of their
own, and one Apache Kafka broker. What is compared is measured in turn
(interleaved rounds, three to five, inside one program or between several), and
each figure is the median of its rounds, so that a slow moment of the machine
meets all alike. A ratio is kafed's figure divided by the peer's. Client and
server share the processors.

- **The fleet.** 1,000,000 hosts in 10 sub-clusters over three zones (3/3/4;
  hosts 30/30/40), 100,000 logical partitions of 10 hosts, 2,000 Kafka topics.
  Names have 11 characters (`host-000123`) or are UUIDs of 36.
- **Look-ups** (Google Benchmark, one thread) go to the view that a
  Mirror holds, filled in the order of a feed; keys are uniformly random, and
  each answer has the segment, its epoch and whether the Kafka topic is there.
  Redis holds `nca/<host>` with a value of some 20 bytes that says the same; one
  client asks with `GET`, one in a round trip or 100 in a pipeline.
  `dependent_reads` are reads of 32 MB, each at the place that the one before
  named.
- **Routes.** One load generator for all: two channels, gRPC's callback API,
  messages encoded and decoded. `echo` is a gRPC server in C++ that only
  answers, with requests and replies of the same size: the limit. etcd answers
  serializable ranges of one key. Redis answers `MGET` to as many clients as
  kafed has calls in flight.
- **Bindings.** An answer means that the log was synced. Single: 64 callers, one
  host in each call; Redis: 64 clients, one `SET` each, `appendfsync always`.
  Batch: 100,000 hosts in one call on a node that holds a million; Redis:
  `SET` in pipelines of 1,000, `appendfsync always`.
- **Import** is `kafedctl host import` of a CSV file into a new node, Kafka
  topics being made meanwhile; Redis stores the same table with
  `appendfsync always`. **Memory of the node** is its resident set after the
  import less that before. **Restart** is from exec to readiness after a clean
  stop, with all files in the page cache; Redis loads an RDB file or an
  append-only file, etcd its own directory.
- **Memory of a mirror** is the growth of the resident set of a process that
  fills a view; of Redis, `used_memory` less that of an empty one.
- **Followers.** `mirror_delta_1pct_bytes_ratio` counts the bytes of messages
  that bring 10,000 new hosts to a follower that had the rest, over those of a
  full view. The fan-out has 1,000 followers, each with a connection and a view
  of its own in one client process, on a node with 1,000 hosts; time runs from
  the call that binds a host to its arrival in each view.
- **Producer.** Messages of 200 bytes to 1,000 hosts on one broker, idempotent,
  acknowledged by all, linger 5 ms; librdkafka alone is given the partitions
  that the Producer chooses, and writes no `kafed` header, or, to tell the
  header's part, one of the same size.
- **Rates.** The same broker. `send_...` are messages handed over evenly, each
  timed to its acknowledgement, beside librdkafka alone. `subscribe_...` are
  Subscribers with consumers and a state of their own in one process, timed from
  Produce to the handler. `send_while_creating_p99_ratio` has a logical topic
  with a Kafka topic of 50 partitions created every tenth of a second or as fast
  as the command line can.
- **Stalls.** On the node with a million hosts, four callers bind or ask one at
  a time, alone and while `kafedctl snapshot save` or fresh followers run one
  after the other; all share two processors.
- **The whole reference federation** has 100,000 VPCs beside the fleet: one of
  100,000 hosts, 100 of 1,000, the others of 10. `reference_image` plans and
  applies all of it in one process and writes a snapshot; the node that is
  measured was made by `kafed restore` from it.
- **Over a quorum.** Three nodes over three servers of ZooKeeper or etcd, which
  sync each write to disk as they do by default; each node is a client of
  another server, and the one that is asked of one that does not lead. The peer
  is a client in C++ of the same server (ZooKeeper's C library, gRPC's callback
  API) that stores values as large as the log's entry of one change: one at a
  time, or pipelined with 1,000 under way on one connection. `commit_latency_1`
  takes blocks of 25 changes and 25 plain creates in turn. A change creates one
  VPC; it is two records, the VPC and the answer that is kept for a retry.
  `commit_import_records_s` are four imports of 5,000 hosts at once. Records are
  counted in the log, afterwards.
- **Propagation** is as the fan-out, from the acknowledgement of a change at one
  node to the views of followers of another; a view that had it first counts as
  0.
- **Catching up** is from exec to readiness at the position that the others had;
  the node was away while 40,000 hosts were imported, or its directory was
  removed.
- **Failover.** One reader (`Route` of one key) and one writer (a VPC a call)
  with the addresses of three nodes and a connection to each, one call at a time
  and 1 ms between them; both ask the coordinator until it is killed with
  signal 9. The gap is the longest time between two successes in the 9 seconds
  from the kill on, less the longest in the 9 seconds before; the median of five
  kills.
- **Cost and flatness.** `bind_cost_ratio_1m_10k` is CPU of planning, encoding
  and publishing one binding. `partitions_scale_flatness` is the worse of
  look-ups and of following 1,000 changed bindings (both ends), slowest over
  fastest, with a million hosts on 10 thousand, 100 thousand and 1 million
  logical partitions; all of them in CPU time.
"""


def _table(results, names):
    lines = ["| benchmark | measured | peers | target |",
             "| --- | --- | --- | --- |"]
    for name, text in names.items():
        result = results.get(name)
        if result is None:
            wanted = ", ".join(each[0] for each in TARGETS.get(name, []))
            lines.append(f"| `{name}`<br>{text} | not measured | - | "
                         f"{wanted or '-'} |")
            continue
        peers = "<br>".join(
            f"{each['name']}: {short(each['value'])} "
            f"({each['ratio']:.3g} x)" for each in result["peers"]) or "-"
        targets = "<br>".join(
            f"{text}: {'reached' if reached else '**not reached**'}"
            for text, reached in judge(result)) or "-"
        lines.append(f"| `{name}`<br>{text} | {short(result['value'])} "
                     f"{result['unit']} | {peers} | {targets} |")
    return lines


def _missed(results):
    lines = []
    for name, result in results.items():
        missed = [text for text, reached in judge(result) if not reached]
        if missed:
            reason = REASONS.get(name, "No profile was taken yet.")
            lines.append(f"- `{name}` ({'; '.join(missed)}): measured "
                         f"{short(result['value'])} {result['unit']}. "
                         f"{reason}")
    return lines


def _plot(results, title, note, names):
    rows, peers = [], {}
    for name in names:
        if name not in results:
            continue
        result = results[name]
        bounds = [bound for _, peer, _, bound in TARGETS.get(name, [])
                  if peer is None]
        rows.append((name, result["value"], short(result["value"]), True,
                     bounds[0] if bounds else None))
        for peer in result["peers"]:
            label = (peer["name"] if len(names) == 1 or name.startswith(
                "lookup") else f"{peer['name']} ({name.split('_')[0]})")
            peers[label] = (label, peer["value"], short(peer["value"]), False,
                            None)
    return bars(title, note, rows + list(peers.values())) if rows else None


def write(path, names):
    try:
        found = json.loads(path.read_text())
        results = {each["name"]: each for each in found["results"]}
        machine = found["machine"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"bench: {path}: {error}", file=sys.stderr)
        return 2
    plots = []
    (DOCS / "plots").mkdir(parents=True, exist_ok=True)
    for plot, (title, note, wanted) in PLOTS.items():
        file = DOCS / "plots" / f"{plot}.svg"
        drawn = _plot(results, title, note, wanted)
        if drawn is None:
            file.unlink(missing_ok=True)
            continue
        file.write_text(drawn)
        plots.append(f"![{title}](plots/{plot}.svg)")
    page = ["# Performance", "",
            "Generated by `./dev bench --report FILE`; do not edit.", "",
            "Measured on " + "; ".join(
                f"{key.replace('_', ' ')} {value}"
                for key, value in machine.items()) + ".", "",
            "`load at start` counts other processes that wanted to run; where "
            "it is above 1, only ratios to peers mean much.", "",
            *_table(results, names), ""]
    missed = _missed(results)
    if missed:
        page += ["## Not reached, and why", "", *missed, ""]
    page += ["The dashed lines are targets.", "", *plots, "", METHOD]
    (DOCS / "performance.md").write_text("\n".join(page))
    print(f"docs/performance.md: {len(results)} of {len(names)} measured, "
          f"{len(missed)} below their target")
    return 0
