"""Settings change under load, by tree and by file; invalid ones change nothing and are told."""

import pathlib
import re
import signal
from collections import Counter

import pytest

from harness import clients, endpoints, traffic
from harness.waiting import eventually

NAMES = ("red", "green", "blue")
# Each is a client of its own to consistent hashing by address.
SOURCES = [f"127.0.0.{number}" for number in range(2, 26)]
REFUSED = "zoogate_settings_refused_total"
BY_HEADER = '\n[service.web]\nstrategy = "consistent-hash"\nhash_key = "header:x-user"\n'


@pytest.fixture(scope="module")
def web(shared, shared_processes):
    servers = [endpoints.http_endpoint(shared_processes, name) for name in NAMES]
    clients.register(shared_processes, shared.hosts, "web", servers, 10)
    shared.await_endpoints("web", NAMES)
    return servers


@pytest.fixture
def kazoo(shared, processes):
    """A client; the settings of `web` in the tree go after the test."""
    client = clients.kazoo(processes, shared.hosts)
    yield client
    if client.exists(clients.settings_path("web")):
        client.delete(clients.settings_path("web"))


def reload(node, services):
    """Gives the node's file another end and has it read again."""
    node.services = services
    node.file.write_text(node.settings())
    node.process.send(signal.SIGHUP)


def choices(node, asked):
    """Per client, the endpoints that served it; `asked` is what makes `get` be that client."""
    return [{traffic.get(node.web, **it) for _ in range(4)} for it in asked]


def assert_sticky(nodes, asked, figure):
    """Each client has one endpoint, the same on every node, and together they use all."""
    first = choices(nodes[0], asked)
    for node in nodes:
        chosen = choices(node, asked)
        assert all(len(it) == 1 for it in chosen), f"{node.name}: {chosen}"
        assert chosen == first
    spread = Counter(next(iter(it)) for it in first)
    figure("after: clients per endpoint, one endpoint per client", dict(spread))
    assert set(spread) == set(NAMES)


def assert_even(node, figure):
    """One client's requests go to all endpoints in turn."""
    answers = Counter(traffic.get(node.web) for _ in range(30))
    figure(f"before: requests of one client per endpoint on {node.name}", dict(answers))
    assert len(answers) == 3 and max(answers.values()) - min(answers.values()) <= 2


def under_load(shared, processes, change, figure):
    """Does `change` while wrk and loops load every node; nothing may fail."""
    wrk = traffic.Wrk(processes, shared.nodes[0].url, seconds=7, connections=4)
    with traffic.Loads(*(traffic.HttpLoad(node.web, False) for node in shared.nodes[1:])) as loads:
        change()
        assert wrk.is_running(), "the load lasted longer than the change"
        requests, complaints = wrk.finish()
    figure("requests by wrk", f"{requests}, {complaints or 'none failed'}")
    figure("requests through the other nodes", f"{loads.done}, {len(loads.failures)} failed")
    assert not complaints and requests > 1_000
    loads.assert_flawless(at_least=100)


def test_strategy_changes_under_load_by_zkcli_set(shared, processes, web, kazoo, figure):
    path = clients.settings_path("web")
    clients.put(kazoo, path, 'strategy = "round-robin"\n')
    for node in shared.nodes:
        assert_even(node, figure)

    def change():
        text = 'strategy = "consistent-hash"\nhash_key = "client-address"\n'
        clients.zkcli_command(shared.nodes[2].hosts, "set", path, text)
        shared.await_strategy("web", "consistent-hash")

    under_load(shared, processes, change, figure)
    assert_sticky(shared.nodes, [{"source": source} for source in SOURCES], figure)
    kazoo.delete(path)
    shared.await_strategy("web", "round-robin")
    assert_even(shared.nodes[0], figure)


def test_strategy_changes_under_load_by_sighup(shared, processes, web, figure):
    for node in shared.nodes:
        assert_even(node, figure)

    def change():
        for node in shared.nodes:
            reload(node, BY_HEADER)
        shared.await_strategy("web", "consistent-hash")

    under_load(shared, processes, change, figure)
    users = [{"headers": {"x-user": f"user-{number}"}} for number in range(24)]
    assert_sticky(shared.nodes, users, figure)
    for node in shared.nodes:
        reload(node, "")
    shared.await_strategy("web", "round-robin")


