"""All members have the same tree: at the same zxid the same digest, and what clients read of it is the same too."""

import json

from harness.waiting import eventually

from . import Violation


def digest(node):
    """zxid and digest that a node tells."""
    status, text = node.page("/commands/hash")
    if status != 200:
        raise Violation(f"{node.name}: /commands/hash answers {status}")
    (latest,) = json.loads(text)["digests"][-1:]
    return int(str(latest["zxid"]), 0), latest["digest"]


def compare(told):
    """`told`: name to (zxid, digest). True if all are at one zxid; raises if they differ there."""
    by_zxid = {}
    for name, (zxid, value) in told.items():
        by_zxid.setdefault(zxid, {})[name] = value
    for zxid, values in by_zxid.items():
        if len(set(values.values())) > 1:
            raise Violation(f"at zxid {zxid} the members differ: {values}")
    return len(by_zxid) == 1


def check(nodes, timeout=20.0):
    """Waits until all are at one zxid, looks, and returns it."""

    def equal():
        told = {node.name: digest(node) for node in nodes}
        try:
            return next(iter(told.values())) if compare(told) else None
        except Violation as violation:
            return violation

    found = eventually(equal, timeout, "all members at one zxid", interval=0.1)
    if isinstance(found, Violation):
        raise found
    return found
