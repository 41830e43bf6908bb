"""A kafed node as a process, with its services over plain gRPC.

What a program in another language has: the protos and grpcio. The stubs are
made from proto/ when first imported, below the build directory.
"""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import child_process  # noqa: E402 (needs the path)

# Where ctest's build has its programs; the dev build when run by hand.
BIN = pathlib.Path(os.environ.get("KAFED_BIN", ROOT / "build/dev/bin"))


def _make_stubs():
    from grpc_tools import protoc
    out = ROOT / "build" / "python"
    out.mkdir(parents=True, exist_ok=True)
    protos = sorted((ROOT / "proto").rglob("*.proto"))
    with tempfile.TemporaryDirectory(dir=out.parent) as made:
        code = protoc.main([
            "protoc", f"-I{ROOT / 'proto'}", f"--python_out={made}",
            f"--grpc_python_out={made}", *map(str, protos)])
        if code != 0:
            raise RuntimeError("the protos do not compile")
        # Another suite may be reading them: whole files take their place.
        for stub in pathlib.Path(made).rglob("*.py"):
            place = out / stub.relative_to(made)
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(stub, place)
    sys.path.insert(0, str(out))


_make_stubs()
import grpc  # noqa: E402
from kafed.v1 import admin_pb2, admin_pb2_grpc  # noqa: E402
from kafed.v1 import events_pb2, events_pb2_grpc  # noqa: E402
from kafed.v1 import peer_pb2, peer_pb2_grpc  # noqa: E402
from kafed.v1 import routing_pb2, routing_pb2_grpc  # noqa: E402
from kafed.v1 import types_pb2  # noqa: E402


def request_id():
    """A UUIDv7, as every change carries."""
    value = int(time.time() * 1000) << 80 | uuid.uuid4().int & (1 << 80) - 1
    value = value & ~(0xf << 76) | 7 << 76
    value = value & ~(3 << 62) | 2 << 62
    return value.to_bytes(16, "big")


def options(**more):
    return admin_pb2.MutationOptions(request_id=request_id(), **more)


class Node:
    """A node on a data directory; ends with the object, by process id."""

    def __init__(self, folder, *flags, http="off", floor=1 << 20):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.flags = [str(flag) for flag in flags]
        self.process = None
        self._http = http
        self._floor = str(floor)
        self.address = f"127.0.0.1:{child_process.free_port()}"
        self.advertised = self.address  # what others are told
        self.start()

    def start(self):
        """Starts it on its address; also after kill9."""
        parent = os.getpid()
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [BIN / "kafed", "serve", "--data-dir", self.folder / "data",
                 "--listen", self.address, "--http-listen", self._http,
                 "--free-space-floor-bytes", self._floor,
                 "--reconcile-interval-ms", "300", *self.flags],
                stdout=subprocess.PIPE, stderr=log, text=True,
                start_new_session=True,
                preexec_fn=lambda: child_process.die_with_parent(parent))
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            self.process.wait()
            self.process.stdout.close()
            raise RuntimeError(f"no start:\n{self.log()}")
        self.channel = grpc.insecure_channel(
            self.address,
            options=[("grpc.initial_reconnect_backoff_ms", 50),
                     ("grpc.max_reconnect_backoff_ms", 200),
                     ("grpc.max_receive_message_length", 64 << 20)])
        self.admin = admin_pb2_grpc.AdminStub(self.channel)
        self.routing = routing_pb2_grpc.RoutingStub(self.channel)
        self.events = events_pb2_grpc.EventsStub(self.channel)
        self.peer = peer_pb2_grpc.PeerStub(self.channel)

    def log(self):
        return (self.folder / "log").read_text()[-4000:]

    def signal(self, number):
        os.kill(self.process.pid, number)

    def kill9(self):
        self.signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()
        self.channel.close()

    def stop(self):
        if self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.channel.close()
        self.process.stdout.close()
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()

    # --- shorthands of what tests set up ---

    def add_cluster(self, name, bootstrap, admin="", zone="z1", region="eu",
                    **spec):
        self.admin.AddSubCluster(admin_pb2.AddSubClusterRequest(
            options=options(), spec=types_pb2.SubClusterSpec(
                name=name, region=region, zones=[zone],
                bootstrap_servers=bootstrap, admin=admin, **spec)))

    def create_topic(self, name, kind, partitions_per_topic=5, **spec):
        limits = types_pb2.Limits(partitions_per_topic=partitions_per_topic)
        self.admin.CreateTopic(admin_pb2.CreateTopicRequest(
            options=options(), spec=types_pb2.TopicSpec(
                name=name, kind=getattr(types_pb2, f"TOPIC_KIND_{kind}"),
                limits=limits, **spec)))

    def add_hosts(self, hosts, zone="", region="eu"):
        request = admin_pb2.ImportHostsRequest(
            options=options(), total=len(hosts), hosts=[
                types_pb2.HostSpec(id=host, region=region, zone=zone)
                for host in hosts])
        return list(self.admin.ImportHosts(iter([request])))

    def create_vpc(self, vpc, region="eu"):
        self.admin.CreateVpc(admin_pb2.CreateVpcRequest(
            options=options(), id=vpc, region=region))

    def join(self, vpc, hosts):
        return self.admin.AddVpcHosts(admin_pb2.AddVpcHostsRequest(
            options=options(), vpc=vpc, hosts=hosts))

    def route(self, *keys):
        return self.routing.Route(routing_pb2.RouteRequest(keys=keys)).results

    def wait_until_ready(self, timeout=60):
        """Until Kafka has all topics and all markers are written."""
        deadline = time.monotonic() + timeout
        while True:
            topics = self.admin.ListTopics(
                admin_pb2.ListTopicsRequest()).topics
            missing = sum(t.kafka_topics - t.kafka_topics_ready
                          for t in topics)
            status = self.admin.Status(admin_pb2.StatusRequest())
            if missing == 0 and status.pending_markers == 0:
                return status
            if time.monotonic() > deadline:
                raise RuntimeError(f"{missing} topics, "
                                   f"{status.pending_markers} markers are "
                                   f"missing:\n{self.log()}")
            time.sleep(0.05)


class EmbeddedKafka:
    """A mock Kafka cluster in a process of its own."""

    def __init__(self, folder, name):
        self.control = pathlib.Path(folder) / f"{name}.sock"
        parent = os.getpid()
        self.process = subprocess.Popen(
            [BIN / "embedded_kafka", "--brokers", "1", "--control",
             self.control], stdout=subprocess.PIPE, text=True,
            preexec_fn=lambda: child_process.die_with_parent(parent))
        self.bootstrap = self.process.stdout.readline().strip()
        self.admin = f"embedded:{self.control}"

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
