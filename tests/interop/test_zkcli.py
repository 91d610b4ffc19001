"""zkCli.sh, unmodified: against a node it prints what it prints against Apache ZooKeeper."""

import difflib
import re

from harness import clients

SCRIPT = """
create /cli hello
get /cli
get -s /cli
create -e /cli/ephemeral mine
create -e -s /cli/worker- one
create -s /cli/job- two
ls /cli
ls -s /cli
ls -R /cli
stat /cli
set /cli second
set -s /cli third
set -v 2 /cli fourth
set -v 2 /cli stale
create /cli/deep/er no-parent
create /cli again
create relative x
create /trailing/ x
getAcl /cli
getAcl -s /cli
addauth digest ann:secret
create /cli/private hers auth::cdrwa
getAcl /cli/private
setAcl /cli world:anyone:crda
setAcl /cli world:anyone:cdrwa
getAcl /cli
setAcl -v 7 /cli world:anyone:cdrwa
get /nowhere
set /nowhere x
delete /nowhere
delete /cli
create /cli/versioned x
delete -v 9 /cli/versioned
delete /cli/versioned
ls /zookeeper
ls /zookeeper/quota
get /zookeeper/nothing
sync /cli
version
unknown-command
deleteall /cli
ls /cli
stat /cli
quit
"""

# What two runs cannot have in common: zxids, times and session ids, how zkCli.sh was built, and when its other
# thread says that it is connected.
DIFFERENCES = [
    (re.compile(r"^WatchedEvent state:SyncConnected type:None path:null\n", re.M), ""),
    (re.compile(r"0x[0-9a-f]+"), "0x#"),
    (re.compile(r"^([cm]time) = .*$", re.M), r"\1 = #"),
    (re.compile(r"^(ZooKeeper CLI version).*$", re.M), r"\1 #"),
]


def normal(text):
    for pattern, replacement in DIFFERENCES:
        text = pattern.sub(replacement, text)
    return text.splitlines()


def test_zkcli_prints_what_it_prints_against_apache_zookeeper(shared, apache, figure):
    commands = SCRIPT.strip().splitlines()
    expected = normal(clients.zkcli(apache.hosts, *commands))
    said = normal(clients.zkcli(shared.nodes[1].hosts, *commands))
    figure("commands", len(commands))
    figure("lines compared", len(expected))
    assert len(expected) > 100
    difference = difflib.unified_diff(expected, said, "apache", "zoogate", lineterm="")
    assert said == expected, "\n".join(difference)


def test_zkcli_sees_through_one_node_what_was_written_through_another(shared):
    first, second, third = shared.nodes
    assert "Created /shared" in clients.zkcli(first.hosts, "create /shared one", "quit")
    text = clients.zkcli(second.hosts, "sync /shared", "get /shared", "set /shared two", "quit")
    assert "Sync is OK" in text and "one" in text
    text = clients.zkcli(third.hosts, "sync /shared", "get -s /shared", "deleteall /shared", "quit")
    assert "two" in text and "dataVersion = 1" in text


def test_zkcli_ephemeral_goes_with_its_session(shared, processes):
    node = shared.nodes[0]
    text = clients.zkcli(node.hosts, "create /held", "create -e -s /held/e- x", "ls /held", "quit")
    assert "[e-0000000000]" in text
    client = clients.kazoo(processes, shared.nodes[2].hosts)
    client.sync("/held")
    assert client.get_children("/held") == []
    client.delete("/held")


def test_zkcli_watch_prints_the_event(shared):
    text = clients.zkcli(
        shared.nodes[2].hosts,
        "create /watched a",
        "get -w /watched",
        "set /watched b",
        "ls -w /watched",
        "create /watched/child",
        "stat -w /watched/child",
        "delete /watched/child",
        "stat -w /watched",
        "delete /watched",
        "quit",
    )
    for event, path in [
        ("NodeDataChanged", "/watched"),
        ("NodeChildrenChanged", "/watched"),
        ("NodeDeleted", "/watched/child"),
        ("NodeDeleted", "/watched"),
    ]:
        assert f"type:{event} path:{path}\n" in text, text


def test_operations_that_are_not_served_yet_are_refused_and_the_session_goes_on(shared):
    """Each of these moves into the comparison above when it is served."""
    text = clients.zkcli(
        shared.nodes[0].hosts,
        "create /later",
        "getEphemerals /later",
        "getAllChildrenNumber /later",
        "create -c /later/container",
        "create -t 9000 /later/ttl",
        "addWatch -m PERSISTENT_RECURSIVE /later",
        "ls /later",
        "delete /later",
        "quit",
    )
    assert text.count("Unimplemented") == 5, text
    assert "\n[]\n" in text, text
