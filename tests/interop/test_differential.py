"""One generated script on Apache ZooKeeper and on Zoogate: no answer, Stat or event tells them apart.

ZOOGATE_SEED chooses another script, ZOOGATE_OPERATIONS its length. A difference is shown with the seed, the
step, both sides and the steps before it.
"""

import os

import pytest

from harness.differential.lockstep import Lockstep
from harness.differential.mutants import survivors
from harness.differential.requests import WEIGHTS
from harness.differential.script import Script
from harness.differential.server import Server
from harness.ensemble import Ensemble
from harness.reference import SUPER_DIGEST, Reference

SEED = int(os.environ.get("ZOOGATE_SEED", "1"))
OPERATIONS = int(os.environ.get("ZOOGATE_OPERATIONS", "20000"))
SESSIONS = 5
ZOOKEEPER_38, ZOOKEEPER_39 = (3, 8), (3, 9)

# Looking for idle containers must not get between two steps.
ZOOKEEPER_KEYS = f'super_digest = "{SUPER_DIGEST}"\nreap_interval = "1h"\n'
# A machine that is busy with something else is no difference.
ENSEMBLE_KEYS = 'heartbeat = "500ms"\n'

# Every error that a client can be made to see without breaking a server.
ERRORS = {-5, -6, -8, -101, -102, -103, -108, -110, -111, -114, -115, -121, -123, -125}
NEVER_FAIL = {"ping", "whoAmI", "sync", "getEphemerals", "setWatches", "setWatches2"}
ALWAYS_FAIL = {"reconfig"}

# What may be left out of the comparison, of all operations; `known` says why. Zxids of events are not left out:
# they are compared with those of their causes.
BOUNDS = {
    "exists_needs_read": 0.01,
    "create2_in_multi": 0.04,
    "check_watches_of_others": 0.01,
    "config_is_membership": 0.02,
    "body_behind_error": 0.01,
}


# After these shares of the script a session is left to expire.
SHARES_OF_EXPIRIES = (1 / 3, 2 / 3)


def zookeeper(processes, name="apache"):
    return Server(name, [Reference(processes, name).port], ZOOKEEPER_38)


def zoogate(processes, size):
    ensemble = Ensemble(processes, size)
    for node in ensemble.nodes:
        node.ensemble_keys = ENSEMBLE_KEYS
        node.zookeeper_keys = ZOOKEEPER_KEYS
    ensemble.start()
    return Server("zoogate", [node.zookeeper for node in ensemble.nodes], ZOOKEEPER_39)


def run(processes, figure, candidate, operations, seed=SEED, record=False):
    """Runs a script on a new ZooKeeper and the candidate, and tells how much was compared."""
    figure("seed", seed)
    expiries = [int(share * operations) for share in SHARES_OF_EXPIRIES]
    script = Script(seed, SESSIONS, expiries, moves=len(candidate.ports) > 1)
    lockstep = Lockstep(script, zookeeper(processes), candidate)
    lockstep.run(operations, record)
    comparison = lockstep.comparison
    figure("operations", lockstep.operations)
    figure("values compared", comparison.values)
    figure("events compared", comparison.events)
    figure("errors", dict(lockstep.errors.most_common()))
    figure("compared by a rule of their own", comparison.skipped)
    for name, share in BOUNDS.items():
        assert comparison.skipped.get(name, 0) <= share * lockstep.operations, name
    return lockstep


def notice_every_wrong_answer(lockstep, figure):
    """A comparison that cannot fail proves nothing: alters the candidate's answers one at a time."""
    survived, tried = survivors(lockstep.recording, lockstep.reference, lockstep.candidate)
    figure("wrong answers noticed", sum(tried.values()) - len(survived))
    assert not survived
    assert all(tried.values()), tried


@pytest.mark.timeout(900)
def test_twenty_thousand_operations_are_answered_as_by_zookeeper(processes, figure):
    lockstep = run(processes, figure, zoogate(processes, 1), OPERATIONS)
    if OPERATIONS < 20_000:
        return
    kinds = {*WEIGHTS, "auth", "sasl", "unknown", "closeSession"}
    assert kinds <= lockstep.kinds.keys()
    assert ERRORS <= lockstep.errors.keys()
    for kind in WEIGHTS.keys() - NEVER_FAIL:
        assert lockstep.failed[kind], f"{kind} never failed"
    for kind in WEIGHTS.keys() - ALWAYS_FAIL:
        assert lockstep.failed[kind] < lockstep.kinds[kind], f"{kind} always failed"
    assert lockstep.comparison.events > OPERATIONS / 10
    assert 0.6 < lockstep.errors[0] / lockstep.operations < 0.85


@pytest.mark.timeout(300)
def test_an_ensemble_answers_sessions_on_all_its_nodes_as_one_zookeeper(processes, figure):
    ensemble = zoogate(processes, 3)
    lockstep = run(processes, figure, ensemble, OPERATIONS // 5, record=True)
    notice_every_wrong_answer(lockstep, figure)


@pytest.mark.timeout(300)
def test_two_zookeepers_do_not_differ_and_every_wrong_answer_would_be_noticed(processes, figure):
    other = zookeeper(processes, "other")
    lockstep = run(processes, figure, other, 2_000, record=True)
    notice_every_wrong_answer(lockstep, figure)
