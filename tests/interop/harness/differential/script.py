"""The generator: from a seed and the reference's answers so far to the next step.

The same seed against the same reference makes the same script: nothing in it depends on ids, zxids or
times, which two runs do not share.
"""

from random import Random

from . import choices, steps
from .operations import Op
from .requests import Requests
from .znodes import Znodes

# What a step is, in relation to the others.
WEIGHTS = {
    "pipeline": 100,
    "quota": 14,
    "auth": 2.5,
    "reattach": 1.2,
    "close": 0.7,
    "refused": 0.25,
    "timeouts": 0.15,
    "unknown": 0.3,
}
SESSION_STEPS = {"close": steps.Close, "refused": steps.Refused, "timeouts": steps.Timeouts}
LONGEST_PIPELINE = 7
ODD_XIDS = (0, 5, -20, -77, 2**30, -(2**31))
# Opcodes of nobody. ZooKeeper's own internal ones are not for clients and left out, see `known`.
UNKNOWN_OPCODES = (99, 1000, -5)


class Script:
    """Makes the next step, and learns from what it did."""

    def __init__(self, seed, slots, expiries=(), moves=False):
        # Whether a session attaches at another node: the old one does not notice at once.
        self.moves = moves
        self.random = Random(seed)
        self.slots = slots
        self.znodes = Znodes()
        self.marks = []
        self._requests = Requests(self.random, self.znodes, self.marks)
        self._xid = 1
        self._operations = 0
        # After so many operations a session is left to expire.
        self._expiries = sorted(expiries)
        self._opening = self._openings()

    def next(self):
        """The next step."""
        step = next(self._opening, None) or self._expiry() or self._chosen()
        self._operations += len(step.ops)
        if not isinstance(step, steps.Requests):
            self._requests.forget_watches(step.slot)
        return step

    def learn(self, step, observation, numbers):
        """Takes note of what a step did to the reference; `numbers` are its sessions by slot."""
        number = numbers[step.slot]
        for reply in steps.replies(observation, step.slot):
            if reply["err"] == 0 and reply["op"].kind in (op.kind for op in step.ops):
                self.znodes.learn(reply["op"], reply["body"], number)
        if isinstance(step, (steps.Close, steps.Expire)):
            self.znodes.session_ended(number)

    def _openings(self):
        """Steps that every script begins with: two levels of quota, to be met later."""
        for path in (*choices.QUOTA_PATHS, *choices.QUOTA_NODES):
            yield self._create(path, b"")
        for node, limits in zip(choices.QUOTA_NODES, choices.LIMITS[2:]):
            yield self._create(f"{node}/zookeeper_limits", limits)
            yield self._create(f"{node}/zookeeper_stats", choices.NO_STATS)

    def _create(self, path, data):
        fields = {"path": path, "data": data, "acls": choices.OPEN, "flags": 0}
        return steps.Requests(0, [Op("create", fields)], self._next_xid(1))

    def _expiry(self):
        if not self._expiries or self._operations < self._expiries[0]:
            return None
        self._expiries.pop(0)
        slot = self._slot()
        path = f"/expires{self._operations}"
        self._opening = iter([steps.Expire(slot, path)])
        return steps.Requests(slot, [self._requests.ephemeral(path)], self._next_xid(1))

    def _chosen(self):
        (kind,) = self.random.choices(list(WEIGHTS), list(WEIGHTS.values()))
        slot = self._slot()
        if kind == "reattach":
            return steps.Reattach(slot, self.moves or self.random.random() < 0.5)
        if kind in SESSION_STEPS:
            return SESSION_STEPS[kind](slot)
        ops = getattr(self, f"_{kind}_ops")(slot)
        return steps.Requests(slot, ops, self._next_xid(len(ops)))

    def _pipeline_ops(self, slot):
        count = 1 if self.random.random() < 0.4 else self.random.randrange(2, LONGEST_PIPELINE + 1)
        ops = [self._requests.any(slot) for _ in range(count)]
        # ZooKeeper checks a quota against what is applied, not against the writes before this one.
        counted = [op for op in ops if any(map(choices.is_quota, op.paths()))]
        ops = counted[:1] or ops
        ops = ops[: next((at for at, op in enumerate(ops, 1) if _must_be_last(op)), None)]
        _unwatch_refusals(ops)
        return ops

    def _quota_ops(self, _slot):
        return [self._requests.quota()]

    def _auth_ops(self, slot):
        draw = self.random.random()
        # Never pipelined behind others: ZooKeeper may answer it before them.
        if draw < 0.06:
            return [Op("sasl", {"token": self.random.choice((b"", b"a token"))})]
        if draw < 0.12:
            chosen = self.random.choice(choices.REFUSED_AUTHS)
        elif draw < 0.2:
            chosen = self.random.choice(choices.ODD_AUTHS)
        elif draw < 0.4 and slot == self.slots - 1:
            chosen = ("digest", ":".join(choices.SUPER).encode())
        else:
            chosen = self.random.choice(choices.AUTHS)
        return [Op("auth", {"type": 0, "scheme": chosen[0], "auth": chosen[1]})]

    def _unknown_ops(self, _slot):
        return [Op("unknown", opcode=self.random.choice(UNKNOWN_OPCODES))]

    def _slot(self):
        return self.random.randrange(self.slots)

    def _next_xid(self, count):
        if self.random.random() < 0.02:
            return self.random.choice(ODD_XIDS)
        self._xid += count
        return self._xid - count


def _must_be_last(op):
    """Whether ZooKeeper judges requests behind this one by a state that never is.

    It does not see a new ACL before that is applied, and keeps what a multi has done before a part that it
    cannot make anything of: a create with the flags of a TTL and no TTL.
    """
    parts = op.fields.get("ops", ())
    lacks_ttl = any(it.fields.get("flags") in (5, 6) and it.kind != "createTTL" for it in parts)
    return op.kind == "setACL" or lacks_ttl


def _unwatch_refusals(ops):
    """No watch by an `exists` behind a request that may take READ away, see `Requests`."""
    protected = {
        path for op in ops if op.kind in ("setACL", "multi") or "acls" in op.fields for path in op.paths()
    }
    for op in ops:
        if op.kind == "exists" and op.fields["path"] in protected:
            op.fields["watch"] = False
