"""A member that was away longer than the log reaches back, as real processes that are stopped and killed."""

import json

import pytest

from harness import clients
from harness.waiting import eventually

# More than lie between two snapshots (100,000), so that the log is purged of what the member lacks.
WRITES = 130_000
# A batch of asynchronous writes that kazoo is given at once.
BATCH = 2_000
LARGE = b"x" * 900_000
# A tree that takes a second to send.
LARGE_ZNODES = 150


def write_many(client, count, size):
    """Overwrites one znode so many times; the last one has arrived when this returns."""
    data = b"y" * size
    for _ in range(count // BATCH):
        for pending in [client.set_async("/busy", data) for _ in range(BATCH)]:
            pending.get(timeout=60)


def digest(node):
    """Zxid and digest of a node's tree."""
    return tuple(json.loads(node.page("/commands/hash")[1])["digests"][0].values())


def await_equal(nodes, timeout=60):
    """Waits until all nodes have the same tree, of the same zxid."""
    eventually(lambda: len({digest(node) for node in nodes}) == 1, timeout, "equal trees")


def drafts(node):
    """Sizes of the unfinished snapshots of a node."""
    return [file.stat().st_size for file in (node.directory / "data").glob("snap-*.tmp")]


@pytest.mark.timeout(300)
def test_a_frozen_follower_costs_its_leader_no_memory(ensemble, processes, figure):
    leader = ensemble.leader()
    frozen, third = ensemble.others(leader)
    client = clients.kazoo(processes, leader.hosts, timeout=30)
    client.create("/busy", b"")
    client.create("/watched", b"before")
    events = []
    watcher = clients.kazoo(processes, f"{frozen.hosts},{third.hosts}", timeout=40)
    session = watcher.client_id[0]
    watcher.get("/watched", watch=events.append)
    watcher.create("/held", ephemeral=True)
    # What a log of a few thousand entries and its caches take, before it counts.
    write_many(client, 10_000, 1_000)
    before = leader.process.rss_kib()
    frozen.process.pause()
    client.set("/watched", b"after")
    most = 0
    for _ in range(WRITES // 10_000):
        write_many(client, 10_000, 1_000)
        most = max(most, leader.process.rss_kib())
    figure("MiB that the leader grew while 130 MB went past a frozen follower", (most - before) >> 10)
    assert most - before < 48 << 10
    frozen.process.resume()
    frozen.await_ready(60)
    await_equal(ensemble.nodes)
    eventually(lambda: events, 20, "the watch that was set before fires")
    assert watcher.client_id[0] == session
    assert watcher.exists("/held")


@pytest.mark.timeout(300)
def test_a_snapshot_arrives_though_both_ends_are_killed_while_it_is_sent(ensemble, processes):
    leader = ensemble.leader()
    absent, third = ensemble.others(leader)
    client = clients.kazoo(processes, f"{third.hosts},{leader.hosts}", timeout=30)
    client.create("/busy", b"")
    absent.kill9()
    for number in range(LARGE_ZNODES):
        client.create(f"/large-{number}", LARGE)
    write_many(client, WRITES, 10)

    absent.start()
    eventually(lambda: max(drafts(absent)) > 8 << 20, 30, "a snapshot on its way")
    absent.kill9()
    assert drafts(absent)
    absent.start()
    eventually(lambda: max(drafts(absent)) > 8 << 20, 30, "a snapshot on its way again")
    assert len(drafts(absent)) == 1, "the draft of the killed process is gone"
    leader = ensemble.leader()
    leader.kill9()
    leader.start()
    for node in ensemble.nodes:
        node.await_ready(60)
    client.retry(client.set, "/busy", b"last")
    await_equal(ensemble.nodes)
    for node in ensemble.nodes:
        eventually(lambda node=node: not drafts(node), 10, f"no draft left at {node.name}")
        assert node.metric("zoogate_digest_differences_total") == 0
