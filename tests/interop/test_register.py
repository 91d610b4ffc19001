"""`zoogate register`: a command is an endpoint for exactly as long as it serves."""

import signal
import sys
import time

import pytest

from harness import clients, traffic
from harness.binary import BINARY
from harness.endpoints import PROGRAMS
from harness.ports import free_ports
from harness.waiting import eventually, seconds_until


@pytest.fixture
def register(shared, processes):
    """Starts `zoogate register web`, with the given flags, for an HTTP endpoint called `name`.

    Whoever leaves is to be gone, also the last one, which is kept in use by default.
    """
    client = clients.kazoo(processes, shared.hosts)
    clients.put(client, clients.settings_path("web"), 'on_empty = "reject"\n')

    def start(name, *flags, command=None):
        (port,) = free_ports(1)
        command = command or [sys.executable, PROGRAMS / "http_endpoint.py", port, name]
        where = ["--address", f"127.0.0.1:{port}", "--instance", name]
        ensemble = ["--zookeeper", shared.hosts, "--session-timeout", "2s"]
        flags = flags or ["--drain", "0s"]
        arguments = ["register", "web", *where, *ensemble, *flags, "--", *command]
        return processes.start(f"register-{name}", [BINARY, *arguments])

    yield start
    client.delete(clients.settings_path("web"))


def test_command_is_registered_while_it_runs_and_drained_on_term(shared, register, figure):
    wrapped = register("first", "--drain", "1s", "--weight", "3")
    other = register("second")
    shared.await_endpoints("web", ["first", "second"], 20)
    assert shared.nodes[0].endpoints("web")["first"]["weight"] == 3
    with traffic.Loads(*(traffic.HttpLoad(node.web, False) for node in shared.nodes)) as loads:
        stopped = time.monotonic()
        wrapped.send(signal.SIGTERM)
        withdrawn = seconds_until(
            lambda: all(set(node.endpoints("web")) == {"second"} for node in shared.nodes), 5
        )
        assert wrapped.is_running(), "withdrawn before the command ends"
        code = wrapped.wait()
        took = time.monotonic() - stopped
    figure("seconds from TERM to leaving every table", round(withdrawn, 3))
    figure("seconds from TERM to the end", round(took, 3))
    assert code == 128 + signal.SIGTERM, "the command's own end"
    assert 1.0 <= took < 3.0
    loads.assert_flawless()
    other.stop()
    shared.await_endpoints("web", [])


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("exit 0", 0), ("kill -9 $$", 137)])
def test_exit_code_of_the_command_is_passed_on(register, script, code):
    wrapped = register("short", "--wait-ready", "0s", command=["sh", "-c", script])
    assert wrapped.wait(15) == code


def test_command_that_is_not_there_ends_as_shells_end(register):
    assert register("absent", command=["/nonexistent/command"]).wait(15) == 127


def test_command_that_never_listens_is_stopped(register):
    wrapped = register("silent", "--wait-ready", "500ms", command=["sleep", "300"])
    assert wrapped.wait(15) == 7
    assert "accept connections" in wrapped.errors()


def test_expired_session_is_registered_again(shared, register):
    wrapped = register("sleeper")
    shared.await_endpoints("web", ["sleeper"], 20)
    wrapped.pause()
    shared.await_endpoints("web", [], 5)
    wrapped.resume()
    shared.await_endpoints("web", ["sleeper"], 10)
    assert {traffic.get(node.web) for node in shared.nodes} == {"sleeper"}
    assert "expired" in wrapped.errors()
    wrapped.stop()
    shared.await_endpoints("web", [])


def test_killed_wrapper_leaves_within_its_session_timeout(shared, register):
    wrapped = register("orphan")
    shared.await_endpoints("web", ["orphan"], 20)
    wrapped.kill9()
    took = seconds_until(lambda: not shared.nodes[0].endpoints("web"), 4)
    assert took <= 3.0


def test_registration_outlives_the_leader(ensemble, processes):
    (port,) = free_ports(1)
    server = [sys.executable, PROGRAMS / "http_endpoint.py", port, "steady"]
    where = [
        "--address",
        f"127.0.0.1:{port}",
        "--instance",
        "steady",
        "--zookeeper",
        ensemble.hosts,
    ]
    wrapped = processes.start("register", [BINARY, "register", "web", *where, "--", *server])
    ensemble.await_endpoints("web", ["steady"], 20)
    leader = ensemble.leader()
    owner = ensemble.nodes[0].service("web")["endpoints"][0]
    leader.kill9()
    ensemble.leader()
    survivors = ensemble.others(leader)
    eventually(lambda: all(traffic.get(node.web) == "steady" for node in survivors), 10)
    assert wrapped.is_running() and "expired" not in wrapped.errors()
    assert owner["instance"] == "steady"
