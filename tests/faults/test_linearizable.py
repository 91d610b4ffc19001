"""Clients set, compare and set, create, delete, read and do transactions, while everything happens that may: an order
of all they did exists, no session sees the past, and the members end with one tree."""

import random
import time

import pytest

from checkers import digests, linearizable, sessions
from checkers.coverage import Coverage
from harness.waiting import eventually
from histories.recorder import Recorder
from histories.registers import ROOT, Registers
from histories import client as wire
from histories.bulk import fill_log
from histories.client import Lost
from injectors import membership, rot
from injectors.disks import cut_power
from injectors.namespaces import Namespaces
from injectors.processes import pause_for
from injectors.slow import slow_writes

# Operations at least, and how often every fault happens.
OPERATIONS = {False: 3_000, True: 20_000}
ROUNDS = {False: 1, True: 4}
CLIENTS = 8
# Between two faults, so that each meets an ensemble that works.
REST = {False: 0.5, True: 2.0}


class Chaos:
    """One ensemble and the faults it goes through; every method is one of them, to its end."""

    def __init__(self, ensemble, seed):
        self.ensemble = ensemble
        self.scope = ensemble.scope
        self.chance = random.Random(seed)
        self.happened = Coverage(*self.faults())

    @classmethod
    def faults(cls):
        return [name for name in vars(cls) if name.startswith("fault_")]

    def run(self, name):
        getattr(self, name)()
        self.ensemble.network.heal()
        self.ensemble.supervise()

    def any_node(self):
        return self.chance.choice(self.ensemble.nodes)

    def fault_kill_the_leader(self):
        leader = self.ensemble.leader()
        leader.kill9()
        assert self.ensemble.leader(self.ensemble.others(leader)) is not leader
        self.happened.hit("fault_kill_the_leader")

    def fault_kill_a_follower(self):
        node = self.chance.choice(self.ensemble.others(self.ensemble.leader()))
        node.kill9()
        assert not node.process.is_running()
        time.sleep(0.5)
        self.happened.hit("fault_kill_a_follower")

    def fault_kill_everybody(self):
        for node in self.ensemble.nodes:
            node.kill9()
        self.happened.hit("fault_kill_everybody")

    def fault_power_cut(self):
        nodes = self.ensemble.nodes
        cut_power([self.ensemble.disk(node) for node in nodes], [node.process for node in nodes])
        self.happened.hit("fault_power_cut")

    def fault_pause_the_leader(self):
        leader = self.ensemble.leader()
        timer = pause_for(leader, 2.0)
        assert self.ensemble.leader(self.ensemble.others(leader)) is not leader
        timer.join()
        self.happened.hit("fault_pause_the_leader")

    def fault_pause_everybody_in_turn(self):
        timers = [pause_for(node, self.chance.uniform(0.2, 1.0)) for node in self.ensemble.nodes]
        for timer in timers:
            timer.join()
        self.happened.hit("fault_pause_everybody_in_turn")

    def fault_isolate_the_leader(self):
        leader = self.ensemble.leader()
        self.ensemble.network.isolate(leader.name)
        assert self.ensemble.leader(self.ensemble.others(leader)) is not leader
        # Its own clients must get nothing old meanwhile: it is asked all the time.
        time.sleep(1.0)
        self.happened.hit("fault_isolate_the_leader")

    def fault_leader_hears_nobody(self):
        leader = self.ensemble.leader()
        self.ensemble.network.deafen(leader.name)
        assert self.ensemble.leader(self.ensemble.others(leader)) is not leader
        time.sleep(1.0)
        self.happened.hit("fault_leader_hears_nobody")

    def fault_leader_heard_by_nobody(self):
        leader = self.ensemble.leader()
        self.ensemble.network.mute(leader.name)
        assert self.ensemble.leader(self.ensemble.others(leader)) is not leader
        time.sleep(1.0)
        self.happened.hit("fault_leader_heard_by_nobody")

    def fault_bridge(self):
        # Two that do not hear each other, and one that hears both.
        self.ensemble.network.bridge(self.any_node().name)
        time.sleep(2.5)
        assert self.ensemble.leaders(), "a majority is connected"
        self.happened.hit("fault_bridge")

    def fault_frozen_disk(self):
        leader = self.ensemble.leader()
        # Long enough to be noticed, and short enough for some to go on where they were.
        with self.ensemble.disk(leader).frozen():
            time.sleep(self.chance.choice((1.0, 3.0, 6.0)))
        self.happened.hit("fault_frozen_disk")

    def fault_slow_disk(self):
        leader = self.ensemble.leader()
        with slow_writes(self.scope, leader.process, self.ensemble.disk(leader), 20):
            time.sleep(2.0)
        self.happened.hit("fault_slow_disk")

    def fault_full_disk(self):
        leader = self.ensemble.leader()
        disk = self.ensemble.disk(leader)
        with disk.full():
            assert disk.free_bytes() == 0
            try:
                # More than what is prepared of the log: it needs room that is not there.
                fill_log(self.ensemble.session(leader, patience=3.0), 120)
            except Lost:
                pass
            self.happened.hit("fault_full_disk")

    def fault_flipped_bit(self):
        node = self.chance.choice(self.ensemble.others(self.ensemble.leader()))
        node.kill9()
        path, byte, bit = rot.flip_one(node.data, "middle", self.chance.random())
        self.happened.hit("fault_flipped_bit")
        self.ensemble.start_node(node)
        eventually(lambda: not node.process.is_running() or node.is_ready(), 40, "it serves or stops")
        # One that gave its number up has set the file aside, and needs nobody's help.
        if not node.process.is_running() and path.exists():
            rot.flip(path, byte, bit)

    def fault_member_leaves_and_returns(self):
        victim = self.any_node()
        hosts = ",".join(node.hosts for node in self.ensemble.others(victim))
        former = membership.leave(hosts, victim)
        time.sleep(0.5)
        membership.come_back(self.ensemble, hosts, victim, former)
        self.happened.hit("fault_member_leaves_and_returns")

    def fault_clock_jump(self):
        leader = self.ensemble.leader()
        clock = self.ensemble.clocks[leader.name]
        clock.set(3600)
        assert self.ensemble.clock_of(leader) > 3000, "its clock did not jump"
        time.sleep(1.0)
        clock.set(-3600)
        time.sleep(1.0)
        clock.set(0)
        self.happened.hit("fault_clock_jump")

    def fault_leader_stops_as_asked(self):
        leader = self.ensemble.leader()
        assert leader.stop() == 0
        self.happened.hit("fault_leader_stops_as_asked")


