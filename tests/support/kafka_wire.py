"""The few Kafka requests that starting and checking a cluster needs.

Metadata v4 and CreateTopics v4 are understood by every broker from 1.0 to 4.x.
Only the standard library is used, so this runs wherever python3 does.
"""

import collections
import socket
import struct

METADATA = 3
CREATE_TOPICS = 19
VERSION = 4
TOPIC_ALREADY_EXISTS = 36

Metadata = collections.namedtuple(
    "Metadata", "brokers cluster_id controller topics")


class KafkaError(Exception):
    """A broker's refusal."""


def _string(text):
    data = text.encode()
    return struct.pack(">h", len(data)) + data


class _Reader:
    def __init__(self, data):
        self._data = data
        self._at = 0

    def take(self, form):
        values = struct.unpack_from(">" + form, self._data, self._at)
        self._at += struct.calcsize(">" + form)
        return values[0]

    def string(self):
        length = self.take("h")
        if length < 0:
            return None
        text = self._data[self._at:self._at + length].decode()
        self._at += length
        return text

    def array(self, item):
        return [item() for _ in range(max(0, self.take("i")))]


def _receive(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise OSError("the broker closed the connection")
        data += part
    return data


def _call(address, api, body, timeout):
    host, port = address.rsplit(":", 1)
    header = struct.pack(">hhi", api, VERSION, 1) + _string("kafed-test")
    with socket.create_connection((host, int(port)), timeout) as connection:
        request = header + body
        connection.sendall(struct.pack(">i", len(request)) + request)
        length = struct.unpack(">i", _receive(connection, 4))[0]
        reader = _Reader(_receive(connection, length))
    reader.take("i")  # correlation id
    reader.take("i")  # throttle time
    return reader


def _read_topic(reader):
    def partition():
        reader.take("h")
        number = reader.take("i")
        leader = reader.take("i")
        reader.array(lambda: reader.take("i"))
        reader.array(lambda: reader.take("i"))
        return number, leader

    reader.take("h")
    name = reader.string()
    reader.take("b")
    return name, dict(reader.array(partition))


def metadata(address, topics=False, timeout=5.0):
    """Metadata as one broker sees it; topics are {name: {number: leader}}."""
    wanted = struct.pack(">i", -1 if topics else 0)
    reader = _call(address, METADATA, wanted + b"\0", timeout)

    def broker():
        number = reader.take("i")
        where = f"{reader.string()}:{reader.take('i')}"
        reader.string()
        return number, where

    brokers = dict(reader.array(broker))
    cluster_id = reader.string()
    controller = reader.take("i")
    return Metadata(brokers, cluster_id, controller,
                    dict(reader.array(lambda: _read_topic(reader))))


def create_topic(address, name, partitions, replication, config=None,
                 timeout=30.0):
    """Creates a topic; one that exists already is a KafkaError."""
    body = struct.pack(">i", 1) + _string(name)
    body += struct.pack(">ihi", partitions, replication, 0)
    body += struct.pack(">i", len(config or {}))
    for key, value in (config or {}).items():
        body += _string(key) + _string(str(value))
    body += struct.pack(">i?", int(timeout * 1000), False)
    reader = _call(address, CREATE_TOPICS, body, timeout)
    for _ in range(reader.take("i")):
        topic, code, text = reader.string(), reader.take("h"), reader.string()
        if code:
            raise KafkaError(f"{topic}: error {code}: {text or 'no text'}")
