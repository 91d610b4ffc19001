"""What a step does to a server, and what was seen while it ran.

`perform` returns an observation: by slot, the messages of its connection in order. Each step ends with
a barrier on every connection, so that every event the step caused is in its observation.
"""

from dataclasses import dataclass

from ..waiting import eventually
from .operations import Op

# Nobody has it: session ids count up from the clock.
NO_SUCH_SESSION = 0x7E_0000_0000_0001
# Of any server here, far in the future.
FUTURE_ZXID = 0x7000_0000_0000_0000
SHORT_TIMEOUT_MS = 1_000
EXPIRY_DEADLINE_S = 30.0


@dataclass
class Requests:
    """Requests pipelined on one connection. If one of them ends it, the session is attached again."""

    slot: int
    ops: list
    xid: int = 1

    def perform(self, server):
        session = server.slots[self.slot]
        seen = session.connection.receive(
            session.connection.send(self.ops, self.xid, server.zxid)
        )
        if any(ends_connection(op) for op in self.ops):
            seen += session.connection.end()
        if not session.connection.is_open:
            seen.append(server.reattach(self.slot))
        return _with_barrier(server, self.slot, seen)

    def __str__(self):
        return f"slot {self.slot}: " + " | ".join(map(str, self.ops))


@dataclass
class Close:
    """Closes the session and opens another one in its slot."""

    slot: int
    ops = ()

    def perform(self, server):
        connection = server.slots[self.slot].connection
        sent = connection.send([Op("closeSession")], 1, server.zxid)
        seen = connection.receive(sent) + connection.end()
        gone = server.attempt(self.slot)
        return _with_barrier(server, self.slot, [*seen, *gone, server.open(self.slot)])


@dataclass
class Reattach:
    """A new connection for the session, with the old one still there or not."""

    slot: int
    drop_first: bool
    ops = ()

    def perform(self, server):
        old = server.slots[self.slot].connection
        if self.drop_first:
            old.drop()
            return _with_barrier(server, self.slot, [server.reattach(self.slot)])
        attached = server.reattach(self.slot)
        return _with_barrier(server, self.slot, [*old.end(), attached])


@dataclass
class Refused:
    """Handshakes that must fail, then one that must not."""

    slot: int
    ops = ()

    def perform(self, server):
        server.slots[self.slot].connection.drop()
        seen = server.attempt(self.slot, password=b"0123456789abcdef")
        seen += server.attempt(self.slot, session=NO_SUCH_SESSION)
        seen += server.attempt(self.slot, last_zxid=FUTURE_ZXID)
        return _with_barrier(server, self.slot, [*seen, server.reattach(self.slot)])


@dataclass
class Timeouts:
    """Odd timeouts asked for, and what is granted."""

    slot: int
    asked_ms: tuple = (0, -5, 999_999, 7_777)
    ops = ()

    def perform(self, server):
        server.slots[self.slot].connection.drop()
        seen = []
        for timeout_ms in self.asked_ms:
            seen += server.attempt(self.slot, timeout_ms)
        return _with_barrier(server, self.slot, [*seen, server.reattach(self.slot)])


@dataclass
class Expire:
    """Leaves the session alone until it expires. `path` is one of its ephemeral znodes."""

    slot: int
    path: str
    ops = ()

    def perform(self, server):
        seen = server.attempt(self.slot, SHORT_TIMEOUT_MS)
        server.slots[self.slot].connection.drop()
        observation = {}

        def is_gone():
            for slot, messages in server.barrier().items():
                events = [message for message in messages if message["is"] != "reply"]
                observation.setdefault(slot, []).extend(events)
            witness = next(slot for slot, it in server.slots.items() if it.connection.is_open)
            connection = server.slots[witness].connection
            op = Op("exists", {"path": self.path, "watch": False})
            *events, answer = connection.receive(connection.send([op], 1, server.zxid))
            observation[witness] += events
            return answer["err"] != 0

        eventually(is_gone, EXPIRY_DEADLINE_S, f"{server.name} expires a session", 0.05)
        seen += server.attempt(self.slot)
        for slot, messages in server.barrier().items():
            observation.setdefault(slot, []).extend(messages)
        observation.setdefault(self.slot, [])[:0] = [*seen, server.open(self.slot)]
        return observation


def ends_connection(op):
    """Whether the server closes the connection after the answer."""
    refused = op.kind == "auth" and op.fields["scheme"] in ("world", "nobody", "")
    return refused or op.kind == "unknown"


def _with_barrier(server, slot, seen):
    observation = server.barrier()
    observation[slot] = seen + observation.get(slot, [])
    return observation


def replies(observation, slot):
    """The answers to a step's own requests."""
    return [
        message
        for message in observation.get(slot, [])
        if message["is"] == "reply" and message["xid"] < 0x7F00_0000
    ]
