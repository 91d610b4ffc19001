"""One bit flips on a node's disk while it does not run. It is noticed, said with file and byte, and never believed."""

import json
import re
import shutil

import pytest

from checkers import digests
from checkers.coverage import Coverage
from harness.waiting import eventually
from histories import client as wire
from histories.recorder import Recorder
from histories.serials import ROOT as SERIALS, Serials
from injectors import rot

ROUNDS = {False: 1, True: 6}
# Znodes whose values are known.
KNOWN = 200
# A snapshot is made after 100,000 entries.
UNTIL_SNAPSHOT = 104_000
ROOT = "/rot"
SAID = re.compile(r"(damaged|bad) at byte \d+")


class Flips:
    """What was flipped, and what came of it."""

    def __init__(self, ensemble):
        self.ensemble = ensemble
        self.flips = {target: 0 for target in rot.TARGETS}
        self.detected = 0
        self.cut = 0
        self.recovered = 0
        self.stopped = 0
        self.bystanders = 0
        self.wrong = 0
        self.read = 0

    def flip(self, target, node, seed):
        """Flips a bit of this node while it is down, starts it, and looks what becomes of it."""
        ensemble = self.ensemble
        node.kill9()
        flipped = rot.flip_one(node.data, target, seed)
        if flipped is None:
            ensemble.start_node(node)
            ensemble.await_ready()
            return False
        self.flips[target] += 1
        path, byte, bit = flipped
        size = node.log_size()
        ensemble.start_node(node)
        eventually(
            # With its newest snapshot gone, it reads an older one and all the log since: two million znodes by the end.
            lambda: not node.process.is_running() or node.is_ready(), 120, f"{node.name} serves or stops"
        )
        said = [line for line in node.log(size).splitlines() if SAID.search(line) and path.name in line]
        if node.process.is_running():
            # A leader that learns that a follower has lost what it had acknowledged ends itself: counted, and started again.
            self.bystanders += len(ensemble.supervise())
            # Serving again: nothing it says may be wrong.
            self.look(node)
            if said:
                self.detected += 1
                self.recovered += 1
                # As an operator would who has looked at it: only four are kept, then the node wants to be looked after.
                for directory in rot.set_aside(node.data):
                    shutil.rmtree(directory)
            else:
                assert target == "tail", f"{target}: {path.name}+{byte} was read without a word"
                self.cut += 1
            # Two of three damaged at once are more than any log survives. One whose log was cut serves at first, until a
            # leader that remembers more refuses it and it has to come back under a new number: only the leader knows when.
            eventually(self.whole(), 60, f"the ensemble is whole again after {node.name} was damaged")
            return True
        assert node.process.wait() != 0, "it stopped as if all were well"
        assert said, f"{target}: {path.name}+{byte}: {node.process.tail()[-1500:]}"
        self.detected += 1
        self.stopped += 1
        # As an operator would who has a copy: the bit is put back.
        rot.flip(path, byte, bit)
        ensemble.supervise()
        self.look(node)
        return True

    def whole(self):
        """A condition: by the leader's account there are three voters, each of which has said that it holds what
        the leader held when it was first asked."""
        wanted = None

        def holds():
            nonlocal wanted
            status, text = self.ensemble.leader().page("/v1/cluster")
            if status != 200:
                return False
            page = json.loads(text)
            wanted = wanted or page["last_index"]
            voters = [member for member in page["members"] if member["voter"]]
            return len(voters) == len(page["members"]) == 3 and all(
                (member["matched"] or 0) >= wanted for member in voters
            )

        return holds

    def look(self, node):
        """Reads everything whose value is known; each answer must be right."""
        session = self.ensemble.session(node)
        session.call(wire.sync(ROOT))
        replies = session.call(*[wire.get(f"{ROOT}/{number}") for number in range(KNOWN)])
        for number, reply in enumerate(replies):
            self.read += 1
            if reply.code != wire.OK or reply.data() != value(number):
                self.wrong += 1
        session.drop()
        digests.check(self.ensemble.nodes)


def value(number):
    return f"value of {number}".encode() * 8


def prepare(ensemble):
    """Known values, and then other entries, so that damage in the middle is followed by what is right."""
    session = ensemble.session(ensemble.leader())
    session.call(wire.create(ROOT), wire.create(SERIALS))
    session.call(*[wire.create(f"{ROOT}/{number}", value(number)) for number in range(KNOWN)])
    session.drop()


@pytest.mark.timeout(900)
def test_flipped_bits_are_noticed_and_never_believed(cluster, full, figure):
    ensemble = cluster()
    prepare(ensemble)
    flips = Flips(ensemble)
    load = Serials(Recorder(), ensemble.hosts, clients=2)
    coverage = Coverage("tail", "middle", "length", "vote", *(["snapshot"] if full else []))
    targets = [target for target in rot.TARGETS if target != "snapshot"]
    with load:
        for number in range(ROUNDS[full]):
            for target in targets:
                before = load.counts()[1]
                eventually(lambda before=before: load.counts()[1] > before + 200, 30, "entries come")
                # In turn the leader and a follower: neither may spread what it has.
                leader = ensemble.leader()
                node = leader if number % 2 else ensemble.others(leader)[0]
                if flips.flip(target, node, seed=number * 10 + len(target)):
                    coverage.hit(target)
        if full:
            eventually(lambda: load.counts()[1] > UNTIL_SNAPSHOT, 300, "enough entries for a snapshot", 0.5)
            for number in range(ROUNDS[full]):
                node = ensemble.nodes[number % 3]
                eventually(lambda node=node: rot.snapshots(node.data), 60, "a snapshot")
                if flips.flip("snapshot", node, seed=number):
                    coverage.hit("snapshot")
    ensemble.supervise()
    for node in ensemble.nodes:
        flips.look(node)
    figure("bits flipped", sum(flips.flips.values()))
    figure("by place", flips.flips)
    figure("detected, with file and byte", flips.detected)
    figure("torn tails cut and fetched again", flips.cut)
    figure("recovered by themselves", flips.recovered)
    figure("stopped until the damage was put back", flips.stopped)
    figure("others that ended because of it, and came back", flips.bystanders)
    figure("values read afterwards", flips.read)
    figure("wrong answers", flips.wrong)
    coverage.check()
    assert flips.detected + flips.cut == sum(flips.flips.values())
    assert flips.wrong == 0


@pytest.mark.timeout(120)
def test_damaged_member_recovers_from_the_others_by_itself(cluster, figure):
    ensemble = cluster()
    prepare(ensemble)
    node = ensemble.others(ensemble.leader())[0]
    flips = Flips(ensemble)
    node.kill9()
    path, byte, bit = rot.flip_one(node.data, "middle", seed=1)
    ensemble.start_node(node)
    eventually(lambda: not node.process.is_running() or node.is_ready(), 40, "it serves or stops")
    assert node.process.is_running(), "it stopped"
    flips.look(node)
    assert flips.wrong == 0
    figure("damaged member back, seconds are bounded by", 40)
