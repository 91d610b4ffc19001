"""A ZooKeeper session on bare sockets: what was sent, what was answered, and nothing in between hidden.

`call` sends requests together and returns their replies. Whatever goes wrong behind the first byte sent is `Lost`: the outcome
of those without a reply is unknown. A library would retry or hide exactly what is to be recorded.
"""

import random
import socket
import struct

from harness.wire import connect_reply, connect_request, frame, read_exactly, text

CREATE, DELETE, EXISTS, GET, SET = 1, 2, 3, 4, 5
CHILDREN, SYNC, PING, CHECK, MULTI, CLOSE = 8, 9, 11, 13, 14, -11
OK, NO_NODE, BAD_VERSION, NODE_EXISTS = 0, -101, -103, -110
SESSION_EXPIRED, SESSION_MOVED = -112, -118
EPHEMERAL = 1
XID_PING = -2
STAT_BYTES = 68
_ACL = struct.pack(">ii", 1, 31) + text("world") + text("anyone")


class Lost(Exception):
    """The connection is over; `replies` are those that came before."""

    def __init__(self, why, replies=()):
        super().__init__(why)
        self.replies = list(replies)


class Expired(Exception):
    """The server says that the session is over."""


class OutOfOrder(Exception):
    """A reply that is not the next one: a violation by itself."""


def create(path, data=b"", flags=0):
    return CREATE, text(path) + text(data) + _ACL + struct.pack(">i", flags)


def delete(path, version=-1):
    return DELETE, text(path) + struct.pack(">i", version)


def set_data(path, data, version=-1):
    return SET, text(path) + text(data) + struct.pack(">i", version)


def check(path, version):
    return CHECK, text(path) + struct.pack(">i", version)


def get(path):
    return GET, text(path) + b"\0"


def exists(path):
    return EXISTS, text(path) + b"\0"


def children(path):
    return CHILDREN, text(path) + b"\0"


def sync(path):
    return SYNC, text(path)


def multi(operations):
    """One transaction of what `create`, `delete`, `set_data` and `check` made."""
    body = b"".join(struct.pack(">i?i", opcode, False, -1) + rest for opcode, rest in operations)
    return MULTI, body + struct.pack(">i?i", -1, True, -1)


class Reply:
    """Of one request: xid, zxid, error code and the rest."""

    def __init__(self, data):
        self.xid, self.zxid, self.code = struct.unpack(">iqi", data[:16])
        self.body = data[16:]

    def stat_version(self):
        """The data version of a reply that ends with a stat."""
        return stat_version(self.body[-STAT_BYTES:])

    def modified(self):
        """When the znode was last written, in seconds, by the clock of who took the write; of a reply with a stat."""
        return struct.unpack(">q", self.body[-STAT_BYTES:][24:32])[0] / 1000

    def data(self):
        """The data of a reply to `get`."""
        (size,) = struct.unpack(">i", self.body[:4])
        return self.body[4 : 4 + max(size, 0)]

    def names(self):
        """The names of a reply to `children`."""
        (count,) = struct.unpack(">i", self.body[:4])
        found, at = [], 4
        for _ in range(max(count, 0)):
            (size,) = struct.unpack(">i", self.body[at : at + 4])
            found.append(self.body[at + 4 : at + 4 + size].decode())
            at += 4 + size
        return found

    def results(self):
        """Of a reply to `multi`: code and version (or None) of each step."""
        found, at, body = [], 0, self.body
        while at + 9 <= len(body):
            opcode, done, _ = struct.unpack(">i?i", body[at : at + 9])
            at += 9
            if done:
                break
            if opcode == -1:
                found.append((struct.unpack(">i", body[at : at + 4])[0], None))
                at += 4
            elif opcode == SET:
                found.append((OK, stat_version(body[at : at + STAT_BYTES])))
                at += STAT_BYTES
            elif opcode == CREATE:
                (size,) = struct.unpack(">i", body[at : at + 4])
                found.append((OK, 0))
                at += 4 + size
            else:
                found.append((OK, None))
        return found


def stat_version(stat):
    return struct.unpack(">i", stat[32:36])[0]


class Session:
    """One session on one of `hosts` [(address, port)] at a time."""

    def __init__(self, hosts, timeout=10.0, patience=5.0, seed=None):
        self.hosts = list(hosts)
        self.timeout_ms = int(timeout * 1000)
        self.patience = patience
        self.id = 0
        self.password = bytes(16)
        self.zxid = 0
        self.xid = 0
        self.stream = None
        self.host = None
        self._chance = random.Random(seed)

    def connect(self, host=None, timeout=2.0):
        """Opens or goes on with the session at `host`, else at any. `Lost` if that one does not serve."""
        self.drop()
        self.host = host or self._chance.choice(self.hosts)
        stream = None
        try:
            stream = socket.create_connection(self.host, timeout=timeout)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            request = connect_request(self.timeout_ms, self.id, self.password, self.zxid)
            stream.sendall(request)
            granted, session, password = connect_reply(stream)
        except OSError as error:
            if stream:
                stream.close()
            raise Lost(f"connecting to {self.host}: {error!r}") from error
        if granted <= 0:
            stream.close()
            if self.id == 0:
                raise Lost("refused")
            raise Expired(f"session {self.id:#x}")
        stream.settimeout(self.patience)
        self.stream, self.id, self.password = stream, session, password
        self.granted = granted / 1000
        return self

    def drop(self):
        """Ends the connection, not the session."""
        if self.stream:
            self.stream.close()
            self.stream = None

    def forget(self):
        """The next `connect` opens a new session."""
        self.drop()
        self.id, self.password, self.zxid, self.xid = 0, bytes(16), 0, 0

    def call(self, *requests):
        """The replies, in order."""
        first = self.xid + 1
        self.xid += len(requests)
        try:
            self.stream.sendall(
                b"".join(
                    frame(struct.pack(">ii", first + number, opcode) + body)
                    for number, (opcode, body) in enumerate(requests)
                )
            )
        except OSError as error:
            self.drop()
            raise Lost(f"sending: {error!r}") from error
        replies = []
        try:
            for number in range(len(requests)):
                replies.append(self._reply(first + number))
        except OSError as error:
            self.drop()
            raise Lost(f"receiving: {error!r}", replies) from error
        return replies

    def _reply(self, xid):
        while True:
            (size,) = struct.unpack(">i", read_exactly(self.stream, 4))
            reply = Reply(read_exactly(self.stream, size))
            if reply.xid >= 0:
                break
        if reply.xid != xid:
            raise OutOfOrder(f"session {self.id:#x}: reply {reply.xid} instead of {xid}")
        if reply.zxid > 0:
            self.zxid = max(self.zxid, reply.zxid)
        return reply

    def ping(self):
        """A sign of life there and back."""
        try:
            self.stream.sendall(frame(struct.pack(">ii", XID_PING, PING)))
            (size,) = struct.unpack(">i", read_exactly(self.stream, 4))
            return Reply(read_exactly(self.stream, size))
        except OSError as error:
            self.drop()
            raise Lost(f"ping: {error!r}") from error

    def close(self):
        """Ends the session, if a server hears it."""
        if self.stream:
            try:
                self.call((CLOSE, b""))
            finally:
                self.drop()


def host_of(node):
    """Where a node's clients connect."""
    return node.address, node.zookeeper