def test_tree_wins_over_file_key_by_key(shared, web, kazoo):
    node = shared.nodes[0]
    reload(node, '\n[service.web]\nstrategy = "random"\nweights = { red = 7 }\n')
    eventually(lambda: node.service("web")["strategy"] == "random", 10, "the file is in force")
    clients.put(kazoo, clients.settings_path("web"), 'strategy = "weighted"\n')
    shared.await_strategy("web", "weighted")
    assert node.endpoints("web")["red"]["weight"] == 7
    assert shared.nodes[1].endpoints("web")["red"]["weight"] == 1
    kazoo.delete(clients.settings_path("web"))
    eventually(lambda: node.service("web")["strategy"] == "random", 10, "the file is back")
    reload(node, "")
    shared.await_strategy("web", "round-robin")


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ('idle_timeout = "1m"\nstrategy = "rondom"\n', "2:12", "rondom"),
        ('stratgy = "random"\n', "1:1", "did you mean"),
        ('strategy = "random\n', "1:", ""),
        ('# fine\nidle_timeout = "1 parsec"\n', "2:16", "parsec"),
        ("weights = { red = 0 }\n", "1:19", ""),
    ],
)
def test_invalid_settings_in_the_tree_are_refused_with_znode_line_and_column(
    shared, web, kazoo, text, place, reason
):
    path = clients.settings_path("web")
    clients.put(kazoo, path, 'strategy = "weighted"\n')
    shared.await_strategy("web", "weighted")
    before = {node: (node.metric(REFUSED), node.log_size()) for node in shared.nodes}
    clients.put(kazoo, path, text)
    for node, (refused, size) in before.items():
        eventually(lambda n=node, r=refused: n.metric(REFUSED) == r + 1, 10, f"{node.name} refuses")
        eventually(
            lambda n=node, s=size: f"{path}:{place}" in n.log(s), 5, f"{path}:{place} logged"
        )
        assert reason in node.log(size)
        assert node.metric("zoogate_settings_last_reload_successful") == 0
        assert node.service("web")["strategy"] == "weighted"
    assert {traffic.get(node.web) for node in shared.nodes for _ in range(6)} == set(NAMES)
    clients.put(kazoo, path, 'strategy = "random"\n')
    shared.await_strategy("web", "random")
    assert shared.nodes[0].metric("zoogate_settings_last_reload_successful") == 1


@pytest.mark.parametrize(
    ("services", "place", "reason"),
    [
        ('[service.web]\nstrategy = "rondom"\n', (2, 12), "rondom"),
        ("[service.web]\nstrategy = \n", (2, 12), ""),
        ("[servce.web]\n", (1, 2), "did you mean"),
    ],
)
def test_invalid_file_is_refused_with_line_and_column(shared, web, services, place, reason):
    node = shared.nodes[0]
    refused, size = node.metric(REFUSED), node.log_size()
    reload(node, services)
    line = node.settings()[: -len(services)].count("\n") + place[0]
    wanted = re.compile(re.escape(f"{pathlib.Path(node.file)}:{line}:") + rf"{place[1]}\b")
    eventually(lambda: node.metric(REFUSED) == refused + 1, 10, "the node refuses")
    eventually(lambda: wanted.search(node.log(size)), 5, f"{wanted.pattern} in the log")
    assert reason in node.log(size)
    assert node.service("web")["strategy"] == "round-robin"
    reload(node, "")
    eventually(
        lambda: node.metric("zoogate_settings_last_reload_successful") == 1, 10, "valid again"
    )


def test_file_that_changes_what_needs_a_restart_is_refused_whole(shared, web):
    node = shared.nodes[1]
    refused, size, members = node.metric(REFUSED), node.log_size(), node.members
    node.members = {**members, "n9": 1}
    reload(node, BY_HEADER)
    eventually(lambda: node.metric(REFUSED) == refused + 1, 10, "the node refuses")
    eventually(lambda: "ensemble.members" in node.log(size), 5, "the key in the log")
    assert node.service("web")["strategy"] == "round-robin"
    node.members = members
    reload(node, "")
    eventually(
        lambda: node.metric("zoogate_settings_last_reload_successful") == 1, 10, "valid again"
    )
