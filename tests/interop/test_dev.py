"""`zoogate dev`: a whole ensemble to try things on, with one command and nothing prepared."""

import re

import pytest

from harness import clients, traffic
from harness.binary import BINARY
from harness.waiting import eventually

ADDRESS = r"(?:http://)?127\.0\.0\.1:(\d+)/?"
NODE = re.compile(rf"^(n\d+)\s+{ADDRESS}\s+{ADDRESS}\s+{ADDRESS}\s+{ADDRESS}$")


@pytest.fixture
def dev(processes):
    """Starts `zoogate dev`; the process and, by node, the ports it prints."""

    def start(*arguments):
        command = [BINARY, "dev", "--free-ports", *arguments]
        process = processes.start(f"dev-{len(processes.tails())}", command)
        process.await_line("Ctrl-C", 30)
        rows = [match.groups() for line in process.lines() if (match := NODE.match(line))]
        names = ("zookeeper", "http", "tcp", "admin")
        return process, {row[0]: dict(zip(names, map(int, row[1:]), strict=True)) for row in rows}

    return start


def test_dev_serves_its_samples_through_every_node_and_stops_on_term(dev, figure):
    process, nodes = dev()
    assert set(nodes) == {"n1", "n2", "n3"}
    for ports in nodes.values():
        answers = {traffic.get(ports["http"]) for _ in range(9)}
        assert len(answers) == 3, answers
        assert traffic.get(ports["admin"], path="/readyz") == "ready\n"
        assert all("sample-" in answer for answer in answers)
    figure("answers", sorted(answers))
    assert process.stop() == 0


def test_commands_that_dev_suggests_work(dev, processes):
    process, nodes = dev("--nodes", "1", "--backends", "2")
    suggested = [line.strip() for line in process.lines() if line.startswith(" ")]
    assert len(suggested) == 3, process.lines()
    outputs = []
    for number, command in enumerate(suggested):
        shell = processes.start(f"suggested-{number}", ["sh", "-c", command])
        assert shell.wait(20) == 0, shell.tail()
        outputs.append(shell.lines())
    assert "sample-" in "".join(outputs[0])
    assert len(outputs[1]) == 2
    assert outputs[2] == ["/zoogate/config/services/web"]
    ports = nodes["n1"]
    eventually(lambda: '"consistent-hash"' in traffic.get(ports["admin"], path="/v1/services"))
    assert len({traffic.get(ports["http"]) for _ in range(6)}) == 1
    assert process.stop() == 0


def test_dev_keeps_its_data_where_it_is_told_to(dev, processes, tmp_path):
    directory = tmp_path / "kept"
    process, nodes = dev("--nodes", "1", "--backends", "0", "--data-dir", directory)
    client = clients.kazoo(processes, f"127.0.0.1:{nodes['n1']['zookeeper']}")
    client.create("/kept", b"over restarts")
    client.stop()
    assert process.stop() == 0
    process, nodes = dev("--nodes", "1", "--backends", "0", "--data-dir", directory)
    client = clients.kazoo(processes, f"127.0.0.1:{nodes['n1']['zookeeper']}")
    assert client.get("/kept")[0] == b"over restarts"


def test_dev_removes_its_own_directory(dev, processes):
    process, _ = dev("--nodes", "1", "--backends", "0")
    directory = re.search(r"data in (\S+), removed", "\n".join(process.lines())).group(1)
    assert process.stop() == 0
    listing = processes.start("listing", ["ls", directory])
    assert listing.wait() != 0
