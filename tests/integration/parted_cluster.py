"""A metadata cluster whose network can be parted, by relays on loopback."""

from holding_relay import HoldingRelay, ports_of
from kafed_cluster import Cluster
from kafed_node import Node


class PartedCluster(Cluster):
    """Each node reaches the quorum and the other nodes through relays.

    Clients that know its own address reach it meanwhile: those on its side of
    the cut.
    """

    def __init__(self, *arguments, **more):
        self._to_quorum = []  # relays of each node
        self._fronts = []  # what other nodes reach each at
        super().__init__(*arguments, **more)

    def __exit__(self, *unused):
        super().__exit__(*unused)
        for relay in [*self._fronts, *sum(self._to_quorum, [])]:
            relay.__exit__()

    def add_node(self, *flags):
        to_quorum = [HoldingRelay(server).__enter__()
                     for server in self.servers.split(",")]
        front = HoldingRelay().__enter__()
        peers = ",".join(each.address for each in self._fronts)
        self._to_quorum.append(to_quorum)
        self._fronts.append(front)
        node = Node(self.folder / f"node-{len(self.nodes)}",
                    "--log-backend", self.backend, "--log-servers",
                    ",".join(relay.address for relay in to_quorum),
                    "--advertise", front.address,
                    *(("--peers", peers) if peers else ()),
                    *self.flags, *flags)
        node.advertised = front.address
        front.server = node.address
        self.nodes.append(node)
        return node

    def part(self, node):
        """Cuts a node off from the quorum and from all other nodes."""
        number = self.nodes.index(node)
        mine = {}

        def concerns(port):
            if port not in mine:
                mine[port] = port in ports_of(node.process.pid)
            return mine[port]

        for relay in self._to_quorum[number]:
            relay.hold()
        for other, front in enumerate(self._fronts):
            if other == number:
                front.hold()
            else:
                front.hold(concerns)

    def mend(self):
        for relay in [*self._fronts, *sum(self._to_quorum, [])]:
            relay.release()
