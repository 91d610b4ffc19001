"""The differences that are allowed, each by name, here and nowhere else.

The reference is Apache ZooKeeper 3.8.0 as Debian has it; Zoogate follows the rules of 3.9. Each rule below
says what is not compared, or compared in another way, and is counted when it applies: a run prints the
counts and bounds them. What the script avoids instead, because the servers' states would part:

* one-shot, persistent and recursive watches on one path: the later replaced the earlier one until 3.9
  (ZOOKEEPER-4466). `choices.watch_area` gives each path one kind.
* watcher types 4 and 5 of checkWatches and removeWatches: new in 3.9.
* `exists` with a watch where READ is missing: arms the watch before 3.9.2, is refused since.
* opcode 20 (deleteContainer): lets everybody delete in ZooKeeper, is refused by Zoogate; opcodes -10, 0
  and -1 are ZooKeeper's own and no requests of clients.
* null for the path of a change or a watch: it depends on where ZooKeeper first trips over it.
* watches of paths that cannot be: looking for one goes up from the path, and "" has no way up.
* a check outside of a multi: 3.8.0 leaves its reply out.
* opcode 21 with a flag without TTL and a ttl below zero: ends the process of a ZooKeeper 3.8.0.
* auth behind other requests: ZooKeeper may answer it before them.
* several writes under way below one quota: ZooKeeper checks each against what is applied only.
* requests behind a setACL, or behind a multi with an unreadable part, before they are applied: ZooKeeper
  checks them against the old ACL, or against what the multi would have done.
* a path with half a surrogate pair: Java and Rust put different numbers of U+FFFD in its place.
* a wrong password while the session's connection is there: ZooKeeper closes that first, then looks.
"""

from itertools import groupby

from . import steps

OK, NO_AUTH, NO_WATCHER = 0, -102, -121
NO_ZXID = -1
SET_WATCHES = ("setWatches", "setWatches2")
LISTS = ("names", "paths", "identities")
CONFIG = "/zookeeper/config"
# Types of results in a multi.
CREATED, CREATED_WITH_STAT = 1, 15


