"""Disks that are full, fail or are slow: writes may be refused or late, nothing acknowledged is lost, reads go on."""

import pytest

from checkers import digests, serials
from checkers.coverage import Coverage
from cluster import Cluster
from harness.waiting import eventually
from histories import client as wire
from histories.bulk import fill_log
from histories.client import Expired, Lost
from histories.recorder import Recorder
from histories.serials import ROOT, Serials
from injectors.slow import slow_writes

def prepare(ensemble):
    session = ensemble.session(ensemble.leader())
    session.call(wire.create(ROOT), wire.create(f"{ROOT}-known", b"known"))
    session.drop()


@pytest.mark.timeout(240)
def test_full_disks_refuse_writes_and_recover_without_help(cluster, figure):
    ensemble = cluster(disks=True)
    prepare(ensemble)
    load = Serials(Recorder(), ensemble.hosts, clients=2)
    coverage = Coverage("writes refused", "read while full", "written after")
    with load:
        eventually(lambda: load.counts()[1] > 300, 30, "writes are acknowledged")
    disks = [ensemble.disk(node) for node in ensemble.nodes]
    # Opening a session is a write as well: these are there before.
    readers = ensemble.sessions()
    writer = ensemble.session(ensemble.leader(), patience=10.0)
    with disks[0].full(), disks[1].full(), disks[2].full():
        refused = fill_log(writer, 400)
        assert refused != wire.OK, "80 MB went into a log that has no room for them"
        coverage.hit("writes refused")
        for node in ensemble.nodes:
            assert node.process.is_running(), f"{node.name} ended: {node.process.tail()[-1500:]}"
            (reply,) = readers[node.name].call(wire.get(f"{ROOT}-known"))
            assert reply.code == wire.OK and reply.data() == b"known"
            coverage.hit("read while full")
    eventually(lambda: written(readers), 60, "writes go on when there is room", interval=0.2)
    coverage.hit("written after")
    assert all(node.process.is_running() for node in ensemble.nodes), "nobody had to start one again"
    acknowledged, least = serials.check(ensemble.sessions(), load)
    digests.check(ensemble.nodes)
    coverage.check()
    figure("full disks: error code of refused writes", refused)
    figure("full disks: acknowledged, present", [acknowledged, least])


def written(sessions):
    """Whether a write through every node is acknowledged."""
    for session in sessions.values():
        if session.stream is None:
            session.connect()
        (reply,) = session.call(wire.set_data(f"{ROOT}-known", b"known"))
        if reply.code != wire.OK:
            return False
    return True


@pytest.mark.timeout(180)
def test_node_whose_fsync_fails_acknowledges_nothing_more_and_ends(scope, processes, figure):
    ensemble = Cluster(scope, processes, disks=True)
    failing = ensemble.give_failing_disk("n1")
    ensemble.start()
    prepare(ensemble)
    load = Serials(Recorder(), ensemble.hosts, clients=2)
    coverage = Coverage("fsync failed")
    victim = ensemble.node("n1")
    with load:
        eventually(lambda: load.counts()[1] > 500, 30, "writes are acknowledged")
        failing.break_it()
        others = ensemble.others(victim)

        def ended():
            try:
                fill_log(ensemble.session(others[0], patience=5.0), 40)
            except (Lost, Expired):
                pass
            return not victim.process.is_running()

        eventually(ended, 90, "the node with the failing disk ends", interval=0.1)
        code = victim.process.wait()
        said = victim.log()
        # The file system may have taken itself out of use before the log's next sync.
        causes = ("nput/output error", "Read-only file system")
        assert code != 0 and any(cause in said for cause in causes), said[-1500:]
        assert str(victim.data) in said, "the file is named"
        coverage.hit("fsync failed")
        before = load.counts()[1]
        eventually(lambda: load.counts()[1] > before + 300, 30, "the others go on")
    sessions = ensemble.sessions(others)
    acknowledged, least = serials.check(sessions, load)
    digests.check(others)
    coverage.check()
    figure("failed fsync: exit code", code)
    figure("failed fsync: acknowledged, present on the others", [acknowledged, least])


@pytest.mark.timeout(120)
def test_slow_disk_of_the_leader_loses_nothing(cluster, scope, full, figure):
    ensemble = cluster(disks=True)
    prepare(ensemble)
    load = Serials(Recorder(), ensemble.hosts, clients=2)
    with load:
        eventually(lambda: load.counts()[1] > 500, 30, "writes are acknowledged")
        term = ensemble.leader().metric("zoogate_raft_term")
        leader = ensemble.leader()
        with slow_writes(scope, leader.process, ensemble.disk(leader), 20):
            before = load.counts()[1]
            eventually(lambda: load.counts()[1] > before + 500, 60, "writes go on")
    acknowledged, least = serials.check(ensemble.sessions(), load)
    digests.check(ensemble.nodes)
    figure("slow disk: acknowledged, present", [acknowledged, least])
    figure("slow disk: elections", int(max(ensemble.terms().values()) - term))
    assert acknowledged == least
