"""A relay on loopback in front of a server, which can hold what it carries.

    with HoldingRelay("127.0.0.1:20001") as relay:
        relay.address
        relay.hold()       nothing arrives any more, in neither direction
        relay.release()    what was held arrives, then all else

Like a network that is parted and mended: connections stay, whoever waits on
them hears nothing, and what was under way arrives late. `hold(concerns)` holds
the connections of some callers only: it is asked with the port that a
connection was made from. ports_of(pid) are those of a process.
"""

import os
import socket
import threading

CHUNK_BYTES = 65536


def ports_of(pid):
    """The local ports of a process's TCP connections."""
    inodes = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            inodes.add(os.readlink(f"/proc/{pid}/fd/{name}"))
        except OSError:
            pass  # closed meanwhile
    ports = set()
    with open(f"/proc/{pid}/net/tcp") as table:
        for line in list(table)[1:]:
            fields = line.split()
            if f"socket:[{fields[9]}]" in inodes:
                ports.add(int(fields[1].rsplit(":", 1)[1], 16))
    return ports


class HoldingRelay:
    """`server` may be set later; until then connections are closed."""

    def __init__(self, server=None):
        self.server = server
        self._changed = threading.Condition()
        self._concerns = None  # while it holds
        self._connections = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)

    @property
    def address(self):
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        # Also wakes the thread that accepts.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.release()
        with self._changed:
            connections, self._connections = self._connections, set()
        for connection in connections:
            self._shut(connection)

    def hold(self, concerns=lambda port: True):
        with self._changed:
            self._concerns = concerns

    def release(self):
        with self._changed:
            self._concerns = None
            self._changed.notify_all()

    def _accept(self):
        while True:
            try:
                client, (_, port) = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client, port),
                             daemon=True).start()

    def _carry(self, client, port):
        """One connection: this thread has one direction of it."""
        self._wait(port)
        try:
            host, number = self.server.rsplit(":", 1)
            server = socket.create_connection((host, int(number)), 5)
            server.settimeout(None)
        except (AttributeError, OSError):  # not set yet; not there
            client.close()
            return
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._changed:
            self._connections |= {client, server}
        back = threading.Thread(target=self._pump, args=(server, client, port),
                                daemon=True)
        back.start()
        self._pump(client, server, port)
        back.join()
        with self._changed:
            self._connections -= {client, server}
        client.close()
        server.close()

    def _pump(self, source, to, port):
        try:
            while chunk := source.recv(CHUNK_BYTES):
                self._wait(port)
                to.sendall(chunk)
        except OSError:
            pass  # one side is gone
        self._wait(port)
        for connection in (source, to):
            self._shut(connection)

    def _wait(self, port):
        """Until nothing that concerns this connection is held."""
        with self._changed:
            while self._concerns is not None and self._concerns(port):
                self._changed.wait()

    @staticmethod
    def _shut(connection):
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other side was first
