"""When sessions end by the clock: never early, and late by less than a human notices."""

import struct
import threading
import time

from harness import wire

SESSIONS = 20
# Granted as asked: what the harness sets as the shortest.
TIMEOUT_MS = 1_000
TIMEOUT = TIMEOUT_MS / 1000
# Promised is a tenth of a second; a machine that runs other tests gets more.
LATEST = 0.250
# How long before its deadline a session gives its last sign of life in time.
MARGIN = 0.040
# A machine that was slower than this with one request proves nothing about the server's clock.
PROMPT = 0.020


class Session:
    """One session by bare frames, and when it gave its last sign of life: sent and answered."""

    def __init__(self, node, timeout_ms=TIMEOUT_MS):
        self.stream = wire.connect(node.zookeeper, timeout=30)
        self.signs = []
        self.xid = 0
        self._sign(wire.connect_request(timeout_ms))
        granted, self.id, _ = wire.connect_reply(self.stream)
        assert granted == timeout_ms
        self._answered()

    def _sign(self, request):
        self.signs.append([time.monotonic(), None])
        self.stream.sendall(request)

    def _answered(self):
        self.signs[-1][1] = time.monotonic()

    def ask(self, opcode, body=b""):
        """The error code of the answer."""
        self.xid += 1
        self._sign(wire.frame(struct.pack(">ii", self.xid, opcode) + body))
        _, _, code = wire.reply(self.stream)
        self._answered()
        return code

    def create_ephemeral(self, path):
        assert self.ask(wire.CREATE, wire.create(path, flags=1)) == 0

    def ping(self):
        assert self.ask(wire.PING) == 0


def deletions(node, paths, gone):
    """Notes in `gone` when each path is deleted, as a client at `node` is told."""
    watcher = Session(node, 40_000)
    for path in paths:
        assert watcher.ask(wire.EXISTS, wire.read(path, watch=True)) == 0

    def listen():
        while len(gone) < len(paths):
            xid, body = wire.message(watcher.stream)
            if xid == wire.XID_EVENT:
                kind, path = wire.event(body)
                assert kind == wire.DELETED
                gone[path] = time.monotonic()

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    return listener


def test_a_killed_clients_ephemeral_goes_at_its_timeout(ensemble, figure):
    paths = [f"/silent-{number}" for number in range(SESSIONS)]
    sessions = [Session(ensemble.nodes[number % 3]) for number in range(SESSIONS)]
    for session, path in zip(sessions, paths, strict=True):
        session.create_ephemeral(path)
    gone = {}
    listener = deletions(ensemble.leader(), paths, gone)
    last = {}
    for number, (session, path) in enumerate(zip(sessions, paths, strict=True)):
        for _ in range(1 + number % 3):
            session.ping()
            time.sleep(0.01)
        last[path] = session.signs[-1]
        session.stream.close()
    listener.join(10)
    # A sign counts when it arrives, between sending it and having its answer.
    after_sending = sorted(gone[path] - last[path][0] - TIMEOUT for path in paths)
    after_answer = sorted(gone[path] - last[path][1] - TIMEOUT for path in paths)
    middle, most = (1000 * after_answer[at] for at in (SESSIONS // 2, -1))
    least = 1000 * after_sending[0]
    figure("deletion after the timeout, ms", f"{least:.0f} to {most:.0f}, median {middle:.0f}")
    assert after_sending[0] >= 0
    assert after_answer[-1] <= LATEST


def test_a_sign_of_life_just_before_the_deadline_counts_at_every_node(ensemble, figure):
    """Members report signs of life to the leader; its clock must wait for those under way."""
    sessions = [Session(ensemble.nodes[number % 3]) for number in range(30)]
    slow = []
    for _ in range(4):
        for session in [session for session in sessions if session not in slow]:
            last = session.signs[-1][0]
            time.sleep(max(0, last + TIMEOUT - MARGIN - time.monotonic()))
            began = time.monotonic()
            try:
                session.ping()
                in_time = True
            except OSError:
                in_time = False
            # The server has the ping at some moment until it answers; a server that closes does so at once.
            if time.monotonic() - last > TIMEOUT - MARGIN + PROMPT:
                slow.append(session)
            else:
                assert in_time, f"expired {1000 * (began - last):.0f} ms after its last sign of life"
    figure("sessions that lived on their last moments", f"{30 - len(slow)}, {len(slow)} left out")
    assert len(slow) < 30
