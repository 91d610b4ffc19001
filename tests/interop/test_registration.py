"""Endpoints come and go with the sessions of their processes, by stock clients, on three nodes."""

import time
from collections import Counter

import pytest

from harness import clients, endpoints, traffic
from harness.waiting import eventually, seconds_until

SESSION = 4.0
# What a node may take beyond the session timeout until a dead endpoint is out of its table.
EXPIRY_SLACK = 1.0
# From a client's closing its session to every table being without its endpoint.
CLOSE_LIMIT = 0.1


@pytest.fixture(scope="module")
def servers(shared_processes):
    """Three `python3 -m http.server`, each with a page of its own."""
    return [endpoints.file_server(shared_processes, name) for name in ("red", "green", "blue")]


@pytest.fixture(scope="module")
def web(shared, shared_processes, servers):
    """The service `web`: three servers, each registered by a kazoo process of its own."""
    clients.register(shared_processes, shared.hosts, "web", servers, timeout=10)
    names = [server.name for server in servers]
    shared.await_endpoints("web", names)
    return names


@pytest.fixture
def settings(shared, processes):
    """Sets the settings of a service in the tree for one test."""
    client = clients.kazoo(processes, shared.hosts)
    touched = set()

    def put(service, text):
        clients.put(client, clients.settings_path(service), text)
        touched.add(service)

    yield put
    for service in touched:
        client.delete(clients.settings_path(service))
        shared.await_strategy(service, "round-robin")


def test_every_node_serves_what_is_registered_in_turn(shared, web, figure):
    for node in shared.nodes:
        answers = Counter(traffic.curl(node.url, times=30))
        figure(node.name, dict(answers))
        assert answers == {name: 10 for name in web}


def test_random_uses_every_endpoint(shared, web, settings, figure):
    settings("web", 'strategy = "random"\n')
    shared.await_strategy("web", "random")
    for node in shared.nodes:
        answers = Counter(traffic.get(node.web) for _ in range(90))
        figure(node.name, dict(answers))
        # 30 each are expected; fewer than 10 come by chance once in a hundred thousand runs.
        assert set(answers) == set(web) and min(answers.values()) >= 10


def test_weighted_follows_the_weights(shared, web, settings, figure):
    settings("web", 'strategy = "weighted"\nweights = { red = 1, green = 2, blue = 3 }\n')
    shared.await_strategy("web", "weighted")
    for node in shared.nodes:
        answers = Counter(traffic.curl(node.url, times=30))
        figure(node.name, dict(answers))
        assert answers == {"red": 5, "green": 10, "blue": 15}


def test_consistent_hash_is_the_same_on_every_node(shared, web, settings, figure):
    settings("web", 'strategy = "consistent-hash"\nhash_key = "header:x-user"\n')
    shared.await_strategy("web", "consistent-hash")
    chosen = {}
    for user in range(30):
        header = {"x-user": f"user-{user}"}
        answers = {traffic.get(node.web, header) for node in shared.nodes for _ in range(2)}
        assert len(answers) == 1, f"user-{user} was served by {answers}"
        chosen[user] = answers.pop()
    figure("users per endpoint", dict(Counter(chosen.values())))
    assert set(chosen.values()) == set(web)
    by_curl = traffic.curl(shared.nodes[0].url, "--header", "x-user: user-7", times=5)
    assert set(by_curl) == {chosen[7]}


def test_tcp_listeners_carry_any_bytes_both_ways(shared, shared_processes, figure):
    servers = [endpoints.tcp_endpoint(shared_processes, name) for name in ("left", "right")]
    clients.register(shared_processes, shared.hosts, "tcp", servers, timeout=10)
    shared.await_endpoints("tcp", ["left", "right"])
    message = bytes(range(256)) * 1024
    for node in shared.nodes:
        exchanges = [traffic.tcp_exchange(node.tcp, message) for _ in range(10)]
        assert all(echo == message for _, echo in exchanges)
        greetings = Counter(greeting for greeting, _ in exchanges)
        figure(node.name, dict(greetings))
        assert greetings == {"left": 5, "right": 5}


def test_endpoint_of_a_killed_process_leaves_within_its_session_timeout(
    shared, processes, web, figure
):
    server = endpoints.file_server(processes, "mortal")
    (registrant,) = clients.register(processes, shared.hosts, "web", [server], timeout=SESSION)
    assert registrant.timeout == SESSION
    shared.await_endpoints("web", [*web, "mortal"])
    killed = time.monotonic()
    registrant.process.kill9()
    with traffic.Loads(*(traffic.HttpLoad(node.web, False) for node in shared.nodes)) as loads:
        shared.await_endpoints("web", web, SESSION + EXPIRY_SLACK)
        took = time.monotonic() - killed
    figure("seconds from kill -9 to leaving every table", round(took, 3))
    figure("requests meanwhile", loads.done)
    assert took <= SESSION + EXPIRY_SLACK
    # A client pings every third of its timeout; it may have been heard just before the kill.
    assert took >= SESSION * 0.6
    loads.assert_flawless()
    for node in shared.nodes:
        assert set(traffic.get(node.web) for _ in range(12)) == set(web)


def test_endpoint_of_a_closed_session_leaves_at_once(shared, processes, web, figure):
    times = []
    for turn in range(5):
        server = endpoints.file_server(processes, f"leaver-{turn}")
        (registrant,) = clients.register(processes, shared.hosts, "web", [server])
        shared.await_endpoints("web", [*web, server.name])

        def gone(name=server.name):
            return all(name not in node.endpoints("web") for node in shared.nodes)

        registrant.close()
        times.append(seconds_until(gone, 5, f"{server.name} out of every table"))
        for node in shared.nodes:
            assert server.name not in {traffic.get(node.web) for _ in range(8)}
    figure("ms from closing to leaving every table", [round(1000 * took) for took in times])
    assert max(times) < CLOSE_LIMIT


def test_paused_process_comes_back_with_a_new_session(shared, processes, web):
    """A pause longer than the session timeout: the endpoint goes, and the client is told why."""
    server = endpoints.file_server(processes, "sleeper")
    (registrant,) = clients.register(processes, shared.hosts, "web", [server], timeout=1.5)
    shared.await_endpoints("web", [*web, "sleeper"])
    registrant.process.pause()
    shared.await_endpoints("web", web, 1.5 + EXPIRY_SLACK)
    registrant.process.resume()
    eventually(lambda: "LOST" in registrant.states(), 10, "kazoo is told that its session expired")
