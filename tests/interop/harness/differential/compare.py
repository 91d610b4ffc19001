"""Two observations of one step, value by value.

Compared for equality: types and order of all messages on each connection, errors, paths, data, versions,
counts, granted timeouts. Session ids are compared as the script's session numbers, zxids by order, and
times only as sane, because they are each server's own.
"""

import time
from bisect import bisect_left, bisect_right

from . import known

EXACT_ZXIDS = ("czxid", "mzxid", "pzxid")
TIMES = ("ctime", "mtime")
# Between the clocks of this process and of the servers: they are on one machine.
CLOCK_SLACK_MS = 2_000


class Zxids:
    """A one-to-one, increasing mapping from the reference's zxids to the candidate's."""

    def __init__(self):
        self._references = [0]
        self._candidates = [0]
        self._read = (0, 0)

    def of_write(self, reference, candidate):
        """Whether the two can be the same transaction; it is remembered if they can."""
        at = bisect_left(self._references, reference)
        if at < len(self._references) and self._references[at] == reference:
            return self._candidates[at] == candidate
        is_between = self._candidates[at - 1] < candidate
        is_between &= at == len(self._candidates) or candidate < self._candidates[at]
        is_after_reads = reference <= self._read[0] or candidate > self._read[1]
        if is_between and is_after_reads:
            self._references.insert(at, reference)
            self._candidates.insert(at, candidate)
        return is_between and is_after_reads

    def of_read(self, reference, candidate):
        """Whether the two can be the last transaction applied.

        Not one-to-one: each server counts transactions of its own, and rejected writes.
        """
        at = bisect_right(self._references, reference)
        is_between = self._candidates[at - 1] <= candidate
        is_between &= at == len(self._candidates) or candidate < self._candidates[at]
        if is_between and candidate > self._read[1]:
            self._read = (reference, candidate)
        return is_between


class Comparison:
    """Compares observation after observation, and counts what is skipped by name."""

    def __init__(self, reference, candidate):
        self.reference = reference
        self.candidate = candidate
        self.zxids = Zxids()
        self.skipped = {}
        self.values = 0
        self.events = 0
        # By zxid of the candidate, when its transaction was.
        self.times = {}
        self._started_ms = time.time() * 1000

    def step(self, step, reference, candidate):
        """The differences between what the two servers did in a step, as lines."""
        differences = []
        pairs = known.Pairs(step, self.candidate.release, reference, candidate, self.skipped)
        for slot in sorted(reference.keys() | candidate.keys()):
            ours = pairs.messages(candidate.get(slot, []))
            theirs = pairs.messages(reference.get(slot, []))
            for number, pair in enumerate(zip(theirs, ours)):
                self._message(f"slot {slot}, message {number}", *pair, pairs, differences)
            for number in range(min(len(ours), len(theirs)), max(len(ours), len(theirs))):
                sides = [it[number] if number < len(it) else "nothing" for it in (theirs, ours)]
                differences.append(f"slot {slot}, message {number}: {sides[0]} != {sides[1]}")
        return differences

    def _message(self, where, reference, candidate, pairs, differences):
        self.events += reference["is"] == "event"
        reference, candidate = pairs.agree(reference, candidate)
        is_exact = _has_own_zxid(reference)
        self._clock(where, candidate, differences)
        self._walk(where, reference, candidate, is_exact, differences)

    def _clock(self, where, message, differences):
        """A transaction has one time: what it created and what it changed show the same."""
        for stat in _stats(message):
            for zxid, at in ((stat["czxid"], stat["ctime"]), (stat["mzxid"], stat["mtime"])):
                first = self.times.setdefault(zxid, at)
                if first != at:
                    differences.append(f"{where}: time {at} of zxid {zxid}, {first} before")

    def _walk(self, where, reference, candidate, is_exact, differences):
        if isinstance(reference, dict) and isinstance(candidate, dict):
            for name in [*reference, *(name for name in candidate if name not in reference)]:
                at = f"{where}.{name}"
                pair = (reference.get(name, "absent"), candidate.get(name, "absent"))
                if not self._is_special(name, *pair, is_exact, at, differences):
                    self._walk(at, *pair, is_exact, differences)
            return
        if isinstance(reference, list) and isinstance(candidate, list):
            if len(reference) == len(candidate):
                for number, pair in enumerate(zip(reference, candidate)):
                    self._walk(f"{where}[{number}]", *pair, is_exact, differences)
                return
        self.values += 1
        if reference != candidate:
            differences.append(f"{where}: {reference!r} != {candidate!r}")

    def _is_special(self, name, reference, candidate, is_exact, where, differences):
        """Compares ids, zxids and times in their own ways. False for all other fields."""
        are_numbers = isinstance(reference, int) and isinstance(candidate, int)
        if name == "op":
            return True
        # Zero and less are no transactions.
        if not are_numbers or (name == "zxid" and reference <= 0):
            return False
        if name in EXACT_ZXIDS or (name == "zxid" and is_exact):
            is_equal = self.zxids.of_write(reference, candidate)
        elif name == "zxid":
            is_equal = self.zxids.of_read(reference, candidate)
        elif name in ("owner", "session"):
            numbers = (self.reference.numbers.get(reference), self.candidate.numbers.get(candidate))
            is_equal = numbers[0] == numbers[1] is not None
        elif name in TIMES:
            is_equal = (reference == 0) == (candidate == 0) and self._is_sane(candidate)
        else:
            return False
        self.values += 1
        if not is_equal:
            differences.append(f"{where}: {reference} does not correspond to {candidate}")
        return True

    def _is_sane(self, milliseconds):
        latest = time.time() * 1000 + CLOCK_SLACK_MS
        return milliseconds == 0 or self._started_ms - CLOCK_SLACK_MS <= milliseconds <= latest


def _stats(message):
    """The Stats in a message, and those of its parts."""
    body = message.get("body") or {}
    return [one["stat"] for one in (body, *body.get("results", ())) if "stat" in one]


def _has_own_zxid(message):
    """Whether the header's zxid is the request's own transaction, which succeeded."""
    if message["is"] != "reply" or message["err"] or not message["op"].is_write():
        return False
    results = message["body"].get("results", [])
    # A multi without parts changes nothing either.
    return message["op"].kind != "multi" or bool(results) and all(r["type"] != -1 for r in results)
