"""Four-letter words and the AdminServer's commands, beside those of Apache ZooKeeper.

Both ensembles have three servers and the same clients; what differs in shape is named here, with its reason.
"""

import json
import re
import socket

import pytest
from kazoo.client import KazooClient

from harness.ensemble import Ensemble
from harness.processes import Processes
from harness.reference_ensemble import ReferenceEnsemble
from harness.waiting import eventually
from harness.wire import connect, four_letters, read_to_end

WORDS = "ruok isro srvr stat mntr cons crst srst conf envi dirs dump wchs wchc wchp".split()
ALLOWED_BY_DEFAULT = {"mntr", "ruok", "srvr"}

# Settings of ZooKeeper's way to agree, which is not ours, and of the socket's backlog.
NOT_IN_CONF = {"clientPortListenBacklog", "initLimit", "syncLimit", "electionAlg"}

# What monitoring reads; the rest of ZooKeeper's list counts its own parts.
MEASURES = {
    "approximate_data_size",
    "avg_latency",
    "ephemerals_count",
    "global_sessions",
    "last_client_response_size",
    "local_sessions",
    "max_client_response_size",
    "max_file_descriptor_count",
    "max_latency",
    "min_client_response_size",
    "min_latency",
    "num_alive_connections",
    "open_file_descriptor_count",
    "outstanding_requests",
    "packets_received",
    "packets_sent",
    "peer_state",
    "quorum_size",
    "server_state",
    "uptime",
    "version",
    "watch_count",
    "znode_count",
}
MEASURES_OF_LEADER = {
    "last_proposal_size",
    "learners",
    "max_proposal_size",
    "min_proposal_size",
    "synced_followers",
    "synced_observers",
}

# Trace masks, and connections to observers, which are no thing of ours.
NOT_COMMANDS = {"get_trace_mask", "set_trace_mask", "observer_connection_stat_reset"}
# Of ZooKeeper 3.9; Debian's is older.
NEWER_COMMANDS = {"restore", "shed_connections", "snapshot"}

# What ZooKeeper's commands tell and ours leave out, because there is no such thing to measure.
LEFT_OUT = {
    "configuration": {"client_port_listen_backlog"},
    "server_stats": {
        "server_stats.auth_failed_count",
        "server_stats.fsync_threshold_exceed_count",
        "server_stats.non_mtlslocal_conn_count",
        "server_stats.non_mtlsremote_conn_count",
    },
    "environment": {
        "java.class.path",
        "java.compiler",
        "java.home",
        "java.io.tmpdir",
        "java.library.path",
        "java.vendor",
        "java.version",
        "os.memory.free",
        "os.memory.max",
        "os.memory.total",
    },
}
LEFT_OUT["stats"] = LEFT_OUT["server_stats"]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Our three nodes and Apache's three servers, a client on each, all words allowed."""
    started = Processes(tmp_path_factory.mktemp("words"))
    try:
        ours = Ensemble(started)
        for node in ours.nodes:
            node.zookeeper_keys = 'four_letter_words = ["*"]\n'
        ours.start()
        theirs = ReferenceEnsemble(started)
        ports = [node.zookeeper for node in ours.nodes]
        ports += [server.client for server in theirs.servers]
        for port in ports:
            _use(started, port)
        yield ours, theirs
    finally:
        started.close()


def _use(started, port):
    """A session that goes on, with an ephemeral znode and watches of both kinds."""
    client = KazooClient(hosts=f"127.0.0.1:{port}", timeout=10)
    client.start(timeout=20)
    started.on_close(client.stop)
    client.ensure_path(f"/used/{port}")
    client.create(f"/used/{port}/here", b"x", ephemeral=True)
    client.get(f"/used/{port}", watch=print)
    client.get_children(f"/used/{port}", watch=print)
    client.exists(f"/used/{port}/absent", watch=print)


@pytest.fixture(params=["leader", "follower"])
def pair(request, two):
    """One server of each kind in the same role, ours first."""
    ours, theirs = two
    if request.param == "leader":
        return ours.leader(), theirs.leader()
    return ours.others(ours.leader())[0], theirs.follower()


