"""Fixtures: a scope that undoes what a test did to the system, clusters, and the figures of the run.

`--full` makes the rounds that a release is judged by; without it, as few as a gate has time for.
"""

import json
import os
import pathlib
import signal

import pytest
from harness.processes import Processes

from cluster import Cluster
from injectors.scope import Scope, sweep
from injectors.system import NotPermitted

FIGURES = {}
# Of what a program said, shown of a failed test.
LINES = 12


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="all rounds, not only a few of each")
    parser.addoption("--figures", help="where the figures go, as JSON")


def pytest_sessionstart(session):
    """Removes what runs have left that were killed; ends by the fixtures when this one is asked to end."""
    # As Ctrl-C: what waits for a condition does not catch it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for what in sweep():
        print(f"swept: {what}")


def pytest_sessionfinish(session):
    sweep_own_directory()


def sweep_own_directory():
    from injectors.scope import BASE, PREFIX

    directory = BASE / f"{PREFIX}{os.getpid()}"
    for path in sorted(directory.glob("**/*"), reverse=True):
        # Only what is empty: a history that was kept stays.
        if path.is_dir():
            try:
                path.rmdir()
            except OSError:
                pass
    try:
        directory.rmdir()
    except OSError:
        pass


@pytest.fixture
def full(request):
    return request.config.getoption("--full")


@pytest.fixture
def scope(request):
    """Everything a test does to the system is undone with it."""
    made = Scope()
    yield made
    made.close()
    failed = getattr(request.node, "failed", False)
    if not failed:
        made.remove_directory()


@pytest.fixture
def processes(tmp_path, scope):
    """Programs of the test. They end before the scope takes their disks away."""
    started = Processes(tmp_path)
    yield started
    started.close()


@pytest.fixture
def cluster(scope, processes):
    """Makes a started `Cluster`; its arguments are those of the class."""

    def make(**options):
        return Cluster(scope, processes, **options).start()

    return make


@pytest.fixture
def figure(request, record_property):
    """A figure of the run: printed at the end, and in the JSON."""

    def tell(name, value):
        FIGURES.setdefault(request.node.name, {})[name] = value
        record_property(name, value)

    return tell


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """What is not permitted here is skipped, with the reason."""
    outcome = yield
    if outcome.excinfo and issubclass(outcome.excinfo[0], NotPermitted):
        outcome.force_exception(pytest.skip.Exception(str(outcome.excinfo[1])))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call" and report.failed:
        item.failed = True
        if started := item.funcargs.get("processes"):
            for name, tail in started.tails().items():
                report.sections.append((f"end of {name}", "\n".join(tail.splitlines()[-LINES:])))


def pytest_terminal_summary(terminalreporter, config):
    """The table of figures, and how much could not be done on this machine."""
    skipped = terminalreporter.getreports("skipped")
    size = "full" if config.getoption("--full") else "short"
    terminalreporter.section(f"figures ({size} form)")
    for test, figures in FIGURES.items():
        terminalreporter.write_line(test)
        for name, value in figures.items():
            terminalreporter.write_line(f"    {name:<58} {value}")
    terminalreporter.write_line(f"skipped because it is not permitted here: {len(skipped)}")
    if path := config.getoption("--figures"):
        counts = {
            word: len(terminalreporter.stats.get(word, []))
            for word in ("passed", "failed", "error", "skipped", "xfailed")
        }
        text = json.dumps({"form": size, "tests": counts, "figures": FIGURES}, indent=1)
        pathlib.Path(path).write_text(text + "\n", encoding="utf8")
