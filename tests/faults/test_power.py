"""The power fails for all nodes at once while clients write: what was acknowledged is there afterwards."""

import time

import pytest
from harness.waiting import eventually

from checkers import digests, serials
from checkers.coverage import Coverage
from histories.recorder import Recorder
from histories.serials import Serials
from injectors.disks import cut_power

ROUNDS = {False: 2, True: 12}
# Writes that must be acknowledged before each cut, so that every cut hits a stream of them.
BEFORE = 1_000


@pytest.mark.timeout(600)
def test_no_acknowledged_write_is_lost_when_the_power_fails_for_all(cluster, full, figure, scope):
    ensemble = cluster(disks=True)
    load = Serials(Recorder(), ensemble.hosts, clients=4)
    prepare = ensemble.session(ensemble.nodes[0])
    prepare.call(*[_parent()])
    prepare.drop()
    coverage = Coverage("power cut under writes")
    down = []
    with load:
        for _ in range(ROUNDS[full]):
            _, before = load.counts()
            eventually(lambda: load.counts()[1] >= before + BEFORE, 60, "writes are acknowledged")
            at_cut = load.counts()[1]
            cut_power([ensemble.disk(node) for node in ensemble.nodes], [node.process for node in ensemble.nodes])
            coverage.hit("power cut under writes")
            begun = time.monotonic()
            for node in ensemble.nodes:
                ensemble.start_node(node)
            ensemble.await_ready()
            down.append(round(time.monotonic() - begun, 2))
            eventually(lambda: load.counts()[1] > at_cut, 30, "writes go on after the cut")
            serials.check(ensemble.sessions(), _snapshot(load))
    acknowledged, least = serials.check(ensemble.sessions(), load)
    digests.check(ensemble.nodes)
    attempted, _ = load.counts()
    figure("power cuts of all three nodes", ROUNDS[full])
    figure("writes attempted", attempted)
    figure("acknowledged", acknowledged)
    figure("present on every node", least)
    figure("lost", acknowledged - least)
    figure("seconds from boot to all ready", down)
    coverage.check(acknowledged / attempted)
    assert not load.refused, load.refused[:5]
    assert least == acknowledged


def _parent():
    from histories import client as wire
    from histories.serials import ROOT

    return wire.create(ROOT)


class _snapshot:
    """What was acknowledged before now; what is attempted goes on."""

    def __init__(self, load):
        # First the acknowledged: everything in it was attempted before.
        self.acknowledged = {client: dict(it) for client, it in load.acknowledged.items()}
        self.load = load

    @property
    def attempted(self):
        return {client: dict(it) for client, it in list(self.load.attempted.items())}

    def counts(self):
        return 0, sum(len(it) for it in self.acknowledged.values())
