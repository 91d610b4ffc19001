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
whoami
create -c /cli/container
create /cli/container/child
create -t 60000 /cli/timed mine
create -s -t 60000 /cli/timed-
create -t 0 /cli/timeless
create -e -t 60000 /cli/contradiction
stat /cli/container
stat /cli/timed
getAllChildrenNumber /cli
getAllChildrenNumber /nowhere
getEphemerals
getEphemerals /cli
getEphemerals /cli/w
getEphemerals /nowhere
setquota -n 5 /cli/container
setquota -n 4 /cli/container
setquota -b 100 /cli/container
listquota /cli/container
create /cli/container/second 0123456789
listquota /cli/container
setquota -N 4 /cli/container
setquota -B 90 /cli/container
create /cli/container/third
create /cli/container/fourth
set /cli/container/second 01234567890123456789012345678901234567890123456789012345678901234567890123456789012345
listquota /cli/container
setquota -n 9 /cli/container/second
delquota -n /cli/container
listquota /cli/container
delquota /cli/container
listquota /cli/container
delquota /nowhere
setquota -n 5 /nowhere
addWatch /cli/container
addWatch -m PERSISTENT /cli
addWatch -m NEVER /cli
removewatches /cli/container
removewatches /cli -a
removewatches /cli
removewatches /cli -c
get -w /cli
removewatches /cli -d
ls -w /cli
removewatches /cli -c -l
printwatches
printwatches off
printwatches
printwatches on
setAcl -R /cli/container world:anyone:cdra
getAcl /cli/container/second
set /cli/container/second refused
setAcl -R /cli/container world:anyone:cdrwa
setAcl -s /cli world:anyone:cdrwa
create /cli/noread x world:anyone:cwda
get /cli/noread
ls /cli/noread
getAcl /cli/noread
create /cli/digest x digest:bob:notahash:r
create /cli/digest x digest:bob:notahash
create /cli/digest x ip:127.0.0.1:cdrwa
getAcl /cli/digest
create /cli/nonsense x nonsense:who:cdrwa
setAcl /cli/noread world:anyone:cdrwa
delete /cli/digest
ls -R -s /cli
delete /cli/container/second
deleteall /cli/container -b 2
redo 1
redo 999
history
reconfig -remove 7
help
deleteall /cli
ls /cli
stat /cli
close
ls /
quit
"""

# Events that the script has zkCli hear.
EVENTS = 4

# What two runs cannot have in common: zxids, times and session ids, how zkCli.sh was built, and when its other
# thread says that it is connected or not any more.
DIFFERENCES = [
    (re.compile(r"^WatchedEvent state:(SyncConnected|Closed) type:None path:null\n", re.M), ""),
    (re.compile(r"0x[0-9a-f]+"), "0x#"),
    (re.compile(r"^([cm]time) = .*$", re.M), r"\1 = #"),
    (re.compile(r"^(ZooKeeper CLI version).*$", re.M), r"\1 #"),
    # Identities come out of a hash table there, in order of proof here.
    (re.compile(r"^ip: 127.0.0.1\ndigest: ann$", re.M), "digest: ann\nip: 127.0.0.1"),
]


def normal(text):
    for pattern, replacement in DIFFERENCES:
        text = pattern.sub(replacement, text)
    return text.splitlines()


def threads(text):
    """What was printed for the commands, and the watch events, which another thread prints."""
    lines = normal(text)
    events = [line for line in lines if line.startswith("WatchedEvent")]
    return [line for line in lines if line not in events], events


def complete(hosts, commands):
    """What a run printed for the commands, and its events. zkCli's other thread now and then loses one of them when the
    session is closed, whatever the server; such a run is done again, as the script leaves nothing behind."""
    for _ in range(3):
        said, events = threads(clients.zkcli(hosts, *commands))
        if len(events) >= EVENTS:
            break
    return said, events


def test_zkcli_prints_what_it_prints_against_apache_zookeeper(shared, apache, figure):
    commands = SCRIPT.strip().splitlines()
    expected, events = complete(apache.hosts, commands)
    said, events_here = complete(shared.nodes[1].hosts, commands)
    figure("commands", len(commands))
    figure("lines compared", len(expected))
    assert len(expected) > 250 and len(events) >= EVENTS
    difference = difflib.unified_diff(expected, said, "apache", "zoogate", lineterm="")
    assert said == expected, "\n".join(difference)
    assert events_here == events


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


def test_zkcli_watch_that_was_added_prints_each_event_until_it_is_removed(shared):
    text = clients.zkcli(
        shared.nodes[0].hosts,
        "addWatch -m PERSISTENT_RECURSIVE /below",
        "create /below",
        "create /below/child",
        "set /below/child x",
        "removewatches /below",
        "set /below/child y",
        "deleteall /below",
        "quit",
    )
    for event, path in [
        ("NodeCreated", "/below"),
        ("NodeCreated", "/below/child"),
        ("NodeDataChanged", "/below/child"),
    ]:
        assert text.count(f"type:{event} path:{path}\n") == 1, text
    assert "type:NodeDeleted" not in text, text


def test_zkcli_shows_the_members_in_the_config_and_every_command_of_its_help_was_run(shared):
    node = shared.nodes[0]
    text = clients.zkcli(node.hosts, "config", "config -c", "help", "quit")
    for number, member in enumerate(shared.nodes, 1):
        peer = f"127.0.0.1:{member.peer}:0"
        line = f"server.{number}={peer}:participant;127.0.0.1:{member.zookeeper}"
        assert f"{line}\n" in text, text
    (hosts,) = re.findall(r"^[0-9a-f]+ (127[^;\n]*)$", text, re.M)
    assert sorted(hosts.split(",")) == sorted(member.hosts for member in shared.nodes)
    offered = set(re.findall(r"^\t(\w+)", text, re.M))
    run = {line.split()[0] for line in SCRIPT.strip().splitlines()} | {"config"}
    # `connect` wants another server's address: the next test.
    assert offered - run == {"connect"}


def test_zkcli_connects_to_another_node_with_a_session_of_its_own(shared):
    first, second, _ = shared.nodes
    text = clients.zkcli(
        first.hosts, "create -e /first", f"connect {second.hosts}", "ls /", "getEphemerals", "quit"
    )
    assert "Created /first" in text and "[zookeeper]\n[]\n" in text, text
