"""The sessions of one server, and the numbers by which the two servers' ids are matched."""

from .connection import CLOSED, Connection
from .operations import Op

NORMAL_TIMEOUT_MS = 30_000


class Session:
    """A session: its number in the script, the id and password the server gave, its connection."""

    def __init__(self, number, attached, connection):
        self.number = number
        self.id = attached["session"]
        self.password = attached["password"]
        self.connection = connection


class Server:
    """One of the two sides. `ports` are its nodes; slot i of the script begins at node i."""

    def __init__(self, name, ports, release):
        self.name = name
        self.ports = ports
        # Of ZooKeeper, whose rules it follows.
        self.release = release
        self.slots = {}
        # Session id to session number; 0 is nobody.
        self.numbers = {0: 0}
        # Header zxids of replies, one for each place in the script that may be named later.
        self.marks = []
        self._moves = 0

    def zxid(self, name):
        """What a zxid of the script is here: a plain number, or the reply that carried it."""
        kind, value = name
        return self.marks[value] if kind == "mark" else value

    def open(self, slot, timeout_ms=NORMAL_TIMEOUT_MS):
        """A new session in a slot."""
        connection = Connection(self._port(slot))
        attached = connection.attach(timeout_ms)
        session = Session(len(self.numbers), attached, connection)
        self.numbers[session.id] = session.number
        self.slots[slot] = session
        return attached

    def reattach(self, slot, timeout_ms=NORMAL_TIMEOUT_MS):
        """A new connection for the slot's session, at another node if there are several."""
        self._moves += 1
        session = self.slots[slot]
        connection = Connection(self._port(slot))
        attached = connection.attach(timeout_ms, session.id, session.password)
        if attached is CLOSED or attached["session"] == 0:
            connection.drop()
            return attached
        session.connection = connection
        return attached

    def attempt(self, slot, timeout_ms=NORMAL_TIMEOUT_MS, **overrides):
        """The answer to a handshake that is refused, or whose session is of no use."""
        session = self.slots[slot]
        arguments = {"session": session.id, "password": session.password, **overrides}
        connection = Connection(self._port(slot))
        answers = [connection.attach(timeout_ms, **arguments)]
        if answers[0] is not CLOSED and answers[0]["timeout"] == 0:
            answers += connection.end()
        connection.drop()
        return answers

    def barrier(self):
        """By slot, what has arrived on each connection until all that happened must have."""
        sync = [Op("sync", {"path": "/"})] if len(self.ports) > 1 else []
        ops = [*sync, Op("exists", {"path": "/", "watch": False})]
        live = {slot: it.connection for slot, it in self.slots.items() if it.connection.is_open}
        sent = {slot: one.send_barrier(ops, self.zxid) for slot, one in live.items()}
        seen = {slot: one.receive(sent[slot]) for slot, one in live.items()}
        return {slot: [m for m in it if m.get("op") not in sync] for slot, it in seen.items()}

    def close(self):
        for session in self.slots.values():
            session.connection.drop()

    def _port(self, slot):
        return self.ports[(slot + self._moves) % len(self.ports)]
