"""The leader dies under writers, then everybody does: no acknowledged write or session is lost."""

import os
import time

import pytest

from harness import clients, endpoints, traffic
from harness.waiting import eventually

ITERATIONS = int(os.environ.get("ITERATIONS", "10"))
WRITERS = 8
ROOT = "/writes"
SESSION = 10.0


class Writers:
    """Eight processes that write all the time, and what they were told."""

    def __init__(self, processes, ensemble):
        self.all = [
            clients.Writer(processes, ensemble.hosts, ROOT, f"w{number}", SESSION)
            for number in range(WRITERS)
        ]
        self.sessions = {writer.name: writer.await_session().session for writer in self.all}

    def acknowledged(self):
        return {writer.name: len(writer.numbers("ack")) for writer in self.all}

    def await_progress(self, count, timeout=15):
        """Waits until each has had `count` writes acknowledged from now on."""
        before = self.acknowledged()
        eventually(
            lambda: all(now >= before[name] + count for name, now in self.acknowledged().items()),
            timeout,
            "every writer writes",
            interval=0.05,
        )

    def verify(self, nodes, observers):
        """Compares what was acknowledged with what each node has; returns the number of writes."""
        total = 0
        for writer in self.all:
            assert writer.process.is_running() and not writer.numbers("expired")
            writer.pause()
        for writer in self.all:
            acknowledged, unknown = writer.await_paused()
            total += len(acknowledged)
            for node in nodes:
                client = observers[node.name]
                path = f"{ROOT}/{writer.name}"
                client.sync(path)
                found = set(map(int, client.get_children(path)))
                lost = acknowledged - found
                assert (
                    not lost
                ), f"{node.name} lost {len(lost)} of {writer.name}: {sorted(lost)[:9]}"
                invented = found - acknowledged - unknown
                assert not invented, f"{node.name} has of {writer.name}: {sorted(invented)[:9]}"
                last = max(acknowledged)
                assert client.get(f"{path}/{last}")[0] == str(last).encode()
                stat = client.exists(f"{ROOT}-alive/{writer.name}")
                assert stat and stat.owner_session_id == self.sessions[writer.name]
        for writer in self.all:
            writer.go_on()
        return total


@pytest.mark.timeout(60 + 20 * ITERATIONS)
def test_acknowledged_writes_sessions_and_traffic_survive_the_leader_and_then_everybody(
    ensemble, processes, figure
):
    servers = [endpoints.http_endpoint(processes, name) for name in ("red", "green")]
    registrants = clients.register(processes, ensemble.hosts, "web", servers, SESSION)
    tcp = endpoints.tcp_endpoint(processes, "echo")
    registrants += clients.register(processes, ensemble.hosts, "tcp", [tcp], SESSION)
    ensemble.await_endpoints("web", ["red", "green"])
    ensemble.await_endpoints("tcp", ["echo"])
    writers = Writers(processes, ensemble)
    observers = {node.name: clients.kazoo(processes, node.hosts, 30) for node in ensemble.nodes}
    without_leader, requests, restarts = [], 0, []

    for _ in range(ITERATIONS):
        leader = ensemble.leader()
        survivors = ensemble.others(leader)
        loads = traffic.Loads(
            *(traffic.HttpLoad(node.web, kept) for node in survivors for kept in (True, False)),
            *(traffic.TcpLoad(node.tcp) for node in survivors),
        )
        with loads:
            writers.await_progress(25)
            killed = time.monotonic()
            leader.kill9()
            ensemble.leader()
            without_leader.append(round(time.monotonic() - killed, 2))
            writers.await_progress(5)
        loads.assert_flawless(at_least=20)
        requests += loads.done
        leader.start().await_ready()
        writers.verify(ensemble.nodes, observers)

        for node in ensemble.nodes:
            node.kill9()
        started = time.monotonic()
        for node in ensemble.nodes:
            node.start()
        for node in ensemble.nodes:
            node.await_ready()
        restarts.append(round(time.monotonic() - started, 2))
        # Members whose logs differ show it only once something is written on top.
        writers.await_progress(5)
        acknowledged = writers.verify(ensemble.nodes, observers)

    figure("iterations", ITERATIONS)
    figure("acknowledged writes, none lost", acknowledged)
    figure("requests through survivors, none failed", requests)
    figure("seconds from kill -9 of the leader to a new one that is ready", without_leader)
    figure("seconds from starting all three to all three ready", restarts)
    for registrant in registrants:
        assert registrant.process.is_running() and "LOST" not in registrant.states()
    ensemble.await_endpoints("web", ["red", "green"])
