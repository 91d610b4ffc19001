"""The run: generate, perform on both servers, compare, report."""

from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor

from .compare import Comparison
from .steps import Requests, replies

# Steps shown with a difference, the one that differs included.
SHOWN_STEPS = 20


class Difference(AssertionError):
    """The two servers did not do the same."""


class Lockstep:
    """A script on two servers. What it counts is read after the run."""

    def __init__(self, script, reference, candidate):
        self.script = script
        self.reference = reference
        self.candidate = candidate
        self.comparison = Comparison(reference, candidate)
        self.kinds = Counter()
        self.errors = Counter()
        self.failed = Counter()
        self.recording = []
        self._recent = deque(maxlen=SHOWN_STEPS)
        self._both = ThreadPoolExecutor(2)

    @property
    def operations(self):
        return sum(self.kinds.values())

    def run(self, operations, record=False):
        """Runs steps until so many operations are done; raises at the first difference."""
        for slot in range(self.script.slots):
            for server in (self.reference, self.candidate):
                server.open(slot)
        while self.operations < operations:
            self.step(self.script.next(), record)

    def step(self, step, record=False):
        numbers = {slot: it.number for slot, it in self.reference.slots.items()}
        try:
            reference, candidate = self._both.map(step.perform, (self.reference, self.candidate))
        except Exception as problem:
            raise Difference(self._report(step, {}, {}, [repr(problem)])) from problem
        self._recent.append((step, reference))
        differences = self.comparison.step(step, reference, candidate)
        if differences:
            raise Difference(self._report(step, reference, candidate, differences))
        self._note(step, reference, candidate)
        self.script.learn(step, reference, numbers)
        if record:
            self.recording.append((step, reference, candidate))

    def _note(self, step, reference, candidate):
        own = [replies(observation, step.slot) for observation in (reference, candidate)]
        for reply, other in zip(*own):
            kind = reply["op"].kind
            codes = [reply["err"], *_codes(reply)]
            code = next((code for code in codes if code), 0)
            self.kinds[kind] += 1
            self.errors[code] += 1
            self.failed[kind] += code != 0
            if isinstance(step, Requests):
                self.script.marks.append(len(self.script.marks))
                self.reference.marks.append(reply["zxid"])
                self.candidate.marks.append(other["zxid"])

    def _report(self, step, reference, candidate, differences):
        lines = [f"{self.reference.name} != {self.candidate.name} after {self.operations} operations"]
        lines += [f"step: {step}", *(f"  {line}" for line in differences[:20])]
        for slot in sorted(reference.keys() | candidate.keys()):
            for name, observation in (("reference", reference), ("candidate", candidate)):
                messages = observation.get(slot, [])
                if slot == step.slot or any(message["is"] != "reply" for message in messages):
                    lines += [f"slot {slot} {name}:", *(f"    {_shown(m)}" for m in messages)]
        lines.append("the steps before, with the reference's errors:")
        for before, observation in list(self._recent)[:-1]:
            codes = [reply["err"] for reply in replies(observation, before.slot)]
            lines.append(f"  {before} -> {codes}")
        return "\n".join(lines)


def _codes(reply):
    return [result["err"] for result in reply.get("body", {}).get("results", [])]


def _shown(message):
    return ", ".join(f"{name}={value}" for name, value in message.items() if name not in ("op", "is"))
