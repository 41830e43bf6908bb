"""A metadata cluster: several kafed nodes over one quorum."""

import pathlib
import time

from kafed_node import Node, admin_pb2

import grpc


class Cluster:
    """Nodes that share a log; ends with the block, by process ids."""

    def __init__(self, folder, backend, servers, nodes=3, flags=()):
        self.folder = pathlib.Path(folder)
        self.backend = backend
        self.servers = servers
        self.flags = [str(flag) for flag in flags]
        self.nodes = []
        try:
            for _ in range(nodes):
                self.add_node()
            self.wait_agreed()
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        for node in self.nodes:
            node.stop()

    def add_node(self, *flags):
        """A new node, with an empty disk, that may ask all others."""
        peers = ",".join(node.address for node in self.nodes)
        node = Node(self.folder / f"node-{len(self.nodes)}",
                    "--log-backend", self.backend, "--log-servers",
                    self.servers, *(("--peers", peers) if peers else ()),
                    *self.flags, *flags)
        self.nodes.append(node)
        return node

    def alive(self):
        return [node for node in self.nodes if node.process.poll() is None]

    def describe(self, node):
        return node.admin.ListNodes(admin_pb2.ListNodesRequest(), timeout=5)

    def coordinator(self, timeout=30, among=None):
        """The node in office, once all that live (or `among` those who are
        asked) agree on one of them."""
        deadline = time.monotonic() + timeout
        while True:
            found = set()
            asked = self.alive() if among is None else among
            for node in asked:
                try:
                    found |= {each.address for each in self.describe(node).nodes
                              if each.coordinator}
                except grpc.RpcError:
                    found.add("")
            if len(found) == 1:
                for node in asked:
                    if node.advertised in found:
                        return node
            if time.monotonic() > deadline:
                raise RuntimeError(f"no coordinator: {found}\n" + self.logs())
            time.sleep(0.05)

    def wait_agreed(self, timeout=30):
        """Until all that live are at one position with one image."""
        deadline = time.monotonic() + timeout
        while True:
            seen = {(status.position.index, status.image_hash) for status in
                    (node.admin.Status(admin_pb2.StatusRequest(), timeout=5)
                     for node in self.alive())}
            if len(seen) == 1:
                return seen.pop()
            if time.monotonic() > deadline:
                raise RuntimeError(f"no agreement: {seen}\n" + self.logs())
            time.sleep(0.05)

    def logs(self):
        return "\n".join(f"--- {node.folder.name}\n{node.log()}"
                         for node in self.nodes)
