"""One change and a thousand clients that wait for it, on three nodes."""

import selectors
import struct
import time

from harness import wire

WATCHERS = 999
ROUNDS = 5
# For the last of them to hear; a machine that runs other tests at the same time is slow.
LIMIT = 2.0


def request(xid, opcode, body=b""):
    return wire.frame(struct.pack(">ii", xid, opcode) + body)


def session(node):
    stream = wire.connect(node.zookeeper, timeout=20)
    stream.sendall(wire.connect_request(40_000))
    assert wire.connect_reply(stream)[0] == 40_000
    return stream


def watch(streams, path):
    """Every client reads and leaves a watch."""
    for stream in streams:
        stream.sendall(request(1, wire.EXISTS, wire.read(path, watch=True)))
    for stream in streams:
        assert wire.reply(stream)[::2] == (1, 0)


def hear(streams, path, poll):
    """When each client heard of the change, which must be its only event."""
    heard = []
    waiting = set(streams)
    while waiting:
        ready = poll.select(LIMIT * 5)
        assert ready, f"{len(waiting)} never hear of it"
        for key, _ in ready:
            xid, rest = wire.message(key.fileobj)
            heard.append(time.monotonic())
            assert (xid, wire.event(rest)) == (wire.XID_EVENT, (wire.CHANGED, path))
            waiting.remove(key.fileobj)
    return heard


def test_a_change_reaches_a_thousand_watchers_at_once(ensemble, figure):
    path = "/watched"
    writer = session(ensemble.leader())
    writer.sendall(request(1, wire.CREATE, wire.create(path)))
    assert wire.reply(writer)[2] == 0
    streams = [session(ensemble.nodes[number % 3]) for number in range(WATCHERS)]
    poll = selectors.DefaultSelector()
    for stream in streams:
        poll.register(stream, selectors.EVENT_READ)
    lasts, firsts = [], []
    for _ in range(ROUNDS):
        watch(streams, path)
        began = time.monotonic()
        writer.sendall(request(2, wire.SET_DATA, wire.text(path) + wire.text(b"new") + b"\xff" * 4))
        heard = hear(streams, path, poll)
        assert wire.reply(writer)[::2] == (2, 0)
        firsts.append(1000 * (heard[0] - began))
        lasts.append(1000 * (heard[-1] - began))
    # Used up: another change is heard by nobody.
    writer.sendall(request(3, wire.SET_DATA, wire.text(path) + wire.text(b"last") + b"\xff" * 4))
    assert wire.reply(writer)[::2] == (3, 0)
    for stream in streams:
        stream.sendall(request(4, wire.EXISTS, wire.read(path)))
    for stream in streams:
        assert wire.reply(stream)[::2] == (4, 0)
        stream.close()
    first, last = sorted(firsts)[ROUNDS // 2], sorted(lasts)[ROUNDS // 2]
    figure("from a set to its watchers, ms", f"first {first:.1f}, last of {WATCHERS} {last:.1f}")
    assert last < 1000 * LIMIT
