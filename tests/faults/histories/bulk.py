"""Large values, so that the log needs another segment soon."""

from . import client as wire

ROOT = "/bulk"
# Of a znode: a segment of 16 MiB is soon full.
LARGE = bytes(200_000)
ZNODES = 20
HANDOVERS = 3


def fill_log(session, count):
    """Writes until `count` large values are acknowledged or one is refused; returns the last code and drops the session.

    A leader that hands over leaves the outcome of what is under way unknown, and ends its connections, up to `HANDOVERS` times.
    """
    lost = 0
    try:
        for number in range(count):
            path = f"{ROOT}-{number % ZNODES}"
            try:
                if session.stream is None:
                    session.connect()
                replies = session.call(wire.create(path), wire.set_data(path, LARGE))
            except wire.Lost:
                lost += 1
                if lost > HANDOVERS:
                    raise
                continue
            if replies[1].code != wire.OK:
                return replies[1].code
        return wire.OK
    finally:
        session.drop()
