"""Drains on three nodes: by the command line, by curl and by kazoo; who waits for what; and what is said about it."""

import json
import subprocess
import time

import pytest

from harness import binary, clients, endpoints, traffic
from harness.waiting import eventually, seconds_until

NAMES = ("red", "blue")
SPRING = (
    '{{"name":"tcp","id":"{id}","address":"127.0.0.1","port":{port},"sslPort":null,"payload":'
    '{{"@class":"org.springframework.cloud.zookeeper.discovery.ZookeeperInstance","id":"tcp-1","name":"tcp",'
    '"metadata":{{"instance_status":"{status}"}}}},"registrationTimeUTC":1553592092875,"serviceType":"DYNAMIC"}}'
)


@pytest.fixture(scope="module")
def servers(shared, shared_processes):
    """Two echo servers registered as `tcp`, each by a session of its own."""
    started = [endpoints.tcp_endpoint(shared_processes, name) for name in NAMES]
    clients.register(shared_processes, shared.hosts, "tcp", started, 10)
    shared.await_endpoints("tcp", NAMES)
    return {server.name: server for server in started}


@pytest.fixture
def kazoo(shared, processes):
    """A client; no order is left behind."""
    client = clients.kazoo(processes, shared.hosts)
    yield client
    for name in ("red", "blue", "spring"):
        if client.exists(f"/zoogate/admin/tcp/{name}"):
            client.delete(f"/zoogate/admin/tcp/{name}")
    for node in shared.nodes:
        eventually(lambda n=node: state(n, "red") == state(n, "blue") == "up", 10, f"all up on {node.name}")


def state(node, name):
    """The condition of an endpoint, in use or not."""
    return {it["instance"]: it["state"] for it in node.service("tcp")["endpoints"]}[name]


def zoogate(node, *arguments, timeout=60):
    """One verb that asks this node."""
    return binary.run(*arguments, "--admin", f"127.0.0.1:{node.admin}", timeout=timeout)


def greeting(node):
    """Who answers a new connection."""
    return traffic.tcp_exchange(node.tcp, b"x\n")[0]


def standing_on(node, name):
    """A load over one connection that the endpoint of that name serves."""
    while True:
        load = traffic.StandingTcp(node.tcp)
        if load.greeting == name:
            return load
        load.close()


def assert_only(shared, name):
    """New connections go to that endpoint, whatever node they come by."""
    for node in shared.nodes:
        assert {greeting(node) for _ in range(6)} == {name}, node.name


def test_a_stream_outlives_a_drain_that_waits_for_it(shared, servers, kazoo, processes, figure):
    first, second, _ = shared.nodes
    with standing_on(second, "red") as stream:
        waiting = processes.start(
            "drain", [binary.BINARY, "drain", "tcp/red", "--deadline", "10m", "--wait", "--admin", f"127.0.0.1:{first.admin}"]
        )
        began = time.monotonic()
        for node in shared.nodes:
            eventually(lambda n=node: state(n, "red") == "draining", 5, f"red drains on {node.name}")
        figure("drain to follow on every node, s", round(time.monotonic() - began, 3))
        assert time.monotonic() - began < 1.5
        assert_only(shared, "blue")
        before = stream.done
        eventually(lambda: stream.done > before + 200, 10, "the stream goes on")
        assert not stream.failures
        assert waiting.is_running(), "it waits for a connection of another node"
    ended = seconds_until(lambda: not waiting.is_running(), 10, "the drain is over")
    figure("end of the stream to end of --wait, s", round(ended, 3))
    assert waiting.wait(5) == 0
    assert ended < 2
    assert "tcp/red: n2 has 1 under way" in waiting.errors()
    assert zoogate(first, "undrain", "tcp/red").returncode == 0
    for node in shared.nodes:
        eventually(lambda n=node: {greeting(n) for _ in range(6)} == set(NAMES), 5, f"red is back on {node.name}")


def test_a_stream_ends_by_fin_at_the_deadline(shared, servers, kazoo, figure):
    node = shared.nodes[0]
    with standing_on(node, "red") as stream:
        began = time.monotonic()
        done = zoogate(shared.nodes[2], "drain", "tcp/red", "--deadline", "2s", "--wait")
        took = time.monotonic() - began
        figure("drain with a deadline of 2 s and --wait, s", round(took, 3))
        assert done.returncode == 0, done.stderr
        assert 2.0 <= took < 4.0
        eventually(lambda: stream.failures, 5, "the stream has ended")
    # An end without bytes is what a FIN looks like; a reset would be a ConnectionResetError.
    assert "WrongAnswer" in stream.failures[0] and "b''" in stream.failures[0], stream.failures[0]


