"""Each checker catches what it is for: planted faults, in histories that are right otherwise."""

import copy
import types

import pytest

from checkers import Violation, digests, ephemerals, linearizable, serials, sessions
from checkers.coverage import Coverage
from histories import client as wire
from histories.recorder import Recorder

MS = 1_000_000


class Tree:
    """What one correct server would answer, one operation after the other."""

    def __init__(self):
        self.znodes = {}
        self.zxid = 100

    def execute(self, steps):
        after = dict(self.znodes)
        for number, step in enumerate(steps):
            there = after.get(step["key"])
            if step["kind"] == "create" and there:
                return {"outcome": "error", "failed": number, "code": "node_exists"}
            if step["kind"] == "create":
                after[step["key"]] = (step["value"], 0)
                step["version"] = 0
                continue
            if not there:
                return {"outcome": "error", "failed": number, "code": "no_node"}
            if step.get("expected", there[1]) != there[1]:
                return {"outcome": "error", "failed": number, "code": "bad_version"}
            if step["kind"] == "set":
                after[step["key"]] = (step["value"], there[1] + 1)
                step["version"] = there[1] + 1
            elif step["kind"] == "get":
                step["value"], step["version"] = there
            elif step["kind"] == "delete":
                del after[step["key"]]
        if after != self.znodes:
            self.zxid += 1
        self.znodes = after
        return {"outcome": "ok"}


