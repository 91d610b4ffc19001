"""Waiting for conditions, with a deadline and a reason; never for a time."""

import time

# Between two looks: short beside everything that is measured, long beside what a look costs.
INTERVAL = 0.01


def eventually(condition, timeout=10.0, what=None, interval=INTERVAL):
    """The first true value of `condition()`. An exception counts as not yet, told at the end."""
    deadline = time.monotonic() + timeout
    while True:
        problem = None
        value = None
        try:
            value = condition()
        except Exception as error:  # the condition says what went wrong only when time is up
            problem = error
        if value:
            return value
        if time.monotonic() >= deadline:
            name = what or getattr(condition, "__name__", "the condition")
            last = f"{problem!r}" if problem else f"{value!r}"
            raise AssertionError(f"not within {timeout} s: {name}; last: {last}") from problem
        time.sleep(interval)


def seconds_until(condition, timeout=10.0, what=None, interval=0.002):
    """How long it took until `condition()` was true."""
    start = time.monotonic()
    eventually(condition, timeout, what, interval)
    return time.monotonic() - start
