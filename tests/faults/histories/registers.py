"""Registers and transactions: material for the linearizability checker.

```text
/lin/r0 .. r<n>    set, CAS by version, sync+get
/lin/c0 .. c<n>    created and deleted
/lin/g<n>a, b      written together by multi, read apart; some multis are refused at their last step
```
Every value is unique, so a read tells whose write it saw. A request whose answer does not come is `unknown`, never failed.
"""

from . import client as wire
from .load import Load
from .recorder import now

ROOT = "/lin"
CODES = {
    wire.NO_NODE: "no_node",
    wire.BAD_VERSION: "bad_version",
    wire.NODE_EXISTS: "node_exists",
}
# A transaction's step that was not looked at, because another was refused.
NOT_TRIED = -2
# Operations of one client before it goes to another node with its session.
MOVE_AFTER = 150


class Registers(Load):
    """See the head of this file. `pace` is a pause between two operations of one client."""

    def __init__(self, recorder, hosts, clients=8, keys=12, pace=0.0, prefix="", **options):
        super().__init__(recorder, hosts, clients, **options)
        self.keys = keys
        self.pace = pace
        self.prefix = prefix
        self._versions = {}

    def prepare(self, session):
        """Makes the registers, as part of the history. Call it before `start`."""
        for number in range(self.keys):
            for key in (f"r{number}", f"g{number}a", f"g{number}b"):
                self._one(-1, session, {"kind": "create", "key": self._path(key), "value": "new"})

    def step(self, client, session, chance):
        kind = chance.random()
        number = chance.randrange(self.keys)
        value = str(self.recorder.number())
        if kind < 0.25:
            step = {"kind": "set", "key": self._path(f"r{number}"), "value": value}
            self._one(client, session, step)
        elif kind < 0.40:
            path = self._path(f"r{number}")
            # Now and then a version that is not: it must be refused.
            expected = max(0, self._versions.get((client, path), 0) + chance.choice((0, 0, 0, 1)))
            step = {"kind": "set", "key": path, "value": value, "expected": expected}
            self._one(client, session, step)
        elif kind < 0.70:
            key = chance.choice((f"r{number}", f"r{number}", f"g{number}a", f"g{number}b"))
            self._get(client, session, self._path(key))
        elif kind < 0.84:
            self._multi(client, session, chance, number, value)
        elif kind < 0.93:
            step = {"kind": "create", "key": self._path(f"c{number}"), "value": value}
            self._one(client, session, step)
        else:
            self._one(client, session, {"kind": "delete", "key": self._path(f"c{number}")})
        if chance.randrange(MOVE_AFTER) == 0:
            session.drop()
        if self.pace:
            self._stop.wait(self.pace)

    def _path(self, key):
        return f"{ROOT}/{self.prefix}{key}"

    def _one(self, client, session, step):
        """One step as an operation of its own."""
        record = self._record(client, session, [step])
        (reply,) = self._call(record, session, request(step))
        if reply.code in CODES:
            self._end(record, "error", failed=0, code=CODES[reply.code])
        elif reply.code != wire.OK:
            self._refused(record, session, reply.code)
        else:
            if step["kind"] == "set":
                step["version"] = reply.stat_version()
                self._versions[client, step["key"]] = step["version"]
            if step["kind"] == "create":
                step["version"] = 0
            self._end(record, "ok")

    def _get(self, client, session, path):
        """sync, then get: together they are linearizable."""
        step = {"kind": "get", "key": path}
        record = self._record(client, session, [step])
        synced, reply = self._call(record, session, wire.sync(path), wire.get(path))
        if synced.code != wire.OK:
            self._refused(record, session, synced.code)
        elif reply.code == wire.NO_NODE:
            self._end(record, "error", failed=0, code="no_node")
        elif reply.code != wire.OK:
            self._refused(record, session, reply.code)
        else:
            step["value"] = reply.data().decode()
            step["version"] = reply.stat_version()
            self._versions[client, path] = step["version"]
            self._end(record, "ok")

    def _multi(self, client, session, chance, number, value):
        first, second = (self._path(f"g{number}{half}") for half in "ab")
        steps = [
            {"kind": "set", "key": first, "value": value},
            {"kind": "set", "key": second, "value": value},
        ]
        refused_one = chance.randrange(4) == 0
        if refused_one:
            # Refused at the end, after both sets were looked at: nothing of it may be seen.
            steps.append({"kind": "check", "key": first, "expected": 1 << 30})
        record = self._record(client, session, steps)
        (reply,) = self._call(record, session, wire.multi([request(step) for step in steps]))
        results = reply.results()
        codes = [code for code, _ in results]
        failed = [n for n, code in enumerate(codes) if code not in (wire.OK, NOT_TRIED)]
        if failed and codes[failed[0]] in CODES:
            self._end(record, "error", failed=failed[0], code=CODES[codes[failed[0]]])
        elif reply.code != wire.OK or failed or len(results) != len(steps):
            self._refused(record, session, reply.code)
        else:
            for step, (_, version) in zip(steps, results, strict=True):
                if version is not None:
                    step["version"] = version
            self._end(record, "ok")

    def _record(self, client, session, steps):
        record = {"client": client, "session": session.id, "xid": session.xid + 1, "steps": steps}
        record["invoke"] = now()
        return record

    def _call(self, record, session, *requests):
        try:
            replies = session.call(*requests)
        except wire.Lost:
            self.recorder.add(**record, outcome="unknown", complete=None)
            raise
        record["complete"] = now()
        record["zxid"] = [reply.zxid for reply in replies]
        return replies

    def _end(self, record, outcome, **more):
        self.recorder.add(**record, outcome=outcome, **more)

    def _refused(self, record, session, code):
        """An error that says nothing about the tree, such as a session that has moved: unknown, to be safe."""
        self.recorder.add(**record, outcome="unknown", refused=code)
        if code == wire.SESSION_EXPIRED:
            raise wire.Expired(f"{session.id:#x}")
        if code == wire.SESSION_MOVED:
            session.drop()


def request(step):
    """The request that a step is."""
    path, value = step["key"], step.get("value", "").encode()
    expected = step.get("expected", -1)
    match step["kind"]:
        case "create":
            return wire.create(path, value)
        case "set":
            return wire.set_data(path, value, expected)
        case "delete":
            return wire.delete(path, expected)
        case "check":
            return wire.check(path, expected)
    raise ValueError(step)
