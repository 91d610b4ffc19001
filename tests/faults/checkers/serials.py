"""No acknowledgement was a lie: each acknowledged serial is on every node, and each one there was asked for."""

from histories import client as wire
from histories.serials import ROOT

from . import Violation


def present(session):
    """The serials that this node has, after a sync: parent to names."""
    session.call(wire.sync(ROOT))
    (reply,) = session.call(wire.children(ROOT))
    if reply.code != wire.OK:
        raise Violation(f"{ROOT}: error {reply.code}")
    found = {}
    for parent in reply.names():
        (reply,) = session.call(wire.children(f"{ROOT}/{parent}"))
        found[f"{ROOT}/{parent}"] = {int(name) for name in reply.names()}
    return found


def compare(node, found, attempted, acknowledged):
    """What one node has beside what was asked for and what was answered; returns how many are there."""
    there = {(parent, serial) for parent, names in found.items() for serial in names}
    asked = {(parent, serial) for it in attempted.values() for serial, parent in it.items()}
    answered = {(parent, serial) for it in acknowledged.values() for serial, parent in it.items()}
    lost = sorted(answered - there)
    if lost:
        raise Violation(f"{node} lost {len(lost)} of {len(answered)} acknowledged: {lost[:9]}")
    invented = sorted(there - asked)
    if invented:
        raise Violation(f"{node} has {len(invented)} that nobody asked for: {invented[:9]}")
    return len(answered & there)


def check(sessions, load):
    """Looks at every node; `sessions` by its name. Returns (acknowledged, the least that one node has of them)."""
    least = None
    for name, session in sessions.items():
        count = compare(name, present(session), load.attempted, load.acknowledged)
        least = count if least is None else min(least, count)
    return load.counts()[1], least