def shape(text):
    """A text without its values: numbers, ids, paths, dates and names of machines give way to a letter."""
    text = re.sub(r"version[:=] ?.*", "version", text)
    text = re.sub(r"expire at .*:", "expire at D:", text)
    text = re.sub(r"/used/\d+", "/used/N", text)
    text = re.sub(r"0x[0-9a-f]+", "X", text)
    text = re.sub(r"lop=[A-Z]+", "lop=L", text)
    text = re.sub(r"-?\d+(\.\d+)+", "N", text)
    return re.sub(r"-?\d+", "N", text)


def both(pair, word):
    node, server = pair
    return four_letters(node.zookeeper, word), four_letters(server.client, word)


def keys(text, separator):
    return [line.partition(separator)[0] for line in text.splitlines()]


def paths(value, prefix=""):
    """Every field of a JSON object by its place; names that are data count as one."""
    found = set()
    for name, inner in value.items():
        name = "N" if re.fullmatch(r"-?\d+|/.*", name) else name
        found.add(prefix + name)
        inner = inner[0] if isinstance(inner, list) and inner else inner
        if isinstance(inner, dict):
            found |= paths(inner, f"{prefix}{name}.")
    return found


@pytest.mark.parametrize("word", ["ruok", "isro", "crst", "srst"])
def test_short_answers_are_the_same_bytes(pair, word):
    ours, theirs = both(pair, word)
    assert ours == theirs


def test_srvr_says_what_apache_zookeeper_says_line_by_line(pair):
    ours, theirs = both(pair, "srvr")
    assert shape(ours) == shape(theirs)
    assert re.search(r"^Zookeeper version: 3\.\d+\.\d+", ours)
    assert re.search(r"^Zxid: 0x[0-9a-f]+$", ours, re.M)


def test_stat_and_cons_describe_connections_as_apache_zookeeper_does(pair):
    for word in ("stat", "cons"):

        def same(word=word):
            ours, theirs = (sorted(shape(text).splitlines()) for text in both(pair, word))
            return ours == theirs or (ours, theirs)

        # A client pings when it likes, and `srst` and `crst` of other tests may be just behind.
        eventually(lambda: same() is True, 15, f"{word} is alike: {same()}")


def test_mntr_has_the_keys_that_monitoring_reads(pair):
    ours, theirs = both(pair, "mntr")
    assert all(re.fullmatch(r"zk_\w+\t\S.*", line) for line in ours.splitlines()), ours
    names = {key.removeprefix("zk_") for key in keys(ours, "\t")}
    is_leader = "zk_server_state\tleader\n" in ours
    assert names == MEASURES | (MEASURES_OF_LEADER if is_leader else set())
    assert names <= {key.removeprefix("zk_") for key in keys(theirs, "\t")}
    for key in ("server_state", "peer_state", "synced_followers", "learners", "quorum_size"):
        line = rf"^zk_{key}\t.*$"
        assert re.findall(line, ours, re.M) == re.findall(line, theirs, re.M)


def test_conf_has_the_keys_of_apache_zookeeper(pair):
    ours, theirs = both(pair, "conf")
    known = [key for key in keys(theirs, "=") if key not in NOT_IN_CONF]
    known = [key for key in known if not re.match(r"server\.|version|membership", key)]
    assert [key for key in keys(ours, "=") if key in known] == known
    assert re.search(r"^dataDir=/.*\n", ours, re.M)


def test_envi_has_what_is_not_java(pair):
    ours, theirs = both(pair, "envi")
    known = [key for key in keys(theirs, "=") if not re.match(r"java\.|os\.memory", key)]
    assert keys(ours, "=") == known


def test_dirs_are_sizes(pair):
    ours, theirs = both(pair, "dirs")
    assert shape(ours) == shape(theirs)


def test_dump_lists_sessions_as_apache_zookeeper_does(pair):
    def normal(text):
        # Ours go by the second where theirs go by the tick, so the sets may differ.
        text = re.sub(r"N expire at D:\n", "", shape(text))
        # Theirs also drop connections by a clock of their own.
        return text.partition("Connections dump:")[0]

    ours, theirs = both(pair, "dump")
    assert normal(ours) == normal(theirs)


def test_watches_are_listed_as_apache_zookeeper_does(pair):
    ours, theirs = both(pair, "wchc")
    # Theirs leaves out those of children, which are on a path that is listed anyway.
    assert sorted(shape(ours).splitlines()) == sorted(shape(theirs).splitlines())
    ours, theirs = both(pair, "wchp")
    assert sorted(shape(ours).splitlines()) == sorted(shape(theirs).splitlines())
    ours, theirs = both(pair, "wchs")
    assert shape(ours) == shape(theirs)
    assert ours == "1 connections watching 2 paths\nTotal watches:3\n"