def prepare(load, ensemble):
    session = ensemble.session(ensemble.leader())
    session.call(wire.create(ROOT))
    load.prepare(session)


@pytest.mark.timeout(900)
def test_history_under_every_fault_is_linearizable(cluster, full, figure, scope):
    ensemble = cluster(network=Namespaces, disks=True, clocks=True)
    recorder = Recorder()
    seed = random.SystemRandom().randrange(1 << 30)
    print(f"seed {seed}")
    # Paced to what the checker can judge for each key, not to what the ensemble can do.
    load = Registers(
        recorder, ensemble.hosts, CLIENTS, keys=16, pace=0.03, seed=seed, patience=3.0, timeout=15.0
    )
    prepare(load, ensemble)
    chaos = Chaos(ensemble, seed)
    begun = time.monotonic()
    with load:
        for _ in range(ROUNDS[full]):
            names = chaos.faults()
            chaos.chance.shuffle(names)
            for name in names:
                before = recorder.outcomes()["ok"]
                eventually(
                    lambda before=before: recorder.outcomes()["ok"] > before + 100, 30, f"work before {name}"
                )
                chaos.run(name)
                time.sleep(REST[full])
        eventually(
            lambda: len(recorder.operations) >= OPERATIONS[full], 600, "enough operations", interval=0.5
        )
    seconds = time.monotonic() - begun
    report = linearizable.check(recorder, scope.directory)
    sessions_seen, answers = sessions.check(recorder)
    digests.check(ensemble.nodes)
    counts = recorder.outcomes()
    figure("operations judged", report["operations"])
    figure("verdict", report["verdict"])
    figure("ok, refused, unknown", [counts["ok"], counts["error"], counts["unknown"]])
    figure("keys, groups", [report["keys"], report["groups"]])
    figure("seconds under faults; to judge", [round(seconds), round(report["seconds"], 2)])
    figure("answered", f"{recorder.ok_share():.1%}")
    figure("longest time without any answer (s)", round(recorder.longest_gap(), 2))
    figure("sessions, answers in order, zxids that went back", [sessions_seen, answers, 0])
    for name, times in chaos.happened.check(recorder.ok_share()).items():
        figure(name.removeprefix("fault_").replace("_", " "), times)
    assert len(recorder.operations) >= OPERATIONS[full]
