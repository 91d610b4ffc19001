"""Bare bytes of the ZooKeeper protocol, as no real client sends them, and four-letter words."""

import socket
import struct

TIMEOUT = 5.0

CREATE, EXISTS, SET_DATA, PING = 1, 3, 5, 11
XID_EVENT, XID_PING = -1, -2
DELETED, CHANGED = 2, 3


def frame(payload):
    """A payload behind its length, as every message of the protocol is."""
    return struct.pack(">i", len(payload)) + payload


def connect_request(timeout_ms=4_000, session=0, password=bytes(16), last_zxid=0):
    """The handshake: protocol version, last zxid seen, timeout, session, password, read-only."""
    head = struct.pack(">iqiq", 0, last_zxid, timeout_ms, session)
    return frame(head + struct.pack(">i", len(password)) + password + b"\0")


def connect_reply(stream):
    """Timeout in ms, session id and password of the reply; a refused session has timeout 0."""
    length = struct.unpack(">i", read_exactly(stream, 4))[0]
    reply = read_exactly(stream, length)
    _, timeout, session, size = struct.unpack(">iiqi", reply[:20])
    return timeout, session, reply[20 : 20 + size]


def text(value):
    """A string, or bytes, as a field of a record."""
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">i", len(data)) + data


def create(path, data=b"", flags=0):
    """The record of `create`, open to everybody."""
    acl = struct.pack(">ii", 1, 31) + text("world") + text("anyone")
    return text(path) + text(data) + acl + struct.pack(">i", flags)


def read(path, watch=False):
    """The record of `exists`, `getData` and `getChildren`."""
    return text(path) + struct.pack("?", watch)


def message(stream):
    """Xid and the rest of the next frame behind it."""
    length = struct.unpack(">i", read_exactly(stream, 4))[0]
    data = read_exactly(stream, length)
    return struct.unpack(">i", data[:4])[0], data[4:]


def reply(stream):
    """Xid, zxid and error code of the next reply."""
    xid, rest = message(stream)
    return xid, *struct.unpack(">qi", rest[:12])


def event(rest):
    """Type and path of an event, from what `message` gave behind the xid."""
    kind, _, length = struct.unpack(">iii", rest[12:24])
    return kind, rest[24 : 24 + length].decode()


def read_exactly(stream, count):
    data = b""
    while len(data) < count:
        piece = stream.recv(count - len(data))
        if not piece:
            raise ConnectionError(f"closed after {len(data)} of {count} bytes")
        data += piece
    return data


def read_to_end(stream, limit=1 << 20):
    """What comes until the other side closes, at most `limit` bytes. A reset is an end as well."""
    data = b""
    while len(data) < limit:
        try:
            piece = stream.recv(65_536)
        except ConnectionResetError:
            break
        if not piece:
            break
        data += piece
    return data


def connect(port, timeout=TIMEOUT):
    return socket.create_connection(("127.0.0.1", port), timeout=timeout)


def four_letters(port, word):
    """The answer to a four-letter word."""
    with connect(port) as stream:
        stream.sendall(word.encode())
        return read_to_end(stream).decode()
