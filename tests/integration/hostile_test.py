"""Clients that mean harm, on a node that others are using.

Slow readers, thousands of streams, half-open connections, messages over the
limit, bytes that are no protobuf, floods: meanwhile ordinary callers get their
answers, the node's memory stays below a bound, and it ends cleanly.
"""

import contextlib
import os
import pathlib
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

from kafed_node import (BIN, Node, admin_pb2, admin_pb2_grpc, grpc, options,
                        request_id, routing_pb2, routing_pb2_grpc, types_pb2)

HOSTS = 20_000
# An ordinary call must be answered in it, whatever others do: for liveness.
CALL_S = 20
CALLS = 20        # ordinary calls of each kind in a look
MEGABYTE = 1 << 20
# Resident, with what the allocator keeps of the floods; under sanitizers twice
# as much. A stream or a message that costs without bound would pass it.
MEMORY_LIMIT = 1536 * MEGABYTE
SHUTDOWN_S = 60
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, HEADERS, DATA, PING, RST, WINDOW = 4, 1, 0, 6, 3, 8
SANITIZED = "asan" in str(BIN)


def frame(kind, flags, stream, payload=b""):
    return (struct.pack(">I", len(payload))[1:] + bytes([kind, flags])
            + struct.pack(">I", stream) + payload)


def literal(name, value):
    """A header field that is not indexed, as HPACK has it."""
    return (b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value)


def request_headers(stream, path, end=False):
    fields = b"".join(literal(name, value) for name, value in (
        (b":method", b"POST"), (b":scheme", b"http"), (b":path", path),
        (b":authority", b"kafed"), (b"te", b"trailers"),
        (b"content-type", b"application/grpc")))
    return frame(HEADERS, 0x4 | (0x1 if end else 0), stream, fields)


def message(payload, length=None):
    return b"\x00" + struct.pack(
        ">I", len(payload) if length is None else length) + payload


class HostileTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="kafed-hostile-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.node = Node(cls.folder / "node")
        cls.addClassCleanup(lambda: cls.node.stop())
        cls.node.add_cluster("a", "127.0.0.1:1")
        cls.node.create_topic("nca", "UNICAST", partitions_per_topic=50)
        cls.node.add_hosts([f"host-{i}" for i in range(HOSTS)])
        cls.host, cls.port = cls.node.address.rsplit(":", 1)

    def connect(self):
        connection = socket.create_connection((self.host, int(self.port)), 10)
        self.addCleanup(connection.close)
        return connection

    def talk(self):
        """A connection that has shaken hands and reads nothing more."""
        connection = self.connect()
        connection.sendall(PREFACE + frame(SETTINGS, 0, 0))
        return connection

    def resident(self):
        status = pathlib.Path(f"/proc/{self.node.process.pid}/status")
        for line in status.read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        self.fail("the node is gone")

    def assert_serves(self):
        """Ordinary callers, each on a connection of its own."""
        for number in range(3):
            with grpc.insecure_channel(self.node.address, options=[
                    ("grpc.use_local_subchannel_pool", 1)]) as channel:
                routing = routing_pb2_grpc.RoutingStub(channel)
                admin = admin_pb2_grpc.AdminStub(channel)
                for call in range(CALLS):
                    result = routing.Route(routing_pb2.RouteRequest(
                        keys=[f"nca/host-{call}"]), timeout=CALL_S)
                    self.assertEqual(result.results[0].error_code, 0)
                admin.Status(admin_pb2.StatusRequest(), timeout=CALL_S)
                vpc = f"vpc-{request_id().hex()}"
                admin.CreateVpc(admin_pb2.CreateVpcRequest(
                    options=options(), id=vpc, region="eu"), timeout=CALL_S)
                admin.AddVpcHosts(admin_pb2.AddVpcHostsRequest(
                    options=options(), vpc=vpc, hosts=[f"host-{number}"]),
                    timeout=CALL_S)
                follower = routing.Follow(iter([routing_pb2.FollowRequest(
                    position=admin.Status(admin_pb2.StatusRequest(),
                                          timeout=CALL_S).position)]),
                    timeout=CALL_S)
                next(follower)
                follower.cancel()
        limit = MEMORY_LIMIT * (2 if SANITIZED else 1)
        self.assertLess(self.resident(), limit)

    def wait_for(self, what, condition, timeout=90):
        deadline = time.monotonic() + timeout
        while not condition():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.1)

    def followers(self):
        return self.node.admin.Status(admin_pb2.StatusRequest(),
                                      timeout=CALL_S).followers

    # --- streams ---

    def test_followers_that_never_read_are_ended(self):
        before = self.followers()
        paths = (b"/kafed.v1.Routing/Follow", b"/kafed.v1.Events/Read",
                 b"/kafed.v1.Admin/SaveSnapshot")
        connections = []
        for number in range(60):
            connection = self.talk()
            connections.append(connection)
            connection.sendall(
                request_headers(1, paths[number % 3]) +
                frame(DATA, 0 if number % 3 == 0 else 1, 1, message(b"")))
        self.wait_for("the followers have begun",
                      lambda: self.followers() >= before + 20)
        self.assert_serves()
        # The view changes under them, again and again.
        for number in range(20):
            self.node.add_hosts([f"late-{number}-{i}" for i in range(100)])
        self.assert_serves()
        self.wait_for("those that take nothing are ended",
                      lambda: self.followers() <= before)
        self.assert_serves()

    def test_thousands_of_streams(self):
        # On one connection, and on many; of every kind that stays open.
        paths = (b"/kafed.v1.Routing/Follow", b"/kafed.v1.Admin/ImportHosts",
                 b"/kafed.v1.Routing/Route", b"/nothing/There")
        one = self.talk()
        for number in range(4000):
            one.sendall(request_headers(2 * number + 1, paths[number % 4]))
        many = [self.talk() for _ in range(200)]
        for connection in many:
            for number in range(20):
                connection.sendall(request_headers(
                    2 * number + 1, paths[number % 4]))
        self.assert_serves()
        readers = [self.talk() for _ in range(4)]
        for connection in readers:
            for number in range(500):
                connection.sendall(
                    request_headers(2 * number + 1, b"/kafed.v1.Events/Read")
                    # follow: at the tail each would wait.
                    + frame(DATA, 1, 2 * number + 1, message(b"\x18\x01")))
        self.assert_serves()

    def test_streams_opened_and_reset_at_once(self):
        connection = self.talk()
        with contextlib.suppress(OSError):  # it may be cut off
            for number in range(20_000):
                connection.sendall(
                    request_headers(2 * number + 1,
                                    b"/kafed.v1.Routing/Follow")
                    + frame(RST, 0, 2 * number + 1, struct.pack(">I", 8)))
        self.assert_serves()

    # --- connections ---

    def test_half_open_connections_are_closed(self):
        silent = [self.connect() for _ in range(200)]
        half = [self.connect() for _ in range(200)]
        for connection in half:
            connection.sendall(PREFACE[:10])
        without_settings = [self.connect() for _ in range(200)]
        for connection in without_settings:
            connection.sendall(PREFACE)
        self.assert_serves()
        for connection in silent[:20] + half[:20] + without_settings[:20]:
            connection.settimeout(90)
            with contextlib.suppress(ConnectionResetError):
                while connection.recv(4096):
                    pass

    def test_bytes_that_are_no_http2(self):
        for payload in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", os.urandom(5000),
                        b"\x16\x03\x01\x02\x00\x01" + os.urandom(500),
                        PREFACE + os.urandom(5000),
                        PREFACE + frame(SETTINGS, 0, 0) +
                        frame(DATA, 0, 77, b"x" * 1000),
                        PREFACE + frame(SETTINGS, 0, 0) +
                        frame(HEADERS, 4, 1, os.urandom(200)),
                        PREFACE + frame(SETTINGS, 0, 0, b"\xff" * 7),
                        PREFACE + b"\xff\xff\xff" + bytes(6)):
            connection = self.connect()
            with contextlib.suppress(OSError):
                connection.sendall(payload)
        flood = self.talk()
        with contextlib.suppress(OSError):
            for _ in range(2000):
                flood.sendall(frame(PING, 0, 0, bytes(8)) * 10
                              + frame(SETTINGS, 0, 0) * 10)
        self.assert_serves()

    # --- messages ---

    def call(self, channel, path, payload):
        return channel.unary_unary(
            path, request_serializer=lambda data: data,
            response_deserializer=lambda data: data)(payload, timeout=CALL_S)

    def test_messages_over_the_limit_and_no_messages_at_all(self):
        with grpc.insecure_channel(self.node.address, options=[
                ("grpc.max_send_message_length", -1)]) as channel:
            for path in ("/kafed.v1.Routing/Route",
                         "/kafed.v1.Admin/CreateVpc",
                         "/kafed.v1.Admin/AddVpcHosts"):
                with self.assertRaises(grpc.RpcError) as caught:
                    self.call(channel, path, bytes(17 * MEGABYTE))
                self.assertEqual(caught.exception.code(),
                                 grpc.StatusCode.RESOURCE_EXHAUSTED)
                self.assertIn("larger than max", caught.exception.details())
                for payload in (b"\xff" * 100, b"\x0a\x7f", os.urandom(999)
                                + b"\xff", b"\x0a\x02\xc3\x28"):
                    with self.assertRaises(grpc.RpcError) as caught:
                        self.call(channel, path, payload)
                    self.assertIn(caught.exception.code(),
                                  (grpc.StatusCode.UNIMPLEMENTED,  # gRPC's
                                   grpc.StatusCode.INTERNAL,
                                   grpc.StatusCode.INVALID_ARGUMENT))
            with self.assertRaises(grpc.RpcError) as caught:
                self.call(channel, "/kafed.v1.Admin/Nothing", b"")
            self.assertEqual(caught.exception.code(),
                             grpc.StatusCode.UNIMPLEMENTED)
        # A length that is announced and never sent, a thousand times.
        connection = self.talk()
        for number in range(1000):
            connection.sendall(
                request_headers(2 * number + 1, b"/kafed.v1.Routing/Route")
                + frame(DATA, 0, 2 * number + 1,
                        message(b"\x0a\x03abc", length=15 * MEGABYTE)))
        self.assert_serves()

    def test_floods_of_large_and_of_waiting_requests(self):
        stop = threading.Event()

        def flood(make):
            with grpc.insecure_channel(self.node.address, options=[
                    ("grpc.use_local_subchannel_pool", 1)]) as channel:
                routing = routing_pb2_grpc.RoutingStub(channel)
                pending = []
                while not stop.is_set():
                    pending.append(routing.Route.future(make(),
                                                        timeout=CALL_S))
                    if len(pending) > 100:
                        with contextlib.suppress(grpc.RpcError):
                            pending.pop(0).result()
                for call in pending:
                    call.cancel()
        large = routing_pb2.RouteRequest(
            keys=[f"nca/host-{i}" for i in range(10_000)])
        position = self.node.admin.Status(
            admin_pb2.StatusRequest()).position
        position.index += 1_000_000  # keeps a thread for seconds
        waiting = routing_pb2.RouteRequest(keys=["nca/host-1"],
                                           min_position=position)
        threads = [threading.Thread(target=flood, args=(make,)) for make in (
            lambda: large, lambda: waiting, lambda: waiting)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(3):
                self.assert_serves()
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    # --- the end ---

    def test_zz_it_ends_cleanly_under_all_of_it(self):
        stop = []
        for number in range(100):
            connection = self.talk()
            stop.append(connection)
            connection.sendall(
                request_headers(1, b"/kafed.v1.Routing/Follow")
                + frame(DATA, 0, 1, message(b""))
                + request_headers(3, b"/kafed.v1.Admin/SaveSnapshot")
                + frame(DATA, 1, 3, message(b"")))
        self.assert_serves()
        hosts = self.node.admin.ListHosts(admin_pb2.ListHostsRequest(
            page_size=1)).total
        self.node.signal(signal.SIGTERM)
        self.assertEqual(self.node.process.wait(timeout=SHUTDOWN_S), 0)
        verified = subprocess.run(
            [BIN / "kafed", "verify", "--data-dir",
             self.node.folder / "data"], capture_output=True, check=False)
        self.assertEqual(verified.returncode, 0, verified.stdout)
        self.node.channel.close()
        self.node.process.stdout.close()
        self.node.start()
        self.assertEqual(self.node.admin.ListHosts(
            admin_pb2.ListHostsRequest(page_size=1)).total, hosts)


if __name__ == "__main__":
    unittest.main(verbosity=2)