def test_commands_are_those_of_apache_zookeeper(pair):
    node, server = pair
    theirs = set()
    with connect(server.admin) as stream:
        stream.sendall(b"GET /commands HTTP/1.0\r\n\r\n")
        listed = read_to_end(stream).decode()
    theirs.update(re.findall(r'href="/commands/(\w+)"', listed))
    status, text = node.page("/commands")
    ours = {path.removeprefix("/commands/") for path in json.loads(text)["commands"]}
    assert status == 200
    assert ours == theirs - NOT_COMMANDS | NEWER_COMMANDS


@pytest.mark.parametrize(
    "name",
    [
        "configuration",
        "connections",
        "connection_stat_reset",
        "dirs",
        "dump",
        "environment",
        "initial_configuration",
        "is_read_only",
        "last_snapshot",
        "leader",
        "observers",
        "ruok",
        "server_stats",
        "stat_reset",
        "stats",
        "watches",
        "watches_by_path",
        "watch_summary",
    ],
)
def test_a_command_has_the_fields_of_apache_zookeeper(pair, name):
    node, server = pair
    status, text = node.page(f"/commands/{name}")
    ours, theirs = json.loads(text), server.command(name)
    assert (status, ours["command"], ours["error"]) == (200, name, None)
    assert paths(theirs) - paths(ours) == LEFT_OUT.get(name, set())


def test_monitor_is_mntr_as_json(pair):
    node, server = pair
    ours = json.loads(node.page("/commands/monitor")[1])
    told = keys(four_letters(node.zookeeper, "mntr"), "\t")
    assert set(ours) == {key.removeprefix("zk_") for key in told} | {"command", "error"}
    theirs = server.command("monitor")
    assert all(type(ours[key]) is type(theirs[key]) for key in ours)


def test_members_tell_the_state_of_the_ensemble(pair):
    node, server = pair
    ours = json.loads(node.page("/commands/zabstate")[1])
    theirs = server.command("zabstate")
    assert set(theirs) == set(ours)
    for key in ("is_leader", "voting", "zabstate"):
        assert ours[key] == theirs[key]
    view = json.loads(node.page("/commands/voting_view")[1])
    assert set(server.command("voting_view")) == set(view)


def test_equal_trees_have_equal_digests(two):
    ours, _ = two

    def digests():
        pages = [json.loads(node.page("/commands/hash")[1]) for node in ours.nodes]
        return {json.dumps(page["digests"]) for page in pages}

    eventually(lambda: len(digests()) == 1, 10, "one digest on all nodes")


@pytest.mark.parametrize("name", sorted(NEWER_COMMANDS))
def test_what_would_change_a_node_is_refused_with_a_reason(pair, name):
    status, text = pair[0].page(f"/commands/{name}")
    answer = json.loads(text)
    assert status == 501
    assert answer["command"] == name and len(answer["error"]) > 20


def test_an_unknown_command_is_not_found(pair):
    node, server = pair
    status, text = node.page("/commands/nosuch")
    assert status == 404
    assert json.loads(text) == server.command("nosuch")


def test_only_monitoring_is_answered_by_default(shared):
    port = shared.nodes[0].zookeeper
    for word in WORDS:
        answer = four_letters(port, word)
        refusal = f"{word} is not executed because it is not in the whitelist.\n"
        assert (answer == refusal) == (word not in ALLOWED_BY_DEFAULT), word
    for node in shared.nodes:
        assert four_letters(node.zookeeper, "ruok") == "imok"


@pytest.mark.parametrize("pieces", [["ruok\n"], ["ruok\r\n"], ["ru", "ok"]])
def test_words_may_come_in_pieces_and_end_with_a_newline(shared, pieces):
    with connect(shared.nodes[0].zookeeper) as stream:
        for piece in pieces:
            stream.sendall(piece.encode())
        assert read_to_end(stream) == b"imok"


def test_one_who_asks_may_close_his_side_first(shared):
    with connect(shared.nodes[0].zookeeper) as stream:
        stream.sendall(b"srvr")
        stream.shutdown(socket.SHUT_WR)
        assert b"\nNode count: " in read_to_end(stream)


def test_letters_that_are_no_word_are_not_answered(shared):
    assert four_letters(shared.nodes[0].zookeeper, "zzzz") == ""
