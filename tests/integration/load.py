"""Load on a node that is about to die: producers, operators, and the proof.

Producers are processes that write down each acknowledgement; operators change
the metadata and write down each answer; read_back reads Kafka with a plain
consumer and compares.
"""

import collections
import os
import subprocess
import threading
import time

import confluent_kafka
import grpc

from kafed_node import (BIN, admin_pb2, admin_pb2_grpc, child_process, options,
                        types_pb2)

CALL_TIMEOUT_S = 120  # above the multicast lease, which a join may wait for

Ack = collections.namedtuple("Ack", "time_ns key number homes")


class LoadProducer:
    """One load_producer process and its ledger."""

    def __init__(self, folder, server, name, keys, rate, *flags):
        self.name = name
        self._ledger = folder / f"{name}.tsv"
        key_file = folder / f"{name}.keys"
        key_file.write_text("".join(f"{key}\n" for key in keys))
        parent = os.getpid()
        with open(folder / f"{name}.log", "wb") as log:
            self.process = subprocess.Popen(
                [BIN / "load_producer", "--server", server, "--folder", folder,
                 "--name", name, "--keys", key_file, "--rate", str(rate),
                 *flags],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=lambda: child_process.die_with_parent(parent))
        self._log = folder / f"{name}.log"
        self._offset = 0
        self.acks = []
        self.others = []  # (kind, time_ns, key, number, text)

    def poll(self):
        """Reads what the ledger has more; the acknowledgements so far."""
        if not self._ledger.exists():
            return self.acks
        with open(self._ledger, "rb") as file:
            file.seek(self._offset)
            text = file.read()
        whole = text[:text.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.decode().splitlines():
            kind, time_ns, key, number, rest = line.split("\t")
            if kind == "ack":
                self.acks.append(Ack(int(time_ns), key, int(number),
                                     [int(home) for home in rest.split(",")]))
            else:
                self.others.append((kind, int(time_ns), key, int(number),
                                    rest))
        return self.acks

    def acknowledged_since(self, time_ns):
        """How many; the newest acknowledgements are the last lines."""
        count = 0
        for ack in reversed(self.poll()):
            if ack.time_ns < time_ns - 1_000_000_000:
                break
            count += ack.time_ns >= time_ns
        return count

    def longest_gap_ms(self, begin_ns, end_ns):
        """The longest time between two acknowledgements in a period."""
        times = [begin_ns, *sorted(
            ack.time_ns for ack in self.poll()
            if begin_ns <= ack.time_ns <= end_ns), end_ns]
        return max(b - a for a, b in zip(times, times[1:])) / 1e6

    def end(self, timeout=90):
        """Lets it finish; its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(timeout)
        self.poll()
        return code

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def said(self):
        return f"{self.name}: {self._log.read_text()[-2000:]} {self.others}"


class Operator(threading.Thread):
    """Adds hosts and VPC members, one change after the other.

    A call that fails is left as `unanswered` until `retry` sends the very same
    request again; the thread waits until then.
    """

    def __init__(self, server, name, shared_vpc=None, shared_hosts=()):
        super().__init__(daemon=True)
        self.vpc = f"vpc-of-{name}"
        self.name = name
        self.hosts, self.members, self.shared = set(), set(), set()
        self.version = 0  # of self.vpc
        self.unanswered = None  # (request, what it adds)
        self.error = None
        self.slowest = (0.0, "")  # of its calls that were answered
        self._shared_vpc = shared_vpc
        self._shared_hosts = list(shared_hosts)
        self._ending = threading.Event()
        self.paused = threading.Event()
        self._resume = threading.Event()
        self._channel = grpc.insecure_channel(server, options=[
            ("grpc.initial_reconnect_backoff_ms", 50),
            ("grpc.max_reconnect_backoff_ms", 200)])
        self._admin = admin_pb2_grpc.AdminStub(self._channel)
        self._admin.CreateVpc(admin_pb2.CreateVpcRequest(
            options=options(), id=self.vpc, region="eu"))

    def run(self):
        try:
            number = 0
            while not self._ending.is_set():
                hosts = [f"{self.name}-{number}-{i}" for i in range(2)]
                self._change(admin_pb2.ImportHostsRequest(
                    options=options(), total=len(hosts), hosts=[
                        types_pb2.HostSpec(id=host, region="eu",
                                           zone=f"z{1 + number % 2}")
                        for host in hosts]), "hosts", hosts)
                self._change(admin_pb2.AddVpcHostsRequest(
                    options=options(), vpc=self.vpc, hosts=hosts), "members",
                    hosts)
                if self._shared_hosts and number % 20 == 0:
                    host = self._shared_hosts.pop()
                    self._change(admin_pb2.AddVpcHostsRequest(
                        options=options(), vpc=self._shared_vpc,
                        hosts=[host]), "shared", [host])
                number += 1
        except BaseException as error:  # told by check()
            self.error = error
            self.paused.set()

    def _call(self, request):
        begun = time.monotonic()
        if isinstance(request, admin_pb2.ImportHostsRequest):
            answer = list(self._admin.ImportHosts(iter([request]),
                                                  timeout=CALL_TIMEOUT_S))
        else:
            answer = self._admin.AddVpcHosts(request, timeout=CALL_TIMEOUT_S)
        self.slowest = max(self.slowest, (
            round(time.monotonic() - begun, 2), type(request).__name__))
        return answer

    def _change(self, request, what, added):
        try:
            answer = self._call(request)
        except grpc.RpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE,
                                    grpc.StatusCode.UNKNOWN,
                                    grpc.StatusCode.CANCELLED):
                raise
            self.unanswered = (request, what, added)
            self.paused.set()
            self._resume.wait()
            self._resume.clear()
            return
        self._acknowledged(answer, what, added)

    def _acknowledged(self, answer, what, added):
        getattr(self, what).update(added)
        if what == "members":
            self.version += 1
            if answer.membership_version != self.version:
                raise AssertionError(f"{self.vpc}: change {self.version} made "
                                     f"version {answer.membership_version}")

    def retry(self):
        """The same request again, from the caller's thread."""
        request, what, added = self.unanswered
        self._acknowledged(self._call(request), what, added)
        self.unanswered = None

    def go_on(self):
        self.paused.clear()
        self._resume.set()

    def end(self):
        self._ending.set()
        self._resume.set()
        self.join(timeout=90)
        self._channel.close()

    def check(self, node):
        """What is missing or invented in the node's state; usually none."""
        if self.error is not None:
            raise self.error
        maybe = collections.defaultdict(set)
        if self.unanswered is not None:
            maybe[self.unanswered[1]] = set(self.unanswered[2])
        found = {"hosts": {host for host in all_hosts(node)
                           if host.startswith(f"{self.name}-")},
                 "members": members(node, self.vpc)[0]}
        if self._shared_vpc is not None:
            found["shared"] = members(node, self._shared_vpc)[0]
        wrong = []
        for what, there in found.items():
            acknowledged = getattr(self, what)
            if lost := acknowledged - there:
                wrong.append(f"{self.name}: lost {what} {sorted(lost)}")
            extra = there - acknowledged
            # A change is there as a whole or not at all.
            if extra and extra != maybe[what]:
                wrong.append(f"{self.name}: invented {what} {sorted(extra)}")
        version = members(node, self.vpc)[1]
        if version - self.version not in (
                (0, 1) if maybe["members"] else (0,)):
            wrong.append(f"{self.vpc}: version {version}, expected "
                         f"{self.version}")
        return wrong


def all_hosts(node):
    token, found = "", []
    while True:
        page = node.admin.ListHosts(admin_pb2.ListHostsRequest(
            page_size=10000, page_token=token))
        found += [host.host.id for host in page.hosts]
        token = page.next_page_token
        if not token:
            return found


def members(node, vpc):
    """The hosts of a VPC, and its membership version."""
    answer = node.admin.DescribeVpc(admin_pb2.DescribeVpcRequest(
        id=vpc, max_hosts=100_000))
    return set(answer.hosts), answer.vpc.membership_version


def read_back(bootstrap, timeout=90):
    """{(producer, key): [(Kafka topic, partition, number)]} in Kafka's order.

    Reads every partition from its beginning to its present end.
    """
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "read-back",
         "enable.auto.commit": False, "enable.partition.eof": True,
         "auto.offset.reset": "earliest"})
    found = collections.defaultdict(list)
    newest = {}
    try:
        topics = consumer.list_topics(timeout=20).topics
        partitions = [
            confluent_kafka.TopicPartition(name, partition, 0)
            for name, topic in topics.items() if not name.startswith("__")
            for partition in topic.partitions]
        consumer.assign(partitions)
        ended = set()
        deadline = time.monotonic() + timeout
        while len(ended) < len(partitions):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{bootstrap}: read {len(ended)} of "
                                   f"{len(partitions)} partitions to the end")
            for message in consumer.consume(5000, 0.2):
                if message.error():
                    if message.error().code() != \
                            confluent_kafka.KafkaError._PARTITION_EOF:
                        raise confluent_kafka.KafkaException(message.error())
                    ended.add((message.topic(), message.partition()))
                    continue
                header = dict(message.headers() or []).get("kafed")
                if header is None or header[1] != 0:  # not a data message
                    continue
                producer, key, number, _ = message.value().decode().split(" ")
                # As a Subscriber: a repeat is known by source and sequence.
                source = header[10:26], key
                sequence = int.from_bytes(header[26:34], "little")
                if sequence <= newest.get(source, 0):
                    continue
                newest[source] = sequence
                found[producer, key].append(
                    (message.topic(), message.partition(), int(number)))
        return found
    finally:
        consumer.close()
