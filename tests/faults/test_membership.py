"""Members come and go, leaders do not stay, nodes restart in turn; meanwhile clients write, and nothing is lost."""

import pytest
from kazoo.exceptions import BadArgumentsError

from checkers import digests, linearizable, serials, sessions
from checkers.coverage import Coverage
from harness.waiting import eventually
from histories import client as wire
from histories.recorder import Recorder
from histories.registers import ROOT as REGISTERS, Registers
from histories.serials import ROOT, Serials
from injectors import churn, membership

CHURN_SECONDS = {False: 8, True: 120}
CHANGES = {False: 1, True: 4}


class Loads:
    """Serials and registers beside each other, judged together."""

    def __init__(self, ensemble, scope):
        self.ensemble = ensemble
        self.scope = scope
        self.recorder = Recorder()
        session = ensemble.session(ensemble.leader())
        session.call(wire.create(ROOT), wire.create(REGISTERS))
        self.serials = Serials(Recorder(), ensemble.hosts, clients=2, pace=0.02)
        self.registers = Registers(self.recorder, ensemble.hosts, clients=4, keys=8, pace=0.03)
        self.registers.prepare(session)

    def __enter__(self):
        self.serials.start()
        self.registers.start()
        return self

    def __exit__(self, *_):
        try:
            self.serials.stop()
        finally:
            self.registers.stop()

    def await_progress(self, count=200):
        before = self.serials.counts()[1]
        eventually(lambda: self.serials.counts()[1] > before + count, 30, "writes are acknowledged")

    def judge(self, figure, name, nodes=None):
        nodes = nodes or self.ensemble.nodes
        report = linearizable.check(self.recorder, self.scope.directory, name.replace(" ", "-"))
        sessions.check(self.recorder)
        acknowledged, least = serials.check(self.ensemble.sessions(nodes), self.serials)
        digests.check(nodes)
        figure(f"{name}: operations, verdict", [report["operations"], report["verdict"]])
        figure(f"{name}: acknowledged, present", [acknowledged, least])
        figure(f"{name}: answered", f"{self.recorder.ok_share():.1%}")
        figure(f"{name}: longest time without any answer (s)", round(self.recorder.longest_gap(), 2))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("stop", [False, True], ids=["killed", "stopped"])
def test_leader_every_two_seconds_another(stop, cluster, scope, full, figure):
    ensemble = cluster()
    coverage = Coverage("leader ended")
    name = "leader stopped every 2 s" if stop else "leader killed every 2 s"
    with Loads(ensemble, scope) as loads:
        loads.await_progress()
        rounds = churn.churn(ensemble, CHURN_SECONDS[full], 2.0, stop)
        coverage.hit("leader ended", rounds)
        loads.await_progress()
    loads.judge(figure, name)
    figure(f"{name}: times", rounds)
    coverage.check(loads.recorder.ok_share())


@pytest.mark.timeout(240)
def test_rolling_restart_loses_nothing(cluster, scope, full, figure):
    ensemble = cluster()
    coverage = Coverage("all restarted in turn")
    with Loads(ensemble, scope) as loads:
        for _ in range(CHANGES[full]):
            loads.await_progress()
            assert churn.rolling_restart(ensemble) == [0, 0, 0]
            coverage.hit("all restarted in turn")
        loads.await_progress()
    loads.judge(figure, "rolling restart")
    coverage.check(loads.recorder.ok_share())


@pytest.mark.timeout(240)
def test_members_leave_and_come_back_under_load(cluster, scope, full, figure):
    ensemble = cluster(size=4)
    coverage = Coverage("member removed", "leader removed", "old number refused", "member added")
    with Loads(ensemble, scope) as loads:
        for _ in range(CHANGES[full]):
            for victim in (ensemble.others(ensemble.leader())[0], ensemble.leader()):
                loads.await_progress()
                leads = victim is ensemble.leader()
                others = ",".join(node.hosts for node in ensemble.others(victim))
                what = membership.members(others)[membership.number_of(others, victim)]
                former = membership.leave(others, victim)
                coverage.hit("leader removed" if leads else "member removed")
                loads.await_progress()
                # A number is used once: another disk under it could vote twice.
                with pytest.raises(BadArgumentsError):
                    membership.reconfig(others, joining=f"server.{former}={what}")
                coverage.hit("old number refused")
                assert membership.come_back(ensemble, others, victim, former) != former
                coverage.hit("member added")
                ensemble.await_ready()
    loads.judge(figure, "members leave and come back")
    coverage.check(loads.recorder.ok_share())
