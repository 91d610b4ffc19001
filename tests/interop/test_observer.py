"""An observer joins a running ensemble: it serves traffic, reads and writes, and has no vote."""

import pytest

from harness import clients, endpoints, traffic
from harness.waiting import eventually
from harness.wire import four_letters


@pytest.mark.timeout(90)
def test_observer_joins_serves_and_leaves_without_a_trace(ensemble, processes, figure):
    servers = [endpoints.http_endpoint(processes, name) for name in ("red", "green")]
    clients.register(processes, ensemble.hosts, "web", servers, 10)
    ensemble.await_endpoints("web", ["red", "green"])
    writer = clients.kazoo(processes, ensemble.hosts)
    for number in range(200):
        writer.create(f"/before/{number}", b"x" * 100, makepath=True)
    term = ensemble.leader().metric("zoogate_raft_term")

    observer = ensemble.add_observer("o1").start()
    observer.await_ready()
    assert "Mode: observer" in four_letters(observer.zookeeper, "srvr")
    assert observer.metric("zoogate_raft_role") == 0
    assert observer.metric("zoogate_raft_voters") == 3
    ensemble.await_endpoints("web", ["red", "green"], nodes=[observer])
    assert {traffic.get(observer.web) for _ in range(6)} == {"red", "green"}

    client = clients.kazoo(processes, observer.hosts)
    client.sync("/before")
    assert len(client.get_children("/before")) == 200
    client.create("/through-the-observer", b"written")
    writer.sync("/")
    assert writer.get("/through-the-observer")[0] == b"written"
    events = []
    client.exists("/event", watch=events.append)
    writer.create("/event")
    eventually(lambda: events, 5, "the watch fires at the observer")

    leader = ensemble.leader()
    with traffic.Loads(traffic.HttpLoad(observer.web), traffic.HttpLoad(observer.web, False)) as it:
        leader.kill9()
        ensemble.leader()
        leader.start().await_ready()
        eventually(observer.is_ready, 10, "the observer follows the new leader")
    it.assert_flawless()
    eventually(lambda: client.connected, 10, "the session at the observer lives")
    client.create("/after-the-leader", b"")
    assert observer.metric("zoogate_raft_role") == 0, "an observer never stands for election"

    first, second, _ = ensemble.nodes
    assert observer.stop() == 0
    first_term = ensemble.leader().metric("zoogate_raft_term")
    observer.start().await_ready()
    assert ensemble.leader().metric("zoogate_raft_term") == first_term
    second.kill9()
    eventually(lambda: first.is_ready(), 10, "two voters of three are a quorum")
    figure("terms before and after", [term, first_term])


def test_observer_adds_nothing_to_the_quorum(ensemble):
    observer = ensemble.add_observer("o1").start()
    observer.await_ready()
    ensemble.leader().kill9()
    # Whoever leads now goes on to lead, and beats now and then, but no quorum answers it.
    last = ensemble.leader()
    (other,) = [node for node in ensemble.others(last) if node.process.is_running()]
    other.kill9()
    for node in (last, observer):
        eventually(lambda n=node: not n.is_ready(), 10, f"{node.name} serves nobody without a quorum")
    other.start()
    for node in (other, last, observer):
        node.await_ready()
