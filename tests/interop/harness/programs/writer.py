"""A process that writes: one kazoo session, one ephemeral znode, numbered znodes.

    writer.py HOSTS ROOT NAME SESSION_TIMEOUT

What happened to each number goes to stdout: `ack N` when the server has acknowledged it,
`unknown N` when the connection was lost before. No number is tried twice, so each tells about one
request. On stdin `pause` stops after the write under way, says `paused N` and waits for `go`; the
end of stdin ends the process.
"""

import sys
import threading

from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionLoss, OperationTimeoutError, SessionExpiredError
from kazoo.handlers.threading import KazooTimeoutError

# Between two writes, so that eight of these leave the processors to the nodes.
PACE = 0.005
UNKNOWN = (ConnectionLoss, OperationTimeoutError, KazooTimeoutError)


class Orders:
    """What stdin asks for."""

    def __init__(self):
        self.running = threading.Event()
        self.running.set()
        self.over = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in sys.stdin:
            if line == "pause\n":
                self.running.clear()
            elif line == "go\n":
                self.running.set()
        self.over.set()
        self.running.set()


def say(*words):
    print(*words, flush=True)


def main():
    hosts, root, name, timeout = sys.argv[1:]
    client = KazooClient(hosts=hosts, timeout=float(timeout))
    client.start(timeout=20)
    client.ensure_path(f"{root}/{name}")
    client.create(f"{root}-alive/{name}", ephemeral=True, makepath=True)
    say("session", client.client_id[0])
    orders = Orders()
    number = 0
    while not orders.over.wait(PACE):
        if not orders.running.is_set():
            say("paused", number)
            orders.running.wait()
            continue
        number += 1
        try:
            client.create_async(f"{root}/{name}/{number}", str(number).encode()).get(timeout=20)
            say("ack", number)
        except UNKNOWN:
            say("unknown", number)
        except SessionExpiredError:
            say("expired", number)
            return
    client.stop()


main()
