"""A relay on loopback in front of a server, which can lose what it replies.

    with LossyRelay("127.0.0.1:20001") as relay:
        relay.address
        relay.lose_replies()

From then on requests still arrive, and what the server says to them does not;
when something has been lost the connections are cut. So whoever has asked
cannot know what was done.
"""

import socket
import threading

CHUNK_BYTES = 65536


class LossyRelay:
    def __init__(self, server):
        host, port = server.rsplit(":", 1)
        self._server = (host, int(port))
        self._lock = threading.Lock()
        self._connections = set()
        self._losing = threading.Event()
        self._lost = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))

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
        self._cut()

    def lose_replies(self, timeout=30):
        self._lost.clear()
        self._losing.set()
        lost = self._lost.wait(timeout)
        self._cut()
        self._losing.clear()
        if not lost:
            raise RuntimeError(f"nothing was replied for {timeout} s")

    def _cut(self):
        with self._lock:
            connections, self._connections = self._connections, set()
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the other side was first

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._server, 5)
                server.settimeout(None)
            except OSError:
                client.close()
                continue
            with self._lock:
                self._connections |= {client, server}
            for source, to, replies in ((client, server, False),
                                        (server, client, True)):
                threading.Thread(target=self._pump,
                                 args=(source, to, replies),
                                 daemon=True).start()

    def _pump(self, source, to, replies):
        try:
            while chunk := source.recv(CHUNK_BYTES):
                if replies and self._losing.is_set():
                    self._lost.set()
                else:
                    to.sendall(chunk)
        except OSError:
            pass  # cut
        for connection in (source, to):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        with self._lock:
            self._connections.discard(source)
        source.close()
