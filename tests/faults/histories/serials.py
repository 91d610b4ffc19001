"""Unique znodes, created with many outstanding: what was acknowledged must be there, what is there was asked for."""

from . import client as wire
from .load import Load

ROOT = "/acked"
# Outstanding requests of one client.
WINDOW = 24
# Names of one znode's children, far below what one reply holds.
PER_PARENT = 4_000


class Serials(Load):
    """Each client makes `/acked/<client>-<n>/<serial>` and remembers what it was told."""

    def __init__(self, recorder, hosts, clients=4, window=WINDOW, pace=0.0, **options):
        super().__init__(recorder, hosts, clients, **options)
        self.window = window
        self.pace = pace
        self.attempted = {}
        self.acknowledged = {}
        self.refused = []

    def step(self, client, session, chance):
        first = self.recorder.number()
        parent = f"{ROOT}/{client}-{len(self._of(self.attempted, client)) // PER_PARENT}"
        serials = [first] + [self.recorder.number() for _ in range(self.window - 1)]
        requests = [wire.create(parent)]
        requests += [wire.create(f"{parent}/{serial}", str(serial).encode()) for serial in serials]
        self._of(self.attempted, client).update((serial, parent) for serial in serials)
        try:
            replies = session.call(*requests)
        except wire.Lost as lost:
            self._take(client, serials, parent, lost.replies)
            raise
        self._take(client, serials, parent, replies)
        if self.pace:
            self._stop.wait(self.pace)

    def _take(self, client, serials, parent, replies):
        for serial, reply in zip(serials, replies[1:]):
            if reply.code == wire.OK:
                self._of(self.acknowledged, client)[serial] = parent
            elif reply.code == wire.SESSION_EXPIRED:
                raise wire.Expired("while writing")
            else:
                self.refused.append(reply.code)

    @staticmethod
    def _of(where, client):
        return where.setdefault(client, {})

    def counts(self):
        """Attempted and acknowledged so far."""
        attempted = sum(len(it) for it in list(self.attempted.values()))
        return attempted, sum(len(it) for it in list(self.acknowledged.values()))
