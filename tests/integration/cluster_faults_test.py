"""Three nodes over a quorum of three, under load, while parts of it fail.

One fleet for each kind of quorum meets every fault in turn. In the end: what
was acknowledged is there, once, on all nodes alike; the history of all calls
is linearizable; no message was lost. How long clients waited is printed and
decides nothing.
"""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import small_disk  # noqa: E402 (needs the path)

small_disk.own_mounts()
# Processes are started while clients are at work.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
import call_history  # noqa: E402 (after the mounts)
import grpc  # noqa: E402
import load  # noqa: E402
from cluster_load import (HOSTS, LINEARIZABLE, TOPIC, VPCS,  # noqa: E402
                          Client, Load)
from etcd_cluster import EtcdCluster  # noqa: E402
from kafed_node import (BIN, EmbeddedKafka, admin_pb2,  # noqa: E402
                        child_process, events_pb2, options, types_pb2)
from parted_cluster import PartedCluster  # noqa: E402
from zookeeper_ensemble import ZooKeeperEnsemble  # noqa: E402

SESSION_MS = 3_000
WRITERS, READERS = 4, 3
RATE = 60  # messages a second
ADDRESSEES = [f"p-{n}" for n in range(12)]
SETTLED = 15  # answers of each client
MEGABYTES = 96
PATIENCE_S = 90


class Consumer:
    """`kafedctl consume`: what an agent reads of one key, as it comes."""

    def __init__(self, folder, servers, key):
        self._path = folder / "consumed"
        parent = os.getpid()
        with open(self._path, "wb") as out, \
                open(folder / "consumer.log", "wb") as log:
            self.process = subprocess.Popen(
                [BIN / "kafedctl", "--server", servers, "consume", key],
                stdin=subprocess.DEVNULL, stdout=out, stderr=log,
                preexec_fn=lambda: child_process.die_with_parent(parent))

    def numbers(self):
        return [int(line.split()[2])
                for line in self._path.read_text().splitlines()
                if len(line.split()) == 4]

    def end(self):
        self.process.kill()
        self.process.wait()


def whole_log(node):
    return (node.folder / "log").read_text()


