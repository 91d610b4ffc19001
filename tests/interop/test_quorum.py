"""Two of three nodes are gone: traffic flows on, writes fail, and all heals by itself."""

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionLoss, OperationTimeoutError
from kazoo.handlers.threading import KazooTimeoutError

from harness import clients, endpoints, traffic
from harness.waiting import eventually
from harness.wire import four_letters

# How long a write is awaited at the node that is alone: longer than a session.
ALONE = 6.0
SESSION = 4.0


@pytest.mark.timeout(90)
def test_traffic_outlives_the_quorum_and_the_ensemble_heals(ensemble, processes, figure):
    servers = [endpoints.http_endpoint(processes, name) for name in ("red", "green")]
    tcp = endpoints.tcp_endpoint(processes, "echo")
    registrants = clients.register(processes, ensemble.hosts, "web", servers, SESSION)
    registrants += clients.register(processes, ensemble.hosts, "tcp", [tcp], SESSION)
    ensemble.await_endpoints("web", ["red", "green"])
    ensemble.await_endpoints("tcp", ["echo"])
    leader = ensemble.leader()
    third, fourth = ensemble.others(leader)
    client = clients.kazoo(processes, third.hosts, timeout=20)
    client.create("/before", b"acknowledged")

    loads = traffic.Loads(
        traffic.HttpLoad(third.web, True),
        traffic.HttpLoad(third.web, False),
        traffic.TcpLoad(third.tcp),
        traffic.StandingTcp(third.tcp),
    )
    with loads:
        leader.kill9()
        fourth.kill9()
        eventually(lambda: not third.is_ready(), 10, "the third node notices")
        assert third.page("/healthz")[0] == 200
        assert "no leader" in third.page("/readyz")[1]
        served = loads.done
        with pytest.raises((ConnectionLoss, OperationTimeoutError, KazooTimeoutError)):
            client.create_async("/during", b"must not be").get(timeout=ALONE)
        newcomer = KazooClient(hosts=third.hosts, timeout=4)
        with pytest.raises(KazooTimeoutError):
            newcomer.start(timeout=2)
        newcomer.close()
        assert "not currently serving" in four_letters(third.zookeeper, "srvr")
        eventually(lambda: loads.done > served + 200, 20, "traffic goes on")
        assert set(third.endpoints("web")) == {"red", "green"}

        leader.start()
        fourth.start()
        for node in ensemble.nodes:
            node.await_ready()
    figure("requests through the node without a quorum", loads.done)
    loads.assert_flawless(at_least=50)

    eventually(lambda: client.connected, 15, "kazoo is connected again")
    assert client.get("/before")[0] == b"acknowledged"
    client.create("/after", b"healed")
    for node in ensemble.nodes:
        reader = clients.kazoo(processes, node.hosts)
        reader.sync("/after")
        assert reader.get("/after")[0] == b"healed"
    for registrant in registrants:
        assert "LOST" not in registrant.states(), "a minority expires no session"
    ensemble.await_endpoints("web", ["red", "green"])
    assert {traffic.get(node.web) for node in ensemble.nodes for _ in range(4)} == {"red", "green"}
