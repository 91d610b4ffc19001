"""How long nobody is served when the leader dies, when its disk hangs, when it can only send; and who comes back in peace."""

import statistics
import time
from contextlib import contextmanager

import pytest

from checkers import digests
from checkers.coverage import Coverage
from harness.waiting import eventually
from histories import client as wire
from histories.client import Expired, Lost, Session, host_of
from injectors.namespaces import Namespaces
from injectors.proxies import Proxies

KILLS = {False: 3, True: 30}
HANGS = {False: 1, True: 3}
RETURNS = {False: 2, True: 5}
# Longest until a write is acknowledged again, in seconds.
AFTER_KILL = 2.0
AFTER_HANG = 10.0
# A leader that cannot keep what it promises must have stopped to lead by then.
STEPS_DOWN = 5.0
# A node is away for longer than any election takes.
AWAY = 3.0
PATH = "/leader-test"


def write(session, value=b"x"):
    """One write, acknowledged or `Lost`."""
    (reply,) = session.call(wire.set_data(PATH, value))
    if reply.code != wire.OK:
        raise Lost(f"error {reply.code}")


def write_again(session):
    """A write over the session, which may have to connect again: a busy machine may cost it its connection."""

    def written():
        if session.stream is None:
            session.connect()
        write(session)
        return True

    eventually(written, 20, "a write is acknowledged")


def first_write(nodes, begun, limit):
    """Seconds from `begun` until a client that knows these nodes has a write acknowledged."""
    session = Session([host_of(node) for node in nodes], timeout=20.0, patience=1.0)
    while True:
        try:
            if session.stream is None:
                session.connect(timeout=0.5)
            write(session)
            taken = time.monotonic() - begun
            session.drop()
            return taken
        except (Lost, Expired):
            session.drop()
        assert time.monotonic() - begun < limit + 30, "no write at all"
        time.sleep(0.002)


def prepare(ensemble):
    session = ensemble.session(ensemble.leader())
    session.call(wire.create(PATH))
    session.drop()


def told(figure, name, taken):
    ordered = sorted(taken)
    p99 = ordered[min(len(ordered) - 1, round(0.99 * (len(ordered) - 1)))]
    figure(f"{name}: n", len(taken))
    figure(f"{name}: p50, p99, max (s)", [round(statistics.median(taken), 3), round(p99, 3), round(max(taken), 3)])


@pytest.mark.timeout(600)
def test_killed_leader_is_replaced_within_two_seconds(cluster, full, figure):
    ensemble = cluster()
    prepare(ensemble)
    taken = []
    for _ in range(KILLS[full]):
        leader = ensemble.leader()
        survivors = ensemble.others(leader)
        ensemble.await_ready(nodes=survivors)
        begun = time.monotonic()
        leader.kill9()
        taken.append(first_write(survivors, begun, AFTER_KILL))
        ensemble.start_node(leader)
        ensemble.await_ready()
    told(figure, "leader kill -9 to first write", taken)
    digests.check(ensemble.nodes)
    assert max(taken) <= AFTER_KILL, taken


def steps_down(leader, begun):
    """Seconds until the former leader says that it does not lead or serve, or is gone; waits little longer than allowed."""

    def no_longer():
        if not leader.process.is_running():
            return True
        try:
            return leader.metric("zoogate_raft_role") != 3 or not leader.is_ready()
        except OSError:
            return True  # its port is closed already: it is ending

    eventually(no_longer, STEPS_DOWN + 2, "the leader steps down", interval=0.05)
    return time.monotonic() - begun


def replace_hurt_leaders(ensemble, full, figure, name, hurt):
    """Hurts some leaders, each for as long as `hurt` says, and judges how soon others are served and it leads no more.

    Returns the nodes that had to be started again.
    """
    prepare(ensemble)
    taken, stepped, ended = [], [], []
    for _ in range(HANGS[full]):
        leader = ensemble.leader()
        survivors = ensemble.others(leader)
        begun = time.monotonic()
        with hurt(leader):
            taken.append(first_write(survivors, begun, AFTER_HANG))
            told(figure, f"{name} to first write", taken)
            stepped.append(steps_down(leader, begun))
        ended += ensemble.supervise()
    figure("seconds until the hurt leader no longer leads", [round(it, 2) for it in stepped])
    digests.check(ensemble.nodes)
    assert max(taken) <= AFTER_HANG, taken
    assert max(stepped) <= STEPS_DOWN, stepped
    return ended


@pytest.mark.timeout(300)
def test_leader_whose_disk_hangs_is_replaced(cluster, full, figure):
    ensemble = cluster(disks=True)
    name = "frozen disk of the leader"
    replace_hurt_leaders(ensemble, full, figure, name, lambda leader: ensemble.disk(leader).frozen())


@pytest.mark.timeout(300)
@pytest.mark.parametrize("direction", ["hears nobody", "is heard by nobody"])
def test_leader_cut_in_one_direction_is_replaced(direction, cluster, full, figure):
    ensemble = cluster(network=Namespaces)

    @contextmanager
    def cut(leader):
        network = ensemble.network
        (network.deafen if direction == "hears nobody" else network.mute)(leader.name)
        yield
        network.heal()

    ended = replace_hurt_leaders(ensemble, full, figure, f"leader that {direction},", cut)
    assert not ended, "a network that is cut ends nobody"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", [Namespaces, Proxies])
def test_isolated_node_returns_without_an_election(kind, cluster, full, figure):
    ensemble = cluster(network=kind)
    prepare(ensemble)
    leader = ensemble.leader()
    term = leader.metric("zoogate_raft_term")
    coverage = Coverage("isolated node noticed")
    writer = ensemble.session(leader)
    for number in range(RETURNS[full]):
        away = ensemble.others(leader)[number % 2]
        ensemble.network.isolate(away.name)
        eventually(lambda node=away: not node.is_ready(), 10, f"{away.name} notices")
        coverage.hit("isolated node noticed")
        deadline = time.monotonic() + AWAY
        while time.monotonic() < deadline:
            write_again(writer)
        ensemble.network.heal()
        away.await_ready()
        write_again(writer)
    digests.check(ensemble.nodes)
    elections = max(ensemble.terms().values()) - term
    figure(f"returns of an isolated node ({kind.__name__.lower()})", RETURNS[full])
    figure(f"elections they caused ({kind.__name__.lower()})", int(elections))
    coverage.check()
    assert elections == 0
    assert ensemble.leader() is leader
