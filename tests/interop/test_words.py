"""Four-letter words as monitoring asks them: over a bare socket, as Apache ZooKeeper answers."""

import re

import pytest

from harness.wire import connect, four_letters, read_to_end


def lines(text):
    """The keys of an answer's lines."""
    return [re.split(r"[:\t]", line)[0] for line in text.splitlines()]


def test_ruok_is_answered_by_every_node(shared):
    for node in shared.nodes:
        assert four_letters(node.zookeeper, "ruok") == "imok"


def test_srvr_says_what_apache_zookeeper_says_line_by_line(shared, apache):
    expected = lines(four_letters(apache.port, "srvr"))
    modes = []
    for node in shared.nodes:
        text = four_letters(node.zookeeper, "srvr")
        assert lines(text) == expected
        assert re.search(r"^Zookeeper version: 3\.\d+\.\d+", text)
        assert re.search(r"^Zxid: 0x[0-9a-f]+$", text, re.M)
        modes += re.findall(r"^Mode: (\w+)$", text, re.M)
    assert sorted(modes) == ["follower", "follower", "leader"]


def test_mntr_has_the_keys_that_monitoring_reads(shared):
    wanted = {
        "zk_version",
        "zk_server_state",
        "zk_avg_latency",
        "zk_max_latency",
        "zk_min_latency",
        "zk_packets_received",
        "zk_packets_sent",
        "zk_num_alive_connections",
        "zk_outstanding_requests",
        "zk_znode_count",
        "zk_watch_count",
        "zk_ephemerals_count",
        "zk_approximate_data_size",
        "zk_open_file_descriptor_count",
        "zk_max_file_descriptor_count",
    }
    for node in shared.nodes:
        text = four_letters(node.zookeeper, "mntr")
        assert all(re.fullmatch(r"zk_\w+\t\S.*", line) for line in text.splitlines()), text
        assert wanted <= set(lines(text))
        state = re.search(r"^zk_server_state\t(\w+)$", text, re.M).group(1)
        assert ("zk_synced_followers" in lines(text)) == (state == "leader")
    leader = shared.leader()
    assert "zk_synced_followers\t2" in four_letters(leader.zookeeper, "mntr")


@pytest.mark.parametrize("word", ["ruok\n", "ruok\r\n"])
def test_words_may_end_with_a_newline(shared, word):
    with connect(shared.nodes[0].zookeeper) as stream:
        stream.sendall(word.encode())
        assert read_to_end(stream) == b"imok"


def test_words_that_are_not_allowed_say_so_as_apache_zookeeper_does(shared):
    for word in ("conf", "dump", "envi"):
        answer = four_letters(shared.nodes[0].zookeeper, word)
        assert answer == f"{word} is not executed because it is not in the whitelist.\n"
