"""Operations with their times, as dictionaries; written as JSON lines for the checkers, and kept when they object."""

import collections
import json
import threading
import time

now = time.monotonic_ns


class Recorder:
    """What all clients of a run did. Appending is atomic, so that no lock slows them."""

    def __init__(self):
        self.operations = []
        self.violations = []
        self._numbers = iter(range(1, 1 << 62))
        self._lock = threading.Lock()

    def number(self):
        """A number that no other operation has."""
        with self._lock:
            return next(self._numbers)

    def add(self, **operation):
        self.operations.append(operation)

    def violation(self, what):
        """Something no client may ever see, whatever the rest of the history is."""
        self.violations.append(what)

    def outcomes(self):
        return collections.Counter(operation["outcome"] for operation in self.operations)

    def ok_share(self):
        """Of all operations, those that were answered: done or refused for a reason in the tree."""
        counts = self.outcomes()
        total = sum(counts.values())
        return (counts["ok"] + counts["error"]) / total if total else 0.0

    def longest_gap(self):
        """Seconds between two answers of anybody, at most: how long nobody was served."""
        times = sorted(it["complete"] for it in self.operations if it["outcome"] != "unknown")
        gaps = [after - before for before, after in zip(times, times[1:])]
        return max(gaps, default=0) / 1e9

    def write(self, path):
        with open(path, "w", encoding="utf8") as file:
            for operation in self.operations:
                file.write(json.dumps(operation) + "\n")
        return path
