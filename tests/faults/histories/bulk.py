"""Large values, so that the log needs another segment soon."""

import time

from . import client as wire

ROOT = "/bulk"
# Of a znode: a segment of 16 MiB is soon full.
LARGE = bytes(200_000)
ZNODES = 20
# Longest time without any answer, in seconds: a leader hands over, or another is elected.
UNANSWERED = 10.0


def fill_log(session, count):
    """Writes until `count` large values are acknowledged or one is refused; returns the last code and drops the session.

    A leader that hands over leaves the outcome of what is under way unknown, and ends its connections.
    """
    acknowledged, answered = 0, time.monotonic()
    try:
        while acknowledged < count:
            path = f"{ROOT}-{acknowledged % ZNODES}"
            try:
                if session.stream is None:
                    session.connect()
                replies = session.call(wire.create(path), wire.set_data(path, LARGE))
            except wire.Lost:
                if time.monotonic() - answered > UNANSWERED:
                    raise
                time.sleep(0.01)
                continue
            answered = time.monotonic()
            if replies[1].code != wire.OK:
                return replies[1].code
            acknowledged += 1
        return wire.OK
    finally:
        session.drop()
