"""Thousands of idle sessions on three nodes: none is lost, they cost little, and they end in time.

`ZOOGATE_SESSIONS=20000 ZOOGATE_SESSION_TIMEOUT_MS=10000 ZOOGATE_MEASURE=20` is the full form; it takes a minute
and needs a limit of 11,000 open files.
"""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from harness.endpoints import PROGRAMS
from harness.waiting import eventually

SESSIONS = int(os.environ.get("ZOOGATE_SESSIONS", "3000"))
TIMEOUT_MS = int(os.environ.get("ZOOGATE_SESSION_TIMEOUT_MS", "4000"))
TIMEOUT = TIMEOUT_MS / 1000
# Seconds that are measured, at least two timeouts.
MEASURE = max(2 * TIMEOUT, float(os.environ.get("ZOOGATE_MEASURE", "8")))
IDLE = 3.0
# A third of the timeout, and what the client is late, may pass between a last ping and the kill; and
# machines need a while to commit the end of thousands at once.
EARLIEST = TIMEOUT * 2 / 3 - 0.3
LATEST = TIMEOUT + 2.0


class Holder:
    """A process that holds sessions."""

    def __init__(self, processes, name, count, hosts):
        command = [sys.executable, PROGRAMS / "sessions.py", count, TIMEOUT_MS, hosts]
        self.process = processes.start(name, command, stdin=True)
        self._seen = 0
        self._since = time.monotonic()

    def await_open(self):
        return float(self.process.await_line("open", 120).split()[1])

    def report(self):
        """Pings answered per second since the last report, sessions lost, the slowest answer in ms."""
        self.process.tell("report")
        began, self._since = self._since, time.monotonic()

        def answered():
            reports = [line for line in self.process.lines() if line.startswith("report")]
            return reports[self._seen :]

        line = eventually(answered, 20, "a report")[0]
        self._seen += 1
        _, pings, lost, slowest = line.split()
        return int(pings) / (self._since - began), int(lost), float(slowest)


class Cost:
    """What the nodes have used until now: processor time, and bytes and segments between them."""

    def __init__(self, ensemble):
        self.at = time.monotonic()
        self.cpu = [node.process.cpu_seconds() for node in ensemble.nodes]
        ports = {node.peer for node in ensemble.nodes}
        self.sockets = peer_sockets(ports)

    def since(self, before):
        """CPU by node in percent of a core; bytes and segments between the nodes, each per second."""
        seconds = self.at - before.at
        cpu = [100 * (b - a) / seconds for a, b in zip(before.cpu, self.cpu, strict=True)]
        nothing = (0, 0)
        sent = [
            [now - was for now, was in zip(counts, before.sockets.get(key, nothing), strict=True)]
            for key, counts in self.sockets.items()
        ]
        return cpu, *(sum(column) / seconds for column in zip(*sent, strict=True))


def peer_sockets(ports):
    """Bytes and segments sent, by socket of a connection between members; both ends are ours."""
    listing = subprocess.run(
        ["ss", "-tinHO", "state", "established"], capture_output=True, text=True, check=True
    ).stdout
    found = {}
    for line in listing.splitlines():
        ends = re.findall(r"127\.0\.0\.1:(\d+)", line)
        if len(ends) == 2 and ports & {int(end) for end in ends}:
            count = {
                name: int(value) for name, value in re.findall(r"(bytes_sent|segs_out):(\d+)", line)
            }
            found[tuple(ends)] = (count.get("bytes_sent", 0), count.get("segs_out", 0))
    return found


def open_sessions(ensemble):
    return {int(node.metric("zoogate_sessions")) for node in ensemble.nodes}


def expired(ensemble):
    return sum(int(node.metric("zoogate_sessions_expired_total")) for node in ensemble.nodes)


@pytest.mark.timeout(240)
def test_thousands_of_sessions_live_on_pings_and_end_when_their_client_is_killed(
    ensemble, processes, figure
):
    half = SESSIONS // 2
    leader = ensemble.leader()
    idle = Cost(ensemble)
    time.sleep(IDLE)
    idle_cpu, idle_bytes, idle_segments = Cost(ensemble).since(idle)
    memory = [node.process.rss_kib() for node in ensemble.nodes]

    holders = [Holder(processes, name, half, ensemble.hosts) for name in ("doomed", "staying")]
    took = max(holder.await_open() for holder in holders)
    eventually(lambda: open_sessions(ensemble) == {2 * half}, 10, "every session is known")
    for holder in holders:
        holder.report()

    before = Cost(ensemble)
    time.sleep(MEASURE)
    cpu, sent, segments = Cost(ensemble).since(before)
    reports = [holder.report() for holder in holders]
    grown = [node.process.rss_kib() - was for node, was in zip(ensemble.nodes, memory, strict=True)]
    pings = sum(report[0] for report in reports)

    def by_node(values, unit):
        named = zip(ensemble.nodes, values, strict=True)
        return ", ".join(
            f"{node.name}{' (leads)' if node is leader else ''} {value:.1f} {unit}"
            for node, value in named
        )

    figure("sessions", f"{2 * half} of {TIMEOUT:g} s, opened at {2 * half / took:.0f}/s")
    figure("pings", f"{pings:.0f}/s, slowest {max(r[2] for r in reports):.1f} ms")
    figure("CPU", by_node(cpu, "% of a core"))
    figure("CPU before", by_node(idle_cpu, "% of a core"))
    figure("between the nodes", f"{sent / 1000:.1f} kB/s in {segments:.0f} segments/s")
    figure("between the nodes before", f"{idle_bytes / 1000:.1f} kB/s, {idle_segments:.0f}/s")
    figure("memory for a session and its connection, KiB", f"{sum(grown) / 2 / half:.1f}")
    assert [report[1] for report in reports] == [0, 0], "sessions lost"
    assert expired(ensemble) == 0 and open_sessions(ensemble) == {2 * half}
    # Three in a timeout are sent.
    assert pings >= 2 * half / TIMEOUT * 2

    # The end of a process with so many sockets takes time of its own.
    killed = time.monotonic()
    holders[0].process.send(signal.SIGKILL)
    eventually(lambda: min(open_sessions(ensemble)) < 2 * half, LATEST, "the first is over")
    first = time.monotonic() - killed
    eventually(lambda: open_sessions(ensemble) == {half}, LATEST, "all of them are over")
    last = time.monotonic() - killed
    figure("sessions of a killed client end after", f"{first:.2f} to {last:.2f} s")
    assert EARLIEST <= first and last <= LATEST
    assert expired(ensemble) == half
    _, lost, _ = holders[1].report()
    assert lost == 0, "sessions that lived were disturbed"
