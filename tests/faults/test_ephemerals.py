"""An ephemeral is there if and only if its session lives: through dead and stopped leaders, and clocks that jump an hour."""

import time

import pytest

from checkers import digests, ephemerals
from checkers.coverage import Coverage
from harness.waiting import eventually
from histories import client as wire
from histories.presence import ROOT, Presence
from injectors.processes import pause_for

SESSIONS = {False: 210, True: 400}
ROUNDS = {False: 1, True: 5}
TIMEOUT = 4.0
HOUR = 3600


@pytest.mark.timeout(600)
def test_ephemerals_are_there_if_and_only_if_their_sessions_live(cluster, full, figure):
    ensemble = cluster(clocks=True)
    session = ensemble.session(ensemble.leader())
    session.call(wire.create(ROOT))
    presence = Presence(ensemble.hosts, SESSIONS[full], TIMEOUT).start()
    coverage = Coverage("leader killed", "leader paused", "one-hour clock jump", "closed", "abandoned")
    try:
        alive = SESSIONS[full] * 0.9
        eventually(lambda: not presence.in_state("opening"), 60, "all sessions are open")
        for _ in range(ROUNDS[full]):
            for fault in (kill_the_leader, pause_the_leader, jump_every_clock):
                presence.close_some(3)
                coverage.hit("closed", 3)
                presence.abandon_some(3)
                coverage.hit("abandoned", 3)
                fault(ensemble)
                coverage.hit(NAMES[fault])
                ensemble.supervise()
                time.sleep(1.0)
        living, over = ephemerals.check(presence, ensemble.sessions())
        digests.check(ensemble.nodes)
        moved = sum(member.reconnects for member in presence.members)
    finally:
        presence.stop()
    figure("sessions", SESSIONS[full])
    figure("sessions that went on over another connection (times)", moved)
    figure("alive at the end, each with its ephemeral on every node", living)
    figure("closed or abandoned", over)
    figure("orphans", 0)
    figure("early deletions", len(presence.early))
    for name, times in coverage.check().items():
        figure(name, times)
    assert moved > 0, "no session had to move: the faults hurt nobody"
    assert living + over >= alive, "sessions ended that should not have"


def kill_the_leader(ensemble):
    leader = ensemble.leader()
    leader.kill9()
    assert ensemble.leader(ensemble.others(leader)) is not leader


def pause_the_leader(ensemble):
    """For longer than a session's timeout: it wakes up with every deadline in the past."""
    leader = ensemble.leader()
    timer = pause_for(leader, TIMEOUT + 1.0)
    assert ensemble.leader(ensemble.others(leader)) is not leader
    timer.join()


def jump_every_clock(ensemble):
    """An hour forward on the leader while it leads, then on all, then back by two."""
    leader = ensemble.leader()
    for jump in (HOUR, -HOUR, 0):
        for node in [leader, *ensemble.others(leader)]:
            ensemble.clocks[node.name].set(jump)
            time.sleep(0.4)
            # The tree's time does not go back with the clock, so only the way forward can be seen.
            off = ensemble.clock_of(node)
            assert jump < HOUR or abs(off - jump) < 60, f"{node.name} is {off} s off, not {jump}"


NAMES = {
    kill_the_leader: "leader killed",
    pause_the_leader: "leader paused",
    jump_every_clock: "one-hour clock jump",
}