def right_history(rounds=40):
    """Three clients in turn: creates, sets, CAS, multis and reads, all answered as they should be."""
    recorder, tree = Recorder(), Tree()
    clock, xids = 0, dict.fromkeys(range(3), 0)
    for number in range(rounds):
        plan = [
            [{"kind": "create", "key": f"/r{number % 4}", "value": f"c{number}"}],
            [{"kind": "set", "key": f"/r{number % 4}", "value": f"s{number}"}],
            [{"kind": "get", "key": f"/r{number % 4}"}],
            [{"kind": "set", "key": "/a", "value": f"m{number}"}, {"kind": "set", "key": "/b", "value": f"m{number}"}],
            [{"kind": "get", "key": "/a"}],
            [{"kind": "get", "key": "/b"}],
            [{"kind": "set", "key": "/a", "value": f"e{number}", "expected": 10_000}],
        ]
        if number == 0:
            plan[:0] = [[{"kind": "create", "key": key, "value": "new"}] for key in ("/a", "/b")]
        for steps in plan:
            client = clock % 3
            clock += 1
            xids[client] += 1
            result = tree.execute(steps)
            times = {"invoke": clock * MS, "complete": clock * MS + MS // 2}
            who = {"client": client, "session": client + 1, "xid": xids[client]}
            recorder.add(**who, **times, steps=steps, zxid=[tree.zxid], **result)
    return recorder


def last(recorder, kind, key=None, outcome="ok"):
    """The last operation of that kind."""
    for operation in reversed(recorder.operations):
        step = operation["steps"][0]
        if operation["outcome"] == outcome and step["kind"] == kind and key in (None, step["key"]):
            return operation
    raise LookupError(kind)


def stale_read(recorder):
    first = next(it for it in recorder.operations if it["steps"][0]["kind"] == "get" and it["outcome"] == "ok")
    newest = last(recorder, "get", first["steps"][0]["key"])
    newest["steps"] = copy.deepcopy(first["steps"])


def read_of_nobodys_write(recorder):
    last(recorder, "get")["steps"][0]["value"] = "nobody wrote this"


def lost_update(recorder):
    step = last(recorder, "set", "/r1")["steps"][0]
    step["version"] -= 1


def half_a_transaction(recorder):
    last(recorder, "get", "/b")["steps"][0].update(value="m1", version=2)


def refused_that_happened(recorder):
    operation = last(recorder, "set", "/r1")
    version = operation["steps"][0].pop("version")
    operation.update(outcome="error", failed=0, code="bad_version")
    operation["steps"][0]["expected"] = version - 1


def done_that_was_refused(recorder):
    operation = last(recorder, "set", "/a", outcome="error")
    del operation["failed"], operation["code"]
    operation["outcome"] = "ok"


def unknown_that_undoes_an_acknowledged_write(recorder):
    """A timeout may explain a new value, never the return of an old one."""
    stale_read(recorder)
    time = recorder.operations[-1]["complete"]
    step = {"kind": "set", "key": "/r0", "value": "unknown"}
    recorder.add(client=3, session=9, xid=1, steps=[step], invoke=time, complete=None, outcome="unknown")


HISTORIES = [
    stale_read,
    read_of_nobodys_write,
    lost_update,
    half_a_transaction,
    refused_that_happened,
    done_that_was_refused,
    unknown_that_undoes_an_acknowledged_write,
]


def test_right_history_passes(tmp_path):
    recorder = right_history()
    report = linearizable.check(recorder, tmp_path)
    assert report["verdict"] == "linearizable"
    assert report["operations"] == len(recorder.operations)
    assert sessions.check(recorder) == (3, len(recorder.operations))
    assert recorder.ok_share() == 1.0


@pytest.mark.parametrize("plant", HISTORIES)
def test_planted_fault_is_not_linearizable(plant, tmp_path):
    recorder = right_history()
    plant(recorder)
    with pytest.raises(Violation, match="impossible"):
        linearizable.check(recorder, tmp_path)
    assert (tmp_path / "history.jsonl").exists(), "the evidence is kept"


def test_timeout_that_happened_and_one_that_did_not_are_both_possible(tmp_path):
    for seen in (True, False):
        recorder = right_history(4)
        operation = last(recorder, "get", "/a")
        step = {"kind": "set", "key": "/a", "value": "maybe"}
        recorder.add(client=3, session=9, xid=1, steps=[step], invoke=0, complete=None, outcome="unknown")
        if seen:
            version = operation["steps"][0]["version"]
            late = operation | {"steps": [{"kind": "get", "key": "/a", "value": "maybe", "version": version + 1}]}
            late = late | {"invoke": 10_000 * MS, "complete": 10_001 * MS}
            recorder.operations.append(late)
        assert linearizable.check(recorder, tmp_path)["verdict"] == "linearizable"


def test_verdict_that_is_not_known_in_time_fails(tmp_path):
    path = right_history().write(tmp_path / "history.jsonl")
    with pytest.raises(Violation, match="unknown"):
        linearizable.check_file(path, seconds=0)


def test_history_that_cannot_be_read_or_is_empty_fails(tmp_path):
    path = tmp_path / "torn.jsonl"
    path.write_text('{"client": 1, "invoke": 3')
    with pytest.raises(Violation):
        linearizable.check_file(path)
    with pytest.raises(Violation, match="proves nothing"):
        linearizable.check(Recorder(), tmp_path)


def test_zxid_that_goes_back_is_found():
    recorder = right_history()
    recorder.operations[-1]["zxid"] = [101]
    with pytest.raises(Violation, match="101 after"):
        sessions.check(recorder)


def test_answer_out_of_order_is_found():
    recorder = right_history()
    recorder.operations[-1]["xid"] = 1
    with pytest.raises(Violation, match="was answered after"):
        sessions.check(recorder)
    recorder = right_history()
    recorder.violation("reply 7 instead of 6")
    with pytest.raises(Violation, match="reply 7"):
        sessions.check(recorder)


def test_client_refuses_a_reply_that_is_not_the_next():
    class Stream:
        def __init__(self, *xids):
            self.data = b"".join(wire.frame(wire.struct.pack(">iqi", xid, 5, 0)) for xid in xids)

        def sendall(self, data):
            pass

        def recv(self, count):
            piece, self.data = self.data[:count], self.data[count:]
            return piece

    session = wire.Session([("127.0.0.1", 1)])
    session.stream = Stream(1, 2)
    assert [reply.xid for reply in session.call(wire.get("/"), wire.get("/"))] == [1, 2]
    session.stream = Stream(4)
    with pytest.raises(wire.OutOfOrder):
        session.call(wire.get("/"))


ATTEMPTED = {0: {1: "/acked/0-0", 2: "/acked/0-0", 3: "/acked/0-0"}}
ACKNOWLEDGED = {0: {1: "/acked/0-0", 2: "/acked/0-0"}}


def test_lost_and_invented_serials_are_found():
    compare = serials.compare
    for there in ({1, 2}, {1, 2, 3}):
        assert compare("n1", {"/acked/0-0": there}, ATTEMPTED, ACKNOWLEDGED) == 2
    with pytest.raises(Violation, match="lost 1 of 2"):
        compare("n1", {"/acked/0-0": {1, 3}}, ATTEMPTED, ACKNOWLEDGED)
    with pytest.raises(Violation, match="nobody asked for"):
        compare("n1", {"/acked/0-0": {1, 2, 4}}, ATTEMPTED, ACKNOWLEDGED)
    with pytest.raises(Violation, match="lost"):
        compare("n1", {"/acked/0-1": {1, 2}}, ATTEMPTED, ACKNOWLEDGED)


def test_orphans_and_early_ends_are_found():
    ephemerals.compare("n1", {1, 2}, alive={1, 2}, over={3})
    with pytest.raises(Violation, match="ended sessions"):
        ephemerals.compare("n1", {1, 2, 3}, alive={1, 2}, over={3})
    with pytest.raises(Violation, match="live sessions"):
        ephemerals.compare("n1", {1}, alive={1, 2}, over={3})
    early = types.SimpleNamespace(early=[(7, 0.4)])
    with pytest.raises(Violation, match="early"):
        ephemerals.check(early, {})


def test_session_refused_before_its_time_counts_as_early():
    from histories.presence import Member, Presence

    presence = Presence([], 0, timeout=4.0)
    member = Member(1, None)
    member.state, member.heard = "alive", ephemerals.time.monotonic() - 1.0
    presence._expired(member)
    assert presence.early and member.state == "ended_early"


def test_differing_digests_are_found():
    assert digests.compare({"n1": (5, "aa"), "n2": (5, "aa")})
    assert not digests.compare({"n1": (5, "aa"), "n2": (6, "bb")})
    with pytest.raises(Violation, match="differ"):
        digests.compare({"n1": (5, "aa"), "n2": (5, "ab"), "n3": (6, "cc")})


def test_fault_that_did_not_happen_fails_the_run():
    coverage = Coverage("kill", "pause")
    coverage.hit("kill")
    with pytest.raises(Violation, match="pause"):
        coverage.check()
    coverage.hit("pause")
    assert coverage.check(0.7) == {"kill": 1, "pause": 1}
    with pytest.raises(Violation, match="50%"):
        coverage.check(0.5)
