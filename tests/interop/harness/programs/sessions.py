"""A process that holds many idle sessions: handshakes, then a ping each third of the timeout, and no more.

    sessions.py COUNT TIMEOUT_MS HOST:PORT[,HOST:PORT]...

Bare frames and one epoll loop, because it shares the machine with the servers. Says `open SECONDS` once
all sessions are open; `report` on stdin is answered by `report PINGS LOST SLOWEST_MS`: pings answered and the
slowest of them since the last report, and sessions whose connection the server has closed since the start.
The end of stdin ends it.
"""

import collections
import itertools
import os
import resource
import select
import socket
import struct
import sys
import time

# Handshakes under way at once: what a server's backlog and one commit's batch hold easily.
HANDSHAKES = 256
PINGS_PER_TIMEOUT = 3
PING = struct.pack(">iii", 8, -2, 11)
PONG_BYTES = 20
GREETING_BYTES = 41


class Held:
    """One session."""

    def __init__(self, address, timeout_ms):
        self.stream = socket.create_connection(address, timeout=10)
        body = struct.pack(">iqiqi16s?", 0, 0, timeout_ms, 0, 16, bytes(16), False)
        self.stream.sendall(struct.pack(">i", len(body)) + body)
        self.stream.setblocking(False)
        self.greeting = b""
        self.asked = collections.deque()
        self.partial = 0


class Holder:
    """All sessions of this process."""

    def __init__(self, count, timeout_ms, hosts):
        self.count = count
        self.timeout_ms = timeout_ms
        self.hosts = itertools.cycle(hosts)
        self.held = {}
        self.due = collections.deque()
        self.poll = select.epoll()
        self.poll.register(0, select.EPOLLIN)
        self.greeted = self.pings = self.lost = 0
        self.slowest = 0.0
        self.over = False

    def run(self):
        start = time.monotonic()
        told = False
        while not self.over:
            while len(self.held) + self.lost < self.count and self.opening() < HANDSHAKES:
                self.open()
            self.ping()
            wait = max(0, self.due[0][0] - time.monotonic()) if self.due else 1
            for number, _ in self.poll.poll(min(wait, 1)):
                if number == 0:
                    self.listen()
                else:
                    self.receive(number)
            if not told and self.greeted == self.count:
                told = True
                print(f"open {time.monotonic() - start:.3f}", flush=True)

    def opening(self):
        return len(self.held) + self.lost - self.greeted

    def open(self):
        session = Held(next(self.hosts), self.timeout_ms)
        self.held[session.stream.fileno()] = session
        self.poll.register(session.stream, select.EPOLLIN)

    def ping(self):
        """Sends what is due and puts it in line again."""
        now = time.monotonic()
        period = self.timeout_ms / 1000 / PINGS_PER_TIMEOUT
        while self.due and self.due[0][0] <= now:
            due, number, session = self.due.popleft()
            if self.held.get(number) is session:
                session.asked.append(now)
                session.stream.send(PING)
                self.due.append((due + period, number, session))

    def receive(self, number):
        session = self.held[number]
        try:
            data = session.stream.recv(4096)
        except ConnectionError:
            data = b""
        if not data:
            self.lost += 1
            self.poll.unregister(number)
            session.stream.close()
            del self.held[number]
            return
        if len(session.greeting) < GREETING_BYTES:
            session.greeting += data
            if len(session.greeting) == GREETING_BYTES:
                granted = struct.unpack(">i", session.greeting[8:12])[0]
                assert granted == self.timeout_ms, f"granted {granted} ms"
                self.greeted += 1
                period = self.timeout_ms / 1000 / PINGS_PER_TIMEOUT
                self.due.append((time.monotonic() + period, number, session))
            return
        answered, session.partial = divmod(session.partial + len(data), PONG_BYTES)
        now = time.monotonic()
        for _ in range(answered):
            self.slowest = max(self.slowest, now - session.asked.popleft())
            self.pings += 1

    def listen(self):
        command = os.read(0, 4096)
        if not command:
            self.over = True
        elif command == b"report\n":
            print(f"report {self.pings} {self.lost} {1000 * self.slowest:.1f}", flush=True)
            self.pings, self.slowest = 0, 0.0


def main():
    count, timeout_ms, hosts = sys.argv[1:]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    pairs = (host.split(":") for host in hosts.split(","))
    Holder(int(count), int(timeout_ms), [(host, int(port)) for host, port in pairs]).run()


main()
