"""Clients of a metadata cluster that go on at another node when one fails.

Each records what it asked and was answered (call_history.py). Few VPCs and few
hosts, so that clients get into each other's way.
"""

import random
import threading
import time

import grpc

from call_history import call
from kafed_node import (admin_pb2, admin_pb2_grpc, request_id, routing_pb2,
                        routing_pb2_grpc, types_pb2)

TOPIC = "nca"
VPCS = [f"r-{n}" for n in range(6)]
HOSTS = [f"h-{n}" for n in range(5)]
TRY_S = 2  # a call at one node; then the next is asked
GIVE_UP_S = 120  # in all
PAUSE_S = 0.015
# The node could not say, so the change may have happened, or may yet.
NO_ANSWER = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED,
             grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN)
REFUSALS = {grpc.StatusCode.ALREADY_EXISTS: "exists",
            grpc.StatusCode.NOT_FOUND: "absent"}
# Asked for by reads as soon as requests have the field.
LINEARIZABLE = "linearizable" in (
    routing_pb2.RouteMembersRequest.DESCRIPTOR.fields_by_name)


class Stubs:
    """Channels to one node."""

    def __init__(self, address):
        self.channel = grpc.insecure_channel(address, options=[
            ("grpc.initial_reconnect_backoff_ms", 50),
            ("grpc.max_reconnect_backoff_ms", 200),
            ("grpc.use_local_subchannel_pool", 1)])
        self.admin = admin_pb2_grpc.AdminStub(self.channel)
        self.routing = routing_pb2_grpc.RoutingStub(self.channel)


class Unanswered(Exception):
    pass


class Client:
    """One client: its own connections, and the newest position it has seen."""

    def __init__(self, number, addresses, history):
        self.number = number
        self.nodes = [Stubs(address) for address in addresses]
        self.at = number % len(addresses)
        self.history = history
        self.seen = types_pb2.Position()
        self.answers = 0
        self.tries_without_answer = 0

    def close(self):
        for node in self.nodes:
            node.channel.close()

    def read(self, key, linearizable=False):
        more = {}
        if linearizable:
            more["linearizable"] = True
        record = call(self.number, "read", key, min=self.seen.index, **more)
        request = routing_pb2.RouteMembersRequest(
            vpc=key, topic=TOPIC, min_position=self.seen, **more)
        answer, _ = self._ask(record, lambda node: node.routing.RouteMembers(
            request, timeout=TRY_S))
        if answer is not None:
            record["version"] = answer.membership_version
            record["members"] = sum(
                1 << HOSTS.index(host.id) for group in answer.groups
                for host in group.hosts)
            self._saw(record, answer.position)
        self.history.add(record)

    def change(self, op, key, host=0):
        request = self._request(op, key, host)
        record = call(self.number, op, key, host=host,
                      id=request.options.request_id.hex())
        name = type(request).__name__.removesuffix("Request")
        answer, lost = self._ask(record, lambda node: getattr(
            node.admin, name)(request, timeout=TRY_S))
        if answer is not None:
            if op == "join":
                record["version"] = answer.membership_version
                answer = answer.result
            self._saw(record, answer.position)
        elif lost:
            # Refused in the end; an earlier try may still be under way.
            self.history.add({**record, "return": 0, "answer": "unknown"})
        self.history.add(record)

    @staticmethod
    def _request(op, key, host):
        options = admin_pb2.MutationOptions(request_id=request_id())
        if op == "create":
            return admin_pb2.CreateVpcRequest(options=options, id=key,
                                              region="eu")
        if op == "delete":
            return admin_pb2.DeleteVpcRequest(options=options, id=key,
                                              cascade=True)
        kind = {"join": admin_pb2.AddVpcHostsRequest,
                "leave": admin_pb2.RemoveVpcHostsRequest}[op]
        return kind(options=options, vpc=key, hosts=[HOSTS[host]])

    def _ask(self, record, attempt):
        """(the answer or None when refused, how many tries had none)."""
        lost = 0
        deadline = time.monotonic() + GIVE_UP_S
        while True:
            try:
                answer = attempt(self.nodes[self.at])
                self._answered(record, "ok")
                return answer, lost
            except grpc.RpcError as error:
                if error.code() in REFUSALS:
                    self._answered(record, REFUSALS[error.code()])
                    return None, lost
                if error.code() not in NO_ANSWER:
                    raise
                if time.monotonic() > deadline:
                    self.history.add(record)
                    raise Unanswered(f"{record}: {error}") from error
            lost += 1
            self.tries_without_answer += 1
            self.at = (self.at + 1) % len(self.nodes)
            time.sleep(0.02)

    def _answered(self, record, answer):
        record.update({"answer": answer, "return": time.monotonic_ns()})
        self.answers += 1

    def _saw(self, record, position):
        record["position"] = position.index
        if position.index > self.seen.index:
            self.seen = position


class LoadClient(Client, threading.Thread):
    """Goes on until end(); reads only, or mostly changes."""

    def __init__(self, number, addresses, history, writes, seed):
        Client.__init__(self, number, addresses, history)
        threading.Thread.__init__(self, daemon=True)
        self.writes = writes
        self.error = None
        self._random = random.Random(f"{seed}-{number}")
        self._ending = threading.Event()

    def run(self):
        try:
            while not self._ending.is_set():
                self._one()
                time.sleep(PAUSE_S)
        except BaseException as error:  # told by Load.check()
            self.error = error

    def _one(self):
        key = self._random.choice(VPCS)
        # Reads of writers are what they did; of others, what anybody did.
        if not self.writes or self._random.random() < 0.25:
            self.read(key, LINEARIZABLE and self._random.random() < 0.5)
            return
        op = self._random.choices(("join", "leave", "create", "delete"),
                                  (45, 35, 15, 5))[0]
        self.change(op, key, self._random.randrange(len(HOSTS)))

    def ask_to_end(self):
        self._ending.set()


class Load:
    """Writers and readers, spread over the nodes."""

    def __init__(self, addresses, history, writers, readers, seed):
        self.history = history
        self.clients = [
            LoadClient(number, addresses, history, number < writers, seed)
            for number in range(writers + readers)]
        self.readers = [c.number for c in self.clients if not c.writes]
        self.writers = [c.number for c in self.clients if c.writes]
        for client in self.clients:
            client.start()

    def check(self):
        for client in self.clients:
            if client.error is not None:
                raise client.error

    def wait_for_answers(self, count, timeout=120):
        """Until every client has got so many from now on."""
        wanted = {c: c.answers + count for c in self.clients}
        deadline = time.monotonic() + timeout
        while True:
            self.check()
            behind = [c.number for c in wanted if c.answers < wanted[c]]
            if not behind:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"clients {behind} get no answers")
            time.sleep(0.05)

    def spread(self, turn):
        """Lets each go on at the node `turn` further than its first."""
        for client in self.clients:
            client.at = (client.number + turn) % len(client.nodes)

    def end(self):
        for client in self.clients:
            client.ask_to_end()
        for client in self.clients:
            client.join(timeout=GIVE_UP_S)
            client.close()

    def tries_without_answer(self):
        return sum(client.tries_without_answer for client in self.clients)
