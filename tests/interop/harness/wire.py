"""Bare bytes of the ZooKeeper protocol, as no real client sends them, and four-letter words."""

import socket
import struct

TIMEOUT = 5.0


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