def test_waiting_ends_with_its_time_and_says_who_has_what(shared, servers, kazoo):
    with standing_on(shared.nodes[1], "blue"):
        done = zoogate(shared.nodes[0], "drain", "tcp/blue", "--deadline", "10m", "--wait", "--timeout", "1s")
        assert done.returncode == 7
        assert "the drain of tcp/blue, which goes on (n2 has 1 under way), took longer than 1s" in done.stderr


def test_names_that_are_wrong_get_a_hint(shared, servers):
    node = shared.nodes[0]
    for verb in ("drain", "undrain", "explain"):
        done = zoogate(node, verb, "tpc/red")
        assert (done.returncode, "did you mean \"tcp\"?" in done.stderr) == (3, True), done.stderr
        done = zoogate(node, verb, "tcp/bleu")
        assert (done.returncode, "did you mean \"blue\"?" in done.stderr) == (3, True), done.stderr
    assert zoogate(node, "drain", "tcp").returncode == 2


def test_curl_and_kazoo_drain_as_well(shared, servers, kazoo):
    node, other = shared.nodes[0], shared.nodes[2]
    url = f"http://127.0.0.1:{node.admin}/v1/services/tcp/endpoints/red"
    said = subprocess.run(
        ["curl", "--silent", "--fail", "--data", '{"deadline":"1m"}', f"{url}/drain"],
        capture_output=True, text=True, timeout=15, check=True,
    )
    assert json.loads(said.stdout)["drained_by"] == ["operator"]
    eventually(lambda: state(other, "red") == "draining", 5, "the others follow")
    assert_only(shared, "blue")
    order = json.loads(kazoo.get("/zoogate/admin/tcp/red")[0])
    assert (order["state"], order["deadline"], order["by"]) == ("drain", "1m", "127.0.0.1")
    assert "an operator drains an endpoint" in node.log()
    subprocess.run(["curl", "--silent", "--fail", "-X", "POST", f"{url}/undrain"], timeout=15, check=True)

    clients.put(kazoo, "/zoogate/admin/tcp/red", "drain")
    eventually(lambda: state(other, "red") == "draining", 5, "kazoo drains")
    assert_only(shared, "blue")
    size = node.log_size()
    clients.put(kazoo, "/zoogate/admin/tcp/red", "dran")
    eventually(lambda: "cannot be read" in node.log(size), 5, "it is reported")
    assert_only(shared, "blue")
    clients.put(kazoo, "/zoogate/admin/tcp/red", "ready")
    eventually(lambda: state(other, "red") == "up", 5, "kazoo takes it back")


def test_an_instance_that_spring_takes_out_of_service_drains(shared, servers, kazoo):
    path = "/services/tcp/spring"
    server = servers["red"]
    clients.put(kazoo, path, SPRING.format(id="spring", port=server.port, status="UP"))
    shared.await_endpoints("tcp", {*NAMES, "spring"})
    kazoo.set(path, SPRING.format(id="spring", port=server.port, status="OUT_OF_SERVICE").encode())
    for node in shared.nodes:
        eventually(lambda n=node: state(n, "spring") == "draining", 5, f"spring drains on {node.name}")
    said = zoogate(shared.nodes[1], "explain", "tcp/spring").stdout
    assert "out: its registration wants it drained" in said, said
    done = zoogate(shared.nodes[1], "undrain", "tcp/spring")
    assert (done.returncode, "still drained, by its registration" in done.stderr) == (0, True)
    kazoo.delete(path)
    shared.await_endpoints("tcp", NAMES)


def test_explain_says_why_and_what_did_it(shared, shared_processes, servers, kazoo, processes):
    node = shared.nodes[0]
    said = zoogate(node, "explain", "tcp").stdout
    assert "tcp: 2 of 2 endpoints are in; strategy round-robin (built-in)" in said
    assert said.count("in: nothing speaks against it") == 2
    assert zoogate(node, "drain", "tcp/red").returncode == 0
    zxid = kazoo.get("/zoogate/admin/tcp/red")[1].mzxid
    said = zoogate(node, "explain", "tcp/red").stdout
    assert f"at {zxid:#x} wants it drained" in said, said
    page = json.loads(zoogate(node, "explain", "tcp/red", "--output", "json").stdout)["endpoint"]
    assert (page["state"], page["in"], page["zxid"]) == ("draining", False, zxid)
    assert page["registration"]["session"] and page["registration"]["path"] == "/services/tcp/red"

    assert zoogate(node, "undrain", "tcp/red").returncode == 0
    passing = endpoints.tcp_endpoint(processes, "green")
    registrant = clients.Registrant(processes, shared.hosts, "tcp", "green", passing.address, 1.0).await_registered()
    shared.await_endpoints("tcp", {*NAMES, "green"})
    registrant.process.kill9()
    shared.await_endpoints("tcp", NAMES, 15)
    said = zoogate(node, "explain", "tcp/green").stdout
    assert f"session {registrant.session:#x} expired at 0x" in said, said
    assert "tcp " in zoogate(node, "services").stdout
