"""The leader's process ends: another member leads at once, and clients of the others hardly notice."""

import os
import statistics
import struct
import time

import pytest

from harness import wire

ROUNDS = int(os.environ.get("ROUNDS", "5"))
# The election timeout alone would take longer; a busy machine may take its time all the same.
AT_ONCE = 0.3
SILENT = 1.5
SET_DATA = 5
EXISTS = 3
PATH = b"/"


class Client:
    """One session, on the member it was given."""

    def __init__(self, node):
        self.stream = wire.connect(node.zookeeper, timeout=10)
        self.stream.sendall(wire.connect_request(timeout_ms=10_000))
        assert wire.connect_reply(self.stream)[0] > 0, f"{node.name} refused a session"
        self.xid = 0

    def ask(self, opcode, body):
        """Sends a request and returns the error code of the reply."""
        self.xid += 1
        self.stream.sendall(wire.frame(struct.pack(">ii", self.xid, opcode) + body))
        length = struct.unpack(">i", wire.read_exactly(self.stream, 4))[0]
        return struct.unpack(">iqi", wire.read_exactly(self.stream, length)[:16])[2]

    def write(self):
        path = struct.pack(">i", len(PATH)) + PATH
        return self.ask(SET_DATA, path + struct.pack(">i", 1) + b"x" + struct.pack(">i", -1))

    def read(self):
        return self.ask(EXISTS, struct.pack(">i", len(PATH)) + PATH + b"\0")

    def close(self):
        self.stream.close()


def write_at_last(node, client):
    """Writes until it succeeds, over new sessions whenever one is lost."""
    begun = time.monotonic()
    while True:
        try:
            client = client or Client(node)
            assert client.write() == 0
            return
        except (AssertionError, OSError):
            client = None
            assert time.monotonic() - begun < 10, f"no write through {node.name}"
            time.sleep(0.002)


def measure(ensemble, end, revive):
    """Per round: ends the leader, writes through a survivor, reads through idle sessions of both."""
    took = []
    for _ in range(ROUNDS):
        leader = ensemble.leader()
        survivors = ensemble.others(leader)
        for node in survivors:
            node.await_ready()
        idle = [Client(node) for node in survivors]
        writer = Client(survivors[0])
        assert writer.write() == 0
        time.sleep(0.3)
        begun = time.monotonic()
        end(leader)
        write_at_last(survivors[0], writer)
        took.append(time.monotonic() - begun)
        for client in idle:
            assert client.read() == 0, "a session without requests lost its connection"
            client.close()
        revive(leader)
        leader.await_ready()
    return took


@pytest.mark.timeout(60 + 20 * ROUNDS)
def test_a_killed_leader_is_replaced_at_once(ensemble, figure):
    took = measure(ensemble, lambda node: node.kill9(), lambda node: node.start())
    figure("ms from kill -9 of the leader to a write", [round(1000 * one) for one in took])
    assert statistics.median(took) < AT_ONCE


@pytest.mark.timeout(60 + 20 * ROUNDS)
def test_a_stopped_leader_is_replaced_by_election(ensemble, figure):
    took = measure(
        ensemble, lambda node: node.process.pause(), lambda node: node.process.resume()
    )
    figure("ms from SIGSTOP of the leader to a write", [round(1000 * one) for one in took])
    assert statistics.median(took) < SILENT
