"""Two of three nodes are gone: a client that said so goes on reading, and comes back to write."""

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NotReadOnlyCallError
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.protocol.states import KeeperState

from harness import clients
from harness.ensemble import Ensemble
from harness.waiting import eventually
from harness.wire import four_letters

KEYS = """\
read_only = true
four_letter_words = ["isro", "mntr", "ruok", "srvr"]
"""


@pytest.mark.timeout(120)
def test_kazoo_reads_on_without_a_quorum_and_writes_again_with_one(processes):
    ensemble = Ensemble(processes)
    for node in ensemble.nodes:
        node.zookeeper_keys = KEYS
    ensemble.start()
    leader = ensemble.leader()
    third, fourth = ensemble.others(leader)
    client = clients.kazoo(processes, third.hosts, timeout=30, read_only=True)
    client.create("/a", b"before")
    client.create("/e", b"", ephemeral=True)
    session = client.client_id[0]
    assert four_letters(third.zookeeper, "isro") == "rw"

    leader.kill9()
    fourth.kill9()
    eventually(lambda: four_letters(third.zookeeper, "isro") == "ro", 15, "read-only")
    assert "\nMode: read-only\n" in four_letters(third.zookeeper, "srvr")
    assert "zk_server_state\tread-only\n" in four_letters(third.zookeeper, "mntr")
    eventually(lambda: client.client_state == KeeperState.CONNECTED_RO, 15, "kazoo reads only")
    assert client.client_id[0] == session
    assert client.get("/a")[0] == b"before"
    assert "e" in client.get_children("/")
    for write in (
        lambda: client.create("/b", b""),
        lambda: client.set("/a", b"during"),
        lambda: client.delete("/a"),
        lambda: client.sync("/a"),
        lambda: client.transaction().commit(),
    ):
        with pytest.raises(NotReadOnlyCallError):
            write()
    newcomer = clients.kazoo(processes, third.hosts, timeout=10, read_only=True)
    assert newcomer.get("/a")[0] == b"before"
    strict = KazooClient(hosts=third.hosts, timeout=4)
    with pytest.raises(KazooTimeoutError):
        strict.start(timeout=2)
    strict.close()

    leader.start()
    fourth.start()
    for node in ensemble.nodes:
        node.await_ready()
    eventually(lambda: client.client_state == KeeperState.CONNECTED, 20, "kazoo writes again")
    assert client.client_id[0] == session, "it is the same session"
    assert client.exists("/e").ephemeralOwner == session
    client.set("/a", b"after")
    assert client.get("/a")[0] == b"after"
    # Its session was known to one node only, so it has another one now.
    eventually(lambda: newcomer.client_state == KeeperState.CONNECTED, 20, "the newcomer too")
    newcomer.create("/c", b"")
    assert four_letters(third.zookeeper, "isro") == "rw"
