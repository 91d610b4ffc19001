"""A run proves something only if its faults happened and most operations were answered all the same."""

from . import Violation

# Of all operations, those that must have been answered.
SHARE = 0.60


class Coverage:
    """Which faults a run is to have, and how often each has happened."""

    def __init__(self, *wanted):
        self.happened = dict.fromkeys(wanted, 0)

    def hit(self, fault, times=1):
        """It has really happened: to be called by what has seen its effect."""
        self.happened[fault] = self.happened.get(fault, 0) + times

    def check(self, ok_share=None, share=SHARE):
        missing = [fault for fault, times in self.happened.items() if times == 0]
        if missing:
            raise Violation(f"these faults never happened: {missing}")
        if ok_share is not None and ok_share < share:
            raise Violation(f"only {ok_share:.0%} of the operations were answered")
        return self.happened
