"""`zoogate cluster`: the members as an operator sees and changes them, with real processes."""

import json

import pytest

from harness.binary import run
from harness.waiting import eventually


def cluster(node, *arguments):
    """Runs a verb against one node."""
    return run("cluster", "--admin", f"127.0.0.1:{node.admin}", *arguments)


def survey(node):
    """What a node tells of all members."""
    said = cluster(node, "members", "--json")
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


@pytest.mark.timeout(120)
def test_members_are_listed_changed_and_refused(ensemble):
    first = ensemble.nodes[0]
    eventually(lambda: survey(first)["quorum"], 20, "a quorum")
    said = cluster(first, "members")
    lines = said.stdout.splitlines()
    assert lines[0].split() == [
        "NUMBER", "NAME", "ADDRESS", "CLIENTS", "ROLE", "VOTES", "MATCHED", "LAG", "CONTACT",
    ]  # fmt: skip
    assert [line.split()[0] for line in lines[1:]] == ["1", "2", "3"]
    assert sum("leader" in line for line in lines) == 1

    status = cluster(first, "status")
    assert status.returncode == 0 and status.stdout.startswith("quorum: 3 of 3 voters answer")

    followers = [m["number"] for m in survey(first)["members"] if m["role"] == "follower"]
    said = cluster(first, "transfer-leader", str(followers[0]))
    assert (said.returncode, said.stdout.strip()) == (0, str(followers[0]))
    said = cluster(first, "demote", str(followers[1]))
    assert said.returncode == 0, said.stderr
    roles = {m["number"]: m["role"] for m in survey(first)["members"]}
    assert roles[followers[1]] == "observer"
    assert cluster(first, "promote", str(followers[1])).returncode == 0

    said = cluster(first, "remove", "99")
    assert said.returncode == 3 and "there is no member 99" in said.stderr
    assert cluster(first, "remove", "nobody").returncode == 3
    assert cluster(first, "add", "n9", "nonsense").returncode == 2
    nobody = run("cluster", "--admin", "127.0.0.1:1", "members")
    assert nobody.returncode == 5


@pytest.mark.timeout(120)
def test_a_removed_node_ends_with_its_own_exit_code(ensemble):
    first, _, third = ensemble.nodes
    eventually(lambda: survey(first)["quorum"], 20, "a quorum")
    said = cluster(first, "remove", third.name)
    assert said.returncode == 0, said.stderr
    assert third.process.wait(20) == 8, "it says that to start it again changes nothing"
    third.start()
    assert third.process.wait(20) == 8
