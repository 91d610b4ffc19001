"""One connection of a session: the handshake, pipelined requests, and messages in order."""

import socket
import struct

from ..wire import connect_request, frame
from .jute import Malformed, Reader
from .operations import RESERVED_XIDS, XID_EVENT, Op

# A server that says nothing for so long says nothing at all.
SILENCE_S = 20.0
# Outside what the script counts to.
BARRIER_XID = 0x7F00_0000
CLOSED = {"is": "closed"}


class Connection:
    """A TCP connection. Messages are dicts; `is` tells events, replies and the end apart."""

    def __init__(self, port):
        self._stream = socket.create_connection(("127.0.0.1", port), timeout=SILENCE_S)
        self._stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = bytearray()
        self.is_open = True

    def attach(self, timeout_ms, session=0, password=bytes(16), last_zxid=0):
        """The handshake's answer, or the end; a refused session has timeout 0."""
        self._stream.sendall(connect_request(timeout_ms, session, password, last_zxid))
        data = self._frame()
        if data is None:
            return CLOSED
        reader = Reader(data)
        version, timeout, number = reader.int(), reader.int(), reader.long()
        answer = {"is": "attached", "version": version, "timeout": timeout, "session": number}
        return {**answer, "password": reader.buffer(), "read_only": reader.bool()}

    def send(self, ops, xid, zxid):
        """Sends requests in one go, numbered from `xid`, and returns what `receive` needs."""
        data = b""
        sent = []
        for number, op in enumerate(ops, xid):
            number = RESERVED_XIDS.get(op.kind, number)
            sent.append((number, op))
            head = struct.pack(">ii", number, op.number)
            data += frame(head + op.encode(zxid))
        try:
            self._stream.sendall(data)
        except OSError:
            pass  # closed by the server: `receive` comes upon the end
        return sent

    def receive(self, sent):
        """Messages until all requests are answered or the connection is closed."""
        messages = []
        waiting = list(sent)
        while waiting:
            message = self._message(waiting)
            messages.append(message)
            if message["is"] in ("closed", "malformed"):
                break
        return messages

    def end(self):
        """Messages until the server closes; for after a request that ends the connection."""
        messages = []
        while self.is_open:
            messages.append(self._message([]))
        return messages

    def send_barrier(self, ops, zxid):
        """The last request has the number by which barriers are known."""
        return self.send(ops, BARRIER_XID + 1 - len(ops), zxid)

    def drop(self):
        """Closes without a word, so that the session stays."""
        self._stream.close()
        self.is_open = False

    def _message(self, waiting):
        data = self._frame()
        if data is None:
            self.drop()
            return CLOSED
        reader = Reader(data)
        xid, zxid, err = reader.int(), reader.long(), reader.int()
        if xid == XID_EVENT:
            event = {"type": reader.int(), "state": reader.int(), "path": reader.string()}
            return {"is": "event", "zxid": zxid, "err": err, **event}
        answer = {"is": "reply", "xid": xid, "zxid": zxid, "err": err}
        number, op = waiting.pop(0) if waiting else (None, Op("unknown"))
        answer["expected"] = number
        answer["op"] = op
        if err:
            return {**answer, **({"trailing": reader.rest()} if reader.rest() else {})}
        try:
            return {**answer, "body": op.decode(reader.rest())}
        except Malformed as problem:
            self.drop()
            return {**answer, "is": "malformed", "problem": str(problem), "bytes": data}

    def _frame(self):
        """The next message's bytes; None at the end."""
        head = self._exactly(4)
        return None if head is None else self._exactly(struct.unpack(">i", head)[0])

    def _exactly(self, count):
        while len(self._received) < count:
            try:
                piece = self._stream.recv(65_536)
            except ConnectionResetError:
                piece = b""
            if not piece:
                return None
            self._received += piece
        taken = bytes(self._received[:count])
        del self._received[:count]
        return taken
