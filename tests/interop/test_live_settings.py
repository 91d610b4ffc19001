"""Weights, drain, timeouts and static endpoints change while running, by the tree and by HUP."""

import socket
import time
from collections import Counter

import pytest

from harness import clients, endpoints, traffic
from harness.waiting import eventually
from test_settings import reload

NAMES = ("red", "green", "blue")


@pytest.fixture(scope="module", autouse=True)
def web(shared, shared_processes):
    servers = [endpoints.http_endpoint(shared_processes, name) for name in NAMES]
    clients.register(shared_processes, shared.hosts, "web", servers, 10)
    echo = endpoints.tcp_endpoint(shared_processes, "echo")
    clients.register(shared_processes, shared.hosts, "tcp", [echo], 10)
    shared.await_endpoints("web", NAMES)
    shared.await_endpoints("tcp", ["echo"])


@pytest.fixture(params=["tree", "file"])
def settle(request, shared, processes):
    """Puts settings of a service into force on every node; they go after the test."""
    kazoo = clients.kazoo(processes, shared.hosts)

    def by_tree(text, service="web"):
        clients.put(kazoo, clients.settings_path(service), text)

    def by_file(text, service="web"):
        for node in shared.nodes:
            reload(node, f"\n[service.{service}]\n{text}")

    change = {"tree": by_tree, "file": by_file}[request.param]
    yield change
    for service, instances in (("web", NAMES), ("tcp", ["echo"])):
        change("", service)
        shared.await_endpoints(service, instances)


def answers(node, count):
    return Counter(traffic.get(node.web) for _ in range(count))


def states(node):
    return {it["instance"]: it["state"] for it in node.service("web")["endpoints"]}


def test_weights_take_effect_and_go_again(shared, settle, figure):
    settle('strategy = "weighted"\nweights = { red = 4 }\n')
    for node in shared.nodes:
        eventually(lambda n=node: n.endpoints("web")["red"]["weight"] == 4, 10, "the weight")
        assert answers(node, 30) == {"red": 20, "green": 5, "blue": 5}
    figure("red weighs 4, of 30 on each node", {"red": 20, "green": 5, "blue": 5})
    settle('strategy = "weighted"\n')
    for node in shared.nodes:
        eventually(lambda n=node: n.endpoints("web")["red"]["weight"] == 1, 10, "no weight")
        assert answers(node, 30) == {"red": 10, "green": 10, "blue": 10}


def test_drained_instance_gets_nothing_new_and_comes_back(shared, settle):
    settle('drain = ["green"]\n')
    shared.await_endpoints("web", ["red", "blue"])
    for node in shared.nodes:
        assert states(node)["green"] != "up", "it is still listed"
        assert set(answers(node, 20)) == {"red", "blue"}
    settle("")
    shared.await_endpoints("web", NAMES)
    for node in shared.nodes:
        assert set(answers(node, 20)) == set(NAMES)


def test_drain_timeout_bounds_what_is_under_way(shared, settle, figure):
    (node, *_) = shared.nodes
    with socket.create_connection(("127.0.0.1", node.tcp), timeout=15) as stream:
        assert stream.recv(64) == b"echo\n"
        begun = time.monotonic()
        settle('drain_timeout = "1s"\ndrain = ["echo"]\n', "tcp")
        shared.await_endpoints("tcp", [])
        stream.sendall(b"still here\n")
        assert stream.recv(64) == b"still here\n", "what is under way goes on"
        assert stream.recv(64) == b"", "and ends in order, by FIN"
        took = time.monotonic() - begun
    figure("seconds from draining to the end, drain_timeout 1 s", round(took, 2))
    assert 1 <= took < 10


def test_response_timeout_answers_504_for_a_silent_static_endpoint(shared, settle):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        settle(
            f'response_timeout = "300ms"\nendpoints = ["{address}"]\n'
            'drain = ["red", "green", "blue"]\n'
        )
        shared.await_endpoints("web", [address])
        for node in shared.nodes:
            with pytest.raises(traffic.WrongAnswer, match="504"):
                traffic.get(node.web)
