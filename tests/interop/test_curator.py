"""Apache Curator, unmodified: its recipes by two clients, through the loss of the leader."""

import pytest

from harness import clients

RECIPES = [
    "leader latch",
    "mutex",
    "read-write lock",
    "semaphore",
    "barriers",
    "queue",
    "counter",
    "persistent node",
    "cache",
    "service discovery",
]


@pytest.mark.timeout(240)
def test_curators_recipes_go_on_through_the_loss_of_the_leader(ensemble, processes, figure):
    client = clients.kazoo(processes, ensemble.hosts)
    # What leaves is to be gone, although it is the last.
    clients.put(client, clients.settings_path("curated"), 'on_empty = "reject"\n')
    program = clients.curator(processes, ensemble.hosts)
    program.await_line("begun service discovery", 60)
    # Its service discovery registers below /services: what it announces there is an endpoint.
    for node in ensemble.nodes:
        assert node.service("curated")["endpoints"][0]["address"] == "127.0.0.1:9"
    leader = ensemble.leader()
    leader.kill9()
    ensemble.leader()
    program.tell("go on")
    program.await_line("ok service discovery", 120)
    assert program.wait(30) == 0
    assert [line for line in program.lines() if line.startswith("ok ")] == [
        f"ok {recipe}" for recipe in RECIPES
    ]
    figure("recipes that live through the loss of the leader", len(RECIPES))
    for node in ensemble.others(leader):
        assert not (node.service("curated") or {"endpoints": []})["endpoints"]
