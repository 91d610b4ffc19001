"""The C client's command line, cli_mt: against a node it prints what it prints against Apache ZooKeeper."""

import difflib
import re

from harness import clients

SCRIPT = """
create /c
set /c hello
get /c
exists /c
create2 /c/two
create +e /c/ephemeral
create +s /c/sequential-
create +es /c/both-
create +c /c/container
create2 +t=60000 /c/ttl
create2 +st=60000 /c/ttl-
create /c
create /c/no/parent
create relative
ls /c
ls2 /c
wexists /c/awaited
create /c/awaited
delete /c/awaited
sync /c
sync /nowhere
addauth digest ann:secret
acreate /c/async
aget /c
aset /c later
async /c
get /c
adelete /c/async
als /c
als2 /c
aexists /c
exists /c/async
delete /c
delete /nowhere
set /nowhere x
get /nowhere
ls /nowhere
delete /c/two
delete /c/ephemeral
delete /c/sequential-0000000002
delete /c/both-0000000003
delete /c/container
delete /c/ttl
delete /c/ttl-0000000006
delete /c
exists /c
quit
"""

# Ids and times differ from run to run, and children have no order.
DIFFERENCES = [
    (re.compile(r"^(time|Got a new session id|Watcher SESSION|.*ZOO_).*\n", re.M), ""),
    (re.compile(r"\b0x[0-9a-f]+|\b[0-9a-f]{10,}"), "#"),
    (re.compile(r"(ctime|[cm]zxid|pzxid|mtime|ephemeralOwner|czxid) ?= ?\S+"), r"\1=#"),
    (re.compile(r"^\s*(ctime|mtime|czxid|mzxid|pzxid).*$", re.M), r"\1"),
    (re.compile(r"(^\t[^=\n]+\n)+", re.M), lambda found: "".join(sorted(found[0].splitlines(True)))),
]


def normalised(text):
    """The lines, without what differs from run to run."""
    for pattern, replacement in DIFFERENCES:
        text = pattern.sub(replacement, text)
    return text.splitlines()


def test_the_c_client_prints_what_it_prints_against_apache_zookeeper(shared, apache, figure):
    commands = [(ending(line), line) for line in SCRIPT.strip().splitlines()]
    expected = normalised(clients.cli_mt(apache.hosts, commands))
    said = normalised(clients.cli_mt(shared.nodes[2].hosts, commands))
    figure("commands", len(commands))
    figure("lines compared", len(expected))
    assert len(expected) > 60
    difference = difflib.unified_diff(expected, said, "apache", "zoogate", lineterm="")
    assert said == expected, "\n".join(difference)


def ending(line):
    """How the answer to a command ends, unless nobody but the thread that reads commands says anything."""
    verb = line.split()[0]
    if "exists" in verb or verb == "addauth":
        return None
    return verb if verb in clients.CLI_MT_ENDS else verb.removeprefix("a")
