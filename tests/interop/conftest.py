"""Fixtures: processes that end with their test, ensembles of three nodes, printed figures."""

import pytest

from harness.ensemble import Ensemble
from harness.processes import Processes
from harness.reference import Reference


@pytest.fixture
def processes(tmp_path):
    """Where a test starts programs; all of them end with it."""
    started = Processes(tmp_path)
    yield started
    started.close()


@pytest.fixture
def ensemble(processes):
    """Three nodes of the test's own, to do anything to."""
    return Ensemble(processes).start()


@pytest.fixture(scope="module")
def shared_processes(tmp_path_factory):
    """Programs that the tests of a file share."""
    started = Processes(tmp_path_factory.mktemp("shared"))
    yield started
    started.close()


@pytest.fixture(scope="module")
def shared(shared_processes):
    """Three nodes that the tests of a file share and leave as they were."""
    return Ensemble(shared_processes).start()


@pytest.fixture(scope="session")
def apache(tmp_path_factory):
    """Apache ZooKeeper, for all tests that compare."""
    started = Processes(tmp_path_factory.mktemp("apache"))
    try:
        yield Reference(started)
    finally:
        started.close()


@pytest.fixture
def figure(record_property):
    """Prints a measured figure and puts it into the report."""

    def tell(name, value):
        print(f"figure: {name} = {value}")
        record_property(name, value)

    return tell


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the end of what its programs said, and every test its figures."""
    report = (yield).get_result()
    if report.when == "call" and report.failed:
        for fixture in ("processes", "shared_processes"):
            if started := item.funcargs.get(fixture):
                for name, tail in started.tails().items():
                    report.sections.append((f"end of {name}", tail))


def pytest_terminal_summary(terminalreporter):
    """The figures of the tests that passed; the failed ones show theirs with their output."""
    passed = terminalreporter.getreports("passed")
    measured = [report for report in passed if report.when == "call" and report.user_properties]
    if measured:
        terminalreporter.section("figures")
    for report in measured:
        terminalreporter.write_line(report.nodeid)
        for name, value in report.user_properties:
            terminalreporter.write_line(f"    {name}: {value}")
