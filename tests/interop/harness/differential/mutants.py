"""Wrong answers: what a comparison must notice, made from right ones.

Each mutant changes one thing in an observation and returns whether there was something to change.
"""

import copy

from .compare import Comparison
from .jute import STAT_FIELDS

YEAR_MS = 365 * 86_400_000


def survivors(recording, reference, candidate, wanted=3):
    """Names of mutants that no comparison noticed, and how often each was tried.

    Every mutant is tried on up to `wanted` steps of the recording, each time behind the unchanged steps
    before, because zxids and session ids only make sense in a row.
    """
    comparison = Comparison(reference, candidate)
    tried = dict.fromkeys(MUTANTS, 0)
    survived = []
    for number, (step, theirs, ours) in enumerate(recording):
        for name, mutate in MUTANTS.items():
            # Not the first steps that would do, or all would be the same.
            if tried[name] == wanted or number % (tried[name] + 2):
                continue
            altered = copy.deepcopy(ours)
            if mutate(altered, step):
                tried[name] += 1
                trial = copy.copy(comparison)
                trial.zxids = copy.deepcopy(comparison.zxids)
                trial.skipped = {}
                trial.times = dict(comparison.times)
                if not trial.step(step, theirs, altered):
                    survived.append(f"{name} at step {number}: {step}")
        comparison.step(step, theirs, ours)
    return survived, tried


def _messages(observation, kind):
    return [message for it in observation.values() for message in it if message["is"] == kind]


def _bodies(observation, name):
    """The answers with something in this field, and the parts of answers."""
    bodies = [reply.get("body") or {} for reply in _messages(observation, "reply")]
    bodies += [part for body in bodies for part in body.get("results", ())]
    return [body for body in bodies if body.get(name)]


def _stat(name, change):
    """A mutant of one field of a Stat."""

    def mutate(observation, _step):
        for body in _bodies(observation, "stat"):
            if body["stat"][name] or name not in ("ctime", "mtime", "czxid", "mzxid", "pzxid"):
                body["stat"][name] = change(body["stat"][name])
                return True
        return False

    return mutate


def _first(kind, change, matches=lambda message: True):
    """A mutant of the first message of a kind that matches."""

    def mutate(observation, _step):
        for message in _messages(observation, kind):
            if matches(message):
                change(message)
                return True
        return False

    return mutate


def _field(name, change):
    """A mutant of a field of an answer."""

    def mutate(observation, _step):
        for body in _bodies(observation, name)[:1]:
            body[name] = change(body[name])
            return True
        return False

    return mutate


def _lose_event(observation, _step):
    return _in_row(observation, "event", lambda row, at: row.pop(at))


def _repeat_event(observation, _step):
    return _in_row(observation, "event", lambda row, at: row.insert(at, dict(row[at])))


def _late_event(observation, _step):
    """The event behind the message that it should precede."""
    return _in_row(observation, "event", lambda row, at: row.insert(at + 1, row.pop(at)), is_last=True)


def _lose_reply(observation, step):
    row = observation.get(step.slot, [])
    own = [message for message in row if message["is"] == "reply"]
    if len(own) < 2:
        return False
    row.remove(own[0])
    return True


def _in_row(observation, kind, change, is_last=False):
    for row in observation.values():
        for at, message in enumerate(row):
            follower = row[at + 1] if at + 1 < len(row) else None
            if message["is"] == kind and (not is_last or (follower and follower["is"] == "reply")):
                change(row, at)
                return True
    return False



MUTANTS = {
    **{f"{name} + 1": _stat(name, lambda value: value + 1) for name in STAT_FIELDS},
    "ctime of another year": _stat("ctime", lambda value: value - YEAR_MS),
    "mtime of another year": _stat("mtime", lambda value: value + YEAR_MS),
    "version - 1": _stat("version", lambda value: value - 1),
    "owner of the session": _stat("owner", lambda value: 0 if value else 0x1234),
    "pzxid - 1": _stat("pzxid", lambda value: value - 1),
    "success becomes an error": _first(
        "reply", lambda it: it.update(err=-1), lambda it: it["err"] == 0
    ),
    "error becomes another": _first(
        "reply", lambda it: it.update(err=it["err"] - 1), lambda it: it["err"]
    ),
    "error becomes a success": _first("reply", lambda it: it.update(err=0), lambda it: it["err"]),
    "xid": _first("reply", lambda it: it.update(xid=it["xid"] + 1)),
    "header zxid of the past": _first("reply", lambda it: it.update(zxid=1), lambda it: it["zxid"] > 1),
    "header zxid of the future": _first(
        "reply",
        lambda it: it.update(zxid=it["zxid"] + 1),
        lambda it: it["op"].kind == "setData" and it["err"] == 0,
    ),
    "bytes behind the answer": _first("reply", lambda it: it.update(trailing=b"\0")),
    "reply lost": _lose_reply,
    "event lost": _lose_event,
    "event twice": _repeat_event,
    "event behind its reply": _late_event,
    "event type": _first("event", lambda it: it.update(type=it["type"] % 4 + 1)),
    "event state": _first("event", lambda it: it.update(state=5)),
    "event path": _first("event", lambda it: it.update(path=f"{it['path']}x")),
    "event zxid": _first("event", lambda it: it.update(zxid=it["zxid"] + 7)),
    "data": _field("data", lambda data: data[:-1] + bytes([data[-1] ^ 1])),
    "data is null": _field("data", lambda data: None),
    "path": _field("path", lambda path: f"{path}0"),
    "name missing": _field("names", lambda names: names[1:]),
    "name too many": _field("names", lambda names: [*names, "one more"]),
    "ephemeral missing": _field("paths", lambda paths: paths[1:]),
    "permissions": _field("acls", lambda acls: [[acls[0][0] ^ 1, *acls[0][1:]], *acls[1:]]),
    "another's ACL": _field("acls", lambda acls: [[acls[0][0], "digest", "x:y"], *acls[1:]]),
    "identity": _field("identities", lambda identities: identities[1:]),
    "number of descendants": _field("number", lambda number: number + 1),
    "result missing": _field("results", lambda results: results[1:]),
    "result type": _field("results", lambda results: [{**results[0], "type": 99}, *results[1:]]),
    "granted timeout": _first("attached", lambda it: it.update(timeout=it["timeout"] + 1)),
    "another session": _first("attached", lambda it: it.update(session=it["session"] + 1)),
    "no password": _first(
        "attached", lambda it: it.update(password=bytes(16)), lambda it: any(it["password"])
    ),
}
