"""Many sessions with an ephemeral each: some kept alive, some closed, some abandoned; one thread for all of them.

What is known of a session without asking the tree: when its last request that was answered was *sent*. The server heard it
then or later, so an end before that time plus the timeout is early. And once nothing was sent for the timeout, an election
and a second, the session must be over.
"""

import random
import threading
import time

from . import client as wire

ROOT = "/present"
# Signs of life per session timeout.
PINGS = 4
# Longest wait for an answer, and how long a node that gave none is left alone.
ANSWER = 0.7
LEFT_ALONE = 2.0


class Member:
    """One session and its ephemeral."""

    def __init__(self, number, session):
        self.number = number
        self.session = session
        self.path = f"{ROOT}/{number}"
        self.state = "opening"  # then alive, closing, closed, abandoned, ended_early
        self.heard = 0.0  # when the last request that was answered was sent
        self.sent = 0.0  # when anything was last sent, answered or not
        self.due = 0.0
        self.reconnects = 0

    def sign(self, host):
        """Sends something and waits for the answer, over a new connection to `host` if need be."""
        begun = time.monotonic()
        self.sent = begun
        if self.session.stream is None:
            self.session.connect(host, timeout=ANSWER)
            self.reconnects += 1
        else:
            self.session.ping()
        self.heard = begun

    def make(self):
        begun = self.sent = time.monotonic()
        (reply,) = self.session.call(wire.create(self.path, b"", wire.EPHEMERAL))
        if reply.code not in (wire.OK, wire.NODE_EXISTS):
            raise wire.Lost(f"{self.path}: {reply.code}")
        self.heard = begun
        self.state = "alive"


class Presence:
    """`count` members, kept alive by `threads` threads until they are closed or abandoned."""

    def __init__(self, hosts, count, timeout, threads=8, seed=1):
        self.hosts = hosts
        self.timeout = timeout
        self.members = []
        self.early = []
        self.failures = []
        self._stop = threading.Event()
        self._chance = random.Random(seed)
        # By thread: nodes that did not answer lately, and until when they are left alone.
        self._silent = [{} for _ in range(threads)]
        self._locks = [threading.Lock() for _ in range(threads)]
        for number in range(count):
            session = wire.Session(hosts, timeout, patience=ANSWER, seed=seed * 100_000 + number)
            self.members.append(Member(number, session))
        self._threads = [
            threading.Thread(target=self._keep, args=(number,), daemon=True)
            for number in range(threads)
        ]

    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
        assert not self.failures, self.failures
        for member in self.members:
            member.session.drop()

    def in_state(self, *states):
        return [member for member in self.members if member.state in states]

    def close_some(self, count):
        """Ends so many sessions the polite way."""
        for member in self._chance.sample(self.in_state("alive"), count):
            member.state = "closing"

    def abandon_some(self, count):
        """Never says anything on so many sessions again; their connections stay open."""
        for member in self._chance.sample(self.in_state("alive"), count):
            with self._lock(member):
                member.state = "abandoned"

    def _lock(self, member):
        return self._locks[member.number % len(self._locks)]

    def _keep(self, thread):
        mine = self.members[thread :: len(self._threads)]
        try:
            while not self._stop.is_set():
                now = time.monotonic()
                for member in mine:
                    if member.due <= now:
                        with self._locks[thread]:
                            self._look_after(member)
                self._stop.wait(0.01)
        except Exception as error:  # told by `stop`
            self.failures.append(repr(error))

    def _look_after(self, member):
        try:
            if member.state == "opening":
                if member.session.stream is None:
                    begun = time.monotonic()
                    member.session.connect(self._host(member), timeout=ANSWER)
                    member.heard = begun
                member.make()
            elif member.state == "alive":
                member.sign(self._host(member))
            elif member.state == "closing":
                self._close(member)
            member.due = time.monotonic() + self.timeout / PINGS
        except wire.Lost:
            self._shun(member)
        except wire.Expired:
            self._expired(member)

    def _host(self, member):
        """A node that has not been silent lately, if there is one."""
        silent = self._silent[member.number % len(self._locks)]
        now = time.monotonic()
        answering = [host for host in self.hosts if silent.get(host, 0) < now]
        return self._chance.choice(answering or self.hosts)

    def _shun(self, member):
        """Others with a connection to the same node need not find out one by one that it is silent."""
        thread = member.number % len(self._locks)
        silent = member.session.host
        now = time.monotonic()
        member.due = now + 0.02
        self._silent[thread][silent] = now + LEFT_ALONE
        for other in self.members[thread :: len(self._threads)]:
            if other.session.host == silent and other.session.stream and other.state == "alive":
                other.session.drop()
                other.due = now

    def _close(self, member):
        if member.session.stream is None:
            member.session.connect(self._host(member), timeout=ANSWER)
        try:
            member.session.close()
        except wire.Lost:
            pass  # asked for, and not heard of again: it is closed, or expires
        member.sent = time.monotonic()
        member.state = "closed"

    def _expired(self, member):
        quiet = time.monotonic() - member.heard
        if member.state == "closing":
            member.state = "closed"
        elif quiet < self.timeout:
            self.early.append((member.number, round(quiet, 3)))
            member.state = "ended_early"
        else:
            # Nobody answered it for its whole timeout: an end that is due. It begins anew.
            member.session.forget()
            member.state = "opening"
