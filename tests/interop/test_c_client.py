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

# Three threads speak: who reads commands, who hears replies, who hears of events. Each keeps its order.
EVENT = re.compile(r"^Watcher (?!SESSION).*$", re.M)
# Data may end without a new line, and an echo come behind it.
ECHO = re.compile(r"(Creating \[|^Error|^Path|^Quitting).*$", re.M)
# Ids and times differ from run to run.
DIFFERENCES = [
    (re.compile(r"^(time|Got a new session id|Watcher SESSION|.*ZOO_).*\n", re.M), ""),
    (re.compile(r"\b0x[0-9a-f]+|\b[0-9a-f]{10,}"), "#"),
    (re.compile(r"(ctime|[cm]zxid|pzxid|mtime|ephemeralOwner|czxid) ?= ?\S+"), r"\1=#"),
    (re.compile(r"^\s*(ctime|mtime|czxid|mzxid|pzxid).*$", re.M), r"\1"),
]


def taken_apart(text):
    """What each thread said: events, echoes, and replies with the names of children sorted."""
    for pattern, replacement in DIFFERENCES:
        text = pattern.sub(replacement, text)
    events = EVENT.findall(text)
    echoes = [found.group() for found in ECHO.finditer(text)]
    lines, children = [], []
    for line in ECHO.sub("", EVENT.sub("", text)).splitlines():
        if line.startswith("\t") and "=" not in line:
            children.append(line)
            continue
        if line:
            lines += [*sorted(children), line]
            children = []
    return events, echoes, lines + sorted(children)


# Its threads write to one terminal without a lock: now and then one breaks into the other's line, on either side.
ATTEMPTS = 4


def test_the_c_client_prints_what_it_prints_against_apache_zookeeper(shared, apache, figure):
    commands = SCRIPT.strip().splitlines()
    for attempt in range(ATTEMPTS):
        *threads, expected = taken_apart(clients.cli_mt(apache.hosts, commands))
        *threads_here, said = taken_apart(clients.cli_mt(shared.nodes[2].hosts, commands))
        if (threads_here, said) == (threads, expected):
            break
    figure("commands", len(commands))
    figure("lines compared", len(expected))
    figure("attempts", attempt + 1)
    assert len(expected) > 60 and all(threads)
    difference = difflib.unified_diff(expected, said, "apache", "zoogate", lineterm="")
    assert said == expected, "\n".join(difference)
    assert threads_here == threads
