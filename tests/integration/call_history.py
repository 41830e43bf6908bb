"""What clients asked and were answered, one record a call.

tests/linearizability says whether such a history is one that a single copy of
the metadata could have given; its history.go says what the fields are.
"""

import copy
import json
import os
import pathlib
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHECKER = pathlib.Path(os.environ.get(
    "KAFED_LINEARIZABILITY", ROOT / "build/tools/linearizability"))


class History:
    """Records of all clients. Thread-safe."""

    def __init__(self, records=()):
        self._lock = threading.Lock()
        self.records = list(records)

    def add(self, record):
        with self._lock:
            self.records.append(record)

    def snapshot(self):
        with self._lock:
            return list(self.records)

    def answered(self, client, since_ns, reads=None):
        """When a client got answers; of reads or of changes only."""
        return [record["return"] for record in self.snapshot()
                if record["client"] == client
                and record["answer"] != "unknown"
                and record["return"] >= since_ns
                and (reads is None or reads == (record["op"] == "read"))]

    def longest_gap_ms(self, clients, reads, begin_ns, end_ns):
        """The longest time that one of the clients waited for an answer of
        that kind, in a period."""
        return max(longest_gap_ms(self.answered(client, begin_ns, reads),
                                  begin_ns, end_ns) for client in clients)

    def check(self, path):
        """(whether the checker accepts it, what it says)."""
        with open(path, "w") as file:
            for record in self.snapshot():
                file.write(json.dumps(record) + "\n")
        done = subprocess.run([CHECKER, path], capture_output=True, text=True,
                              check=False)
        if done.returncode not in (0, 1):
            raise RuntimeError(f"{CHECKER}: {done.stdout}{done.stderr}")
        return done.returncode == 0, done.stdout


def longest_gap_ms(times, begin_ns, end_ns):
    inside = [begin_ns, *sorted(t for t in times if begin_ns <= t <= end_ns),
              end_ns]
    return max(b - a for a, b in zip(inside, inside[1:])) / 1e6


def call(client, op, key, **more):
    """A record of a call that begins now."""
    return {"client": client, "op": op, "key": key, "call":
            time.monotonic_ns(), "return": 0, "answer": "unknown", **more}


# --- falsified copies, which the checker must refuse ---


def _changes(records):
    return sorted((r for r in records
                   if r["op"] != "read" and r["answer"] == "ok"),
                  key=lambda r: r["position"])


def _reads(records):
    return sorted((r for r in records
                   if r["op"] == "read" and r["answer"] == "ok"),
                  key=lambda r: r["position"])


def _nth_of_the_middle(found):
    return found[len(found) // 2]


def without_a_change(records):
    """An acknowledged join is lost, and a client has read what it did."""
    joins = {(r["key"], r["version"]): r for r in _changes(records)
             if r["op"] == "join"}
    followed = []
    for read in _reads(records):
        join = joins.pop((read["key"], read["version"]), None)
        if join and join["position"] <= read["position"]:
            followed.append(join)
    lost = _nth_of_the_middle(followed)
    return [r for r in records if r is not lost]


def with_two_changes_swapped(records):
    """Two changes, one after the other by the clock, in each other's place."""
    records = copy.deepcopy(records)
    changes = _changes(records)
    first = _nth_of_the_middle(changes)
    second = next(r for r in changes if r["call"] > first["return"])
    first["position"], second["position"] = (second["position"],
                                             first["position"])
    return records


def with_a_change_twice(records):
    """A retry that was carried out a second time."""
    records = copy.deepcopy(records)
    changes = _changes(records)
    again = copy.copy(_nth_of_the_middle(changes))
    again["position"] = changes[-1]["position"] + 1
    again["return"] = max(r["return"] for r in records) + 1
    return [*records, again]


def with_a_stale_read(records):
    """A read that says what held before a change, with a position after it."""
    records = copy.deepcopy(records)
    last = {}
    for read in _reads(records):
        older = last.get(read["key"])
        if older and older["version"] != read["version"] and \
                read["position"] > records_end(records) // 2:
            read["version"] = older["version"]
            read["members"] = older["members"]
            return records
        last[read["key"]] = read
    raise ValueError("no two reads of one VPC differ")


def records_end(records):
    return max(r.get("position", 0) for r in records)


def with_a_client_that_goes_back(records):
    """An answer from before what the same client had seen."""
    records = copy.deepcopy(records)
    read = _nth_of_the_middle([r for r in _reads(records) if r["min"] > 1])
    read["position"] = read["min"] - 1
    return records


FALSIFIED = (without_a_change, with_two_changes_swapped, with_a_change_twice,
             with_a_stale_read, with_a_client_that_goes_back)