class Faults:
    """Each puts the fleet into a state of its own and back; the checks in the
    end are common."""

    Quorum = None
    BACKEND = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="kafed-faults-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        # What is worth keeping of a run.
        self.output = BIN.parent / "cluster_faults"
        self.output.mkdir(exist_ok=True)
        self.gaps = {}
        quorum = self.Quorum(self.folder, 3)
        self.quorum = quorum.__enter__()
        self.addCleanup(quorum.__exit__, None, None, None)
        self.kafka = EmbeddedKafka(self.folder, "a")
        self.addCleanup(self.kafka.__exit__)
        self.disk = small_disk.SmallDisk(self.folder / "node-2" / "data",
                                         MEGABYTES)
        self.addCleanup(self.disk.close)
        self.cluster = PartedCluster(
            self.folder, self.BACKEND, self.quorum.servers, 3,
            ("--log-session-timeout-ms", SESSION_MS))
        self.addCleanup(self.cluster.__exit__)
        self.nodes = self.cluster.nodes
        self.addresses = [node.address for node in self.nodes]
        self.start_load()

    def start_load(self):
        first = self.nodes[0]
        first.add_cluster("a", self.kafka.bootstrap, self.kafka.admin)
        first.create_topic(TOPIC, "UNICAST")
        first.add_hosts([*HOSTS, *ADDRESSEES])
        first.wait_until_ready()
        self.cluster.wait_agreed()
        self.producer = load.LoadProducer(
            self.folder, first.address, "dpm", [
                f"{TOPIC}/{host}" for host in ADDRESSEES], RATE)
        self.addCleanup(self.producer.kill)
        self.consumer = Consumer(self.folder, ",".join(self.addresses),
                                 f"{TOPIC}/{ADDRESSEES[0]}")
        self.addCleanup(self.consumer.end)
        self.history = call_history.History()
        seed = os.environ.get("KAFED_SEED", str(time.time_ns()))
        print(f"{self.BACKEND}: KAFED_SEED={seed}", flush=True)
        self.load = Load(self.addresses, self.history, WRITERS, READERS, seed)
        self.addCleanup(self.load.end)
        self.wait_for("messages", lambda: len(self.producer.poll()) > RATE)
        self.load.wait_for_answers(SETTLED)

    def wait_for(self, what, condition):
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            self.load.check()
            self.assertIsNone(self.producer.process.poll(),
                              self.producer.said())
            self.assertLess(time.monotonic(), deadline,
                            f"{what}\n{self.cluster.logs()}")
            time.sleep(0.05)

    @contextlib.contextmanager
    def fault(self, name):
        """The time from the fault until every client and node is well."""
        begin, wall = time.monotonic_ns(), time.time_ns()
        yield
        healed = time.monotonic_ns()
        self.settle()
        end = time.monotonic_ns()
        gap = {kind: round(self.history.longest_gap_ms(
                   clients, kind == "reads", begin, end))
               for kind, clients in (("reads", self.load.readers),
                                     ("changes", self.load.writers))}
        gap["producing"] = round(self.producer.longest_gap_ms(
            wall, wall + end - begin))
        gap["lasted"] = (healed - begin) // 1_000_000
        gap["recovered"] = (end - healed) // 1_000_000
        self.gaps[name] = gap
        print(f"{self.BACKEND}: {name}: longest gaps in ms {gap}", flush=True)
        self.load.spread(len(self.gaps))

    def settle(self):
        """Until clients get answers and nodes know what is acknowledged."""
        self.load.wait_for_answers(SETTLED)
        newest = max(client.seen.index for client in self.load.clients)
        for node in self.nodes:
            self.wait_for(f"{node.folder.name} is at {newest}",
                          lambda node=node: self.position(node) >= newest)

    @staticmethod
    def position(node):
        try:
            return node.admin.Status(admin_pb2.StatusRequest(),
                                     timeout=5).position.index
        except grpc.RpcError:
            return 0

    def sleep_past_the_session(self):
        """What a fault lasts: the one time here that is waited for as such."""
        time.sleep(SESSION_MS / 1000 + 1)
        self.load.wait_for_answers(SETTLED)

    # --- faults ---

    def coordinator_is_killed(self):
        lost = self.cluster.coordinator()
        with self.fault("the coordinator is killed and restarted"):
            lost.kill9()
            self.cluster.coordinator(PATIENCE_S)
            self.load.wait_for_answers(SETTLED)
            lost.start()

    def coordinator_hangs(self):
        lost = self.cluster.coordinator()
        others = [node for node in self.nodes if node is not lost]
        with self.fault("the coordinator hangs for longer than its session"):
            lost.signal(signal.SIGSTOP)
            try:
                self.sleep_past_the_session()
                self.cluster.coordinator(PATIENCE_S, others)
            finally:
                lost.signal(signal.SIGCONT)

    def coordinator_is_parted(self):
        lost = self.cluster.coordinator()
        others = [node for node in self.nodes if node is not lost]
        aside = Client(90, [lost.address], self.history)
        self.addCleanup(aside.close)
        with self.fault("the coordinator is cut off from all others"):
            self.cluster.part(lost)
            try:
                self.sleep_past_the_session()
                self.cluster.coordinator(PATIENCE_S, others)
                # It answers those on its side, and vouches for nothing.
                self.wait_for("an answer without a lease", lambda: lost.route(
                    f"{TOPIC}/{HOSTS[0]}")[0].lease.remaining_ms == 0)
                for key in VPCS:
                    aside.read(key)
                self.refuse_a_retry(lost, others[0])
            finally:
                self.cluster.mend()

    def refuse_a_retry(self, parted, other):
        """A change whose first try the parted node still has."""
        request = admin_pb2.CreateVpcRequest(options=options(), id="late",
                                             region="eu")
        with self.assertRaises(grpc.RpcError):
            parted.admin.CreateVpc(request, timeout=1)
        other.create_vpc("late")
        with self.assertRaises(grpc.RpcError) as refused:
            other.admin.CreateVpc(request)
        self.assertEqual(refused.exception.code(),
                         grpc.StatusCode.ALREADY_EXISTS)
        other.admin.DeleteVpc(admin_pb2.DeleteVpcRequest(
            options=options(), id="late"))
        self.refused = request.options.request_id.hex()

    def quorum_restarts(self):
        with self.fault("the quorum's servers restart, one after the other"):
            for member in self.quorum.members:
                self.quorum.kill9(member)
                self.load.wait_for_answers(SETTLED)
                self.quorum.restart(member)
                self.quorum.wait_ready()

    def quorum_loses_its_leader(self):
        lost = self.quorum.leader()
        with self.fault("the quorum's leader is killed"):
            self.quorum.kill9(lost)
            self.load.wait_for_answers(SETTLED)
            self.quorum.restart(lost)
            self.quorum.wait_ready()

    def disk_is_full(self):
        node = self.nodes[2]
        own = Client(91, [node.address], self.history)
        self.addCleanup(own.close)
        with self.fault("one node's disk is full"):
            self.disk.fill()
            try:
                self.wait_for("it notices", lambda: "can't be written" in
                              whole_log(node))
                for host in range(len(HOSTS)):
                    own.change("create", f"full-{host}")
                    own.change("join", f"full-{host}", host)
                    own.read(f"full-{host}")
                self.load.wait_for_answers(SETTLED)
            finally:
                self.disk.free()
            self.wait_for("its copy is whole again", lambda:
                          "is written again" in whole_log(node))

    # --- what holds in the end ---

    def test_no_fault_loses_doubles_or_reorders_anything(self):
        for fault in (self.coordinator_is_killed, self.coordinator_hangs,
                      self.coordinator_is_parted, self.quorum_restarts,
                      self.quorum_loses_its_leader, self.disk_is_full):
            fault()
        self.load.end()
        self.load.check()
        agreed, _ = self.cluster.wait_agreed(PATIENCE_S)
        self.check_producing()
        self.read_all_everywhere()
        self.check_log(agreed)
        self.check_history()
        for node in self.nodes:
            self.assertEqual(node.stop(), 0, node.log())
        print(json.dumps({self.BACKEND: self.gaps}), flush=True)
        (self.output / f"{self.BACKEND}.gaps.json").write_text(
            json.dumps(self.gaps, indent=1))

    def read_all_everywhere(self):
        seen = max((client.seen for client in self.load.clients),
                   key=lambda position: position.index)
        for number, address in enumerate(self.addresses):
            last = Client(100 + number, [address], self.history)
            last.seen = seen
            for key in VPCS:
                last.read(key, LINEARIZABLE)
            last.close()

    def check_log(self, agreed):
        """Each acknowledged change is in the log, once, where it was said to
        be; settles what became of changes whose answer never came."""
        carried_out = {}
        node = next(n for n in self.nodes if self.first_kept(n) == 1)
        for entry in node.events.Read(events_pb2.ReadEventsRequest(
                to=types_pb2.Position(index=agreed)), timeout=PATIENCE_S):
            for record in entry.records:
                if record.WhichOneof("fact") != "request_completed":
                    continue
                request = record.request_completed.request_id.hex()
                self.assertNotIn(request, carried_out, "carried out twice")
                carried_out[request] = entry.header.position.index
        # Not a promise: docs/concepts/failure-model.md.
        late = int(self.refused in carried_out)
        for record in self.history.snapshot():
            if record["op"] == "read":
                continue
            where = carried_out.get(record["id"], 0)
            if record["answer"] == "ok":
                self.assertEqual(record["position"], where, record)
            elif record["answer"] == "unknown":
                record["position"] = where
                late += where > 0
        # What never came into the log by now was not carried out.
        self.history.records = [
            r for r in self.history.records
            if r["answer"] != "unknown" or r.get("position", 0) > 0]
        print(f"{self.BACKEND}: {agreed} entries, {len(self.history.records)} "
              f"calls, {self.load.tries_without_answer()} tries without an "
              f"answer, {late} changes carried out after a refusal of their "
              "retry", flush=True)

    @staticmethod
    def first_kept(node):
        return node.admin.Status(admin_pb2.StatusRequest()).log_first_index

    def check_history(self):
        path = self.output / f"{self.BACKEND}.history"
        accepted, said = self.history.check(path)
        self.assertTrue(accepted, said)
        self.assertGreater(len(self.history.records), 1_000)
        print(f"{self.BACKEND}: {said.strip()}", flush=True)
        for falsify in call_history.FALSIFIED:
            with self.subTest(falsify.__name__):
                wrong = call_history.History(falsify(self.history.records))
                accepted, said = wrong.check(self.folder / "falsified")
                self.assertFalse(accepted)
                self.assertNotIn("no result", said)
                print(f"{falsify.__name__}: {said.splitlines()[0]}")

    def check_producing(self):
        self.assertEqual(self.producer.end(), 0, self.producer.said())
        self.assertEqual([other[0] for other in self.producer.others], ["end"])
        wanted = {}
        for ack in self.producer.acks:
            wanted.setdefault(("dpm", ack.key), []).append(ack.number)
        found = load.read_back(self.kafka.bootstrap)
        self.assertEqual(
            {key: [number for _, _, number in messages]
             for key, messages in found.items()},
            {key: sorted(numbers) for key, numbers in wanted.items()})
        own = sorted(wanted["dpm", f"{TOPIC}/{ADDRESSEES[0]}"])
        deadline = time.monotonic() + PATIENCE_S
        while len(self.consumer.numbers()) < len(own):
            self.assertLess(time.monotonic(), deadline, "not consumed")
            time.sleep(0.1)
        self.assertEqual(self.consumer.numbers(), own)


class ZooKeeperTest(Faults, unittest.TestCase):
    Quorum = ZooKeeperEnsemble
    BACKEND = "zookeeper"


class EtcdTest(Faults, unittest.TestCase):
    Quorum = EtcdCluster
    BACKEND = "etcd"


if __name__ == "__main__":
    unittest.main(verbosity=2)
