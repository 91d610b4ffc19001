"""An ephemeral is there if and only if its session lives: no orphan, no early end."""

import time

from harness.waiting import eventually
from histories import client as wire
from histories.presence import ROOT

from . import Violation

# Beyond a session's timeout, until its end is seen everywhere: an election and a second.
GRACE = 3.0


def names(session):
    session.call(wire.sync(ROOT))
    (reply,) = session.call(wire.children(ROOT))
    return {int(name) for name in reply.names()}


def compare(node, there, alive, over):
    """What one node has, beside the sessions that live and those that must be over."""
    orphans = sorted(there & over)
    if orphans:
        raise Violation(f"{node} has {len(orphans)} ephemerals of ended sessions: {orphans[:9]}")
    missing = sorted(alive - there)
    if missing:
        raise Violation(f"{node} lacks {len(missing)} ephemerals of live sessions: {missing[:9]}")


def check(presence, sessions):
    """At rest: every session that lives has its ephemeral on every node, and no other has one."""
    if presence.early:
        raise Violation(f"{len(presence.early)} sessions ended early: {presence.early[:9]}")
    eventually(
        lambda: not presence.in_state("opening", "closing"), 30, "all sessions open or over"
    )
    gone = presence.in_state("closed", "abandoned")
    last = max((member.sent for member in gone), default=0.0)
    time.sleep(max(0.0, last + presence.timeout + GRACE - time.monotonic()))
    over = {member.number for member in gone}
    for name, session in sessions.items():
        there = names(session)
        # Who lives is asked afterwards, so that one that ends meanwhile is not missed.
        alive = {member.number for member in presence.in_state("alive")}
        compare(name, there, alive, over)
    if presence.early:
        raise Violation(f"{len(presence.early)} sessions ended early: {presence.early[:9]}")
    return len(alive), len(over)