class Pairs:
    """Brings the two servers' messages of one step into forms that can be compared."""

    def __init__(self, step, release, reference, candidate, skipped):
        self._step = step
        self._is_39 = release >= (3, 9)
        self._skipped = skipped
        own = steps.replies(candidate, step.slot)
        self._zxids = {reply["zxid"] for reply in own if reply["op"].is_write()}
        self._is_ending = isinstance(step, (steps.Close, steps.Expire))
        if isinstance(step, steps.Expire):
            # Nobody is told the transaction's zxid, but it is one.
            self._zxids = set(sorted(_event_zxids(candidate))[:1])
        self._sets_watches = any(op.kind in SET_WATCHES for op in step.ops)

    def messages(self, messages):
        """One connection's messages, in the order in which they are compared.

        events_of_an_ended_session: its ephemeral znodes go in one transaction, in no promised order.
        """
        if not self._is_ending:
            return messages
        events = [message for message in messages if message["is"] == "event"]
        others = [message for message in messages if message["is"] != "event"]
        return sorted(events, key=lambda event: (event["path"], event["type"])) + others

    def agree(self, reference, candidate):
        """The two messages without what may differ."""
        kinds = (reference["is"], candidate["is"])
        if kinds == ("event", "event"):
            return self._events(reference, candidate)
        if kinds == ("attached", "attached"):
            return _without_password(reference), _without_password(candidate)
        if kinds == ("reply", "reply"):
            reference, candidate = self._exists_needs_read(reference, candidate)
            reference = self._watches_of_others(reference, candidate)
            reference = self._body_behind_error(reference)
            candidate = candidate if self._is_39 else self._body_behind_error(candidate)
            candidate = self._multi(reference, candidate)
            pair = self._config(reference, candidate) if self._is_39 else (reference, candidate)
            return tuple(map(self._unordered, pair))
        return reference, candidate

    def _events(self, reference, candidate):
        """event_zxid: -1 in 3.8, since 3.9 the transaction's that caused the event.

        What setWatches finds out of date has no transaction: -1 in both.
        """
        zxid = candidate["zxid"]
        if not self._is_39:
            return reference, candidate
        is_right = zxid in self._zxids or (zxid == NO_ZXID and self._sets_watches)
        if not is_right:
            return reference, {**candidate, "zxid": f"{zxid}, not of {sorted(self._zxids)}"}
        self._count("event_zxid")
        return reference, {**candidate, "zxid": reference["zxid"]}

    def _exists_needs_read(self, reference, candidate):
        """exists_needs_read: since 3.9.2; asks nothing of the caller in 3.8."""
        is_refused = reference["err"] == OK and candidate["err"] == NO_AUTH
        if not (self._is_39 and is_refused and candidate["op"].kind == "exists"):
            return reference, candidate
        self._count("exists_needs_read")
        return {**candidate, "zxid": reference["zxid"]}, candidate

    def _watches_of_others(self, reference, candidate):
        """check_watches_of_others: 3.8.0 answers yes if any client at all watches the path."""
        is_yes_and_no = reference["err"] == OK and candidate["err"] == NO_WATCHER
        if not (self._is_39 and is_yes_and_no and candidate["op"].kind == "checkWatches"):
            return reference
        self._count("check_watches_of_others")
        return {**candidate, "zxid": reference["zxid"]}

    def _body_behind_error(self, reference):
        """body_behind_error: a multiRead that fails as a whole has sent the parts before, too."""
        if reference["op"].kind != "multiRead" or "trailing" not in reference:
            return reference
        self._count("body_behind_error")
        return {name: value for name, value in reference.items() if name != "trailing"}

    def _multi(self, reference, candidate):
        """create2_in_multi: 3.8.0 answers as to a plain create, later ones with a Stat."""
        pairs = [(it.get("body") or {}).get("results") for it in (reference, candidate)]
        if not self._is_39 or not all(pairs) or len(pairs[0]) != len(pairs[1]):
            return candidate
        results = []
        for theirs, ours, op in zip(*pairs, candidate["op"].fields["ops"]):
            types = (theirs["type"], ours["type"])
            if op.kind == "create2" and types == (CREATED, CREATED_WITH_STAT):
                self._count("create2_in_multi")
                ours = {"type": CREATED, "err": ours["err"], "path": ours["path"]}
            results.append(ours)
        return {**candidate, "body": {**candidate["body"], "results": results}}

    def _config(self, *pair):
        """config_is_membership: empty in a standalone ZooKeeper, the members' addresses in Zoogate."""
        op = pair[0]["op"]
        if op.fields.get("path") == CONFIG and "body" in pair[0]:
            self._count("config_is_membership")
            return tuple({**message, "body": _unlike(message["body"])} for message in pair)
        if op.kind == "multiRead" and CONFIG in op.paths() and "body" in pair[0]:
            return tuple(map(self._config_parts, pair))
        return pair

    def _config_parts(self, message):
        self._count("config_is_membership")
        parts = zip(message["op"].fields["ops"], message["body"]["results"])
        results = [_unlike(one) if op.fields["path"] == CONFIG else one for op, one in parts]
        return {**message, "body": {"results": results}}

    def _unordered(self, message):
        """unordered: ZooKeeper lists children, ephemerals and identities as its hash tables have them.

        An ACL by scheme auth becomes one entry for each identity, in that same order.
        """
        body = message.get("body") or {}
        if "results" in body:
            return {**message, "body": {"results": [_sorted(one) for one in body["results"]]}}
        return {**message, "body": _sorted(body)}

    def _count(self, name):
        self._skipped[name] = self._skipped.get(name, 0) + 1


def _event_zxids(observation):
    rows = observation.values()
    return {message["zxid"] for row in rows for message in row if message["is"] == "event"}


def _unlike(body):
    """An answer without the data and Stat of a znode that is not the same on both sides."""
    return {name: value for name, value in body.items() if name not in ("data", "stat")}


def _sorted(body):
    ordered = {name: sorted(it) if name in LISTS and it else it for name, it in body.items()}
    if ordered.get("acls"):
        runs = groupby(ordered["acls"], lambda entry: (entry[0], entry[1]))
        ordered["acls"] = [entry for _, run in runs for entry in sorted(run)]
    return ordered


def _without_password(message):
    """password: 16 bytes of each server's own, zero where the session is refused."""
    password = message["password"]
    return {**message, "password": (len(password), any(password))}
