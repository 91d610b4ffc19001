"""A node whose disk hangs is replaced and ends; one that was only paused, or starved, lives on."""

import os
import signal
import subprocess
import threading
import time

import pytest

from harness import wire
from harness.ensemble import Ensemble
from harness.waiting import eventually

from test_takeover import Client, write_at_last

# What is promised from the first write that hangs on; a loaded machine gets as much again.
REPLACED = 5.0
ENDED = 5.0
SLACK = 2
# Whatever a test forgets, a frozen disk thaws.
THAW_AFTER = 40
IMAGE = "256M"
STALLED = "makes no progress"


class Disk:
    """A file system of its own for the data of one node."""

    def __init__(self, node, directory):
        self.where = node.directory / "data"
        self.where.mkdir()
        image = directory / f"{node.name}.image"
        run("truncate", "-s", IMAGE, image)
        run("mkfs.ext4", "-q", "-F", image)
        run("mount", "-o", "loop", image, self.where)
        self.timer = None

    def freeze(self):
        self.timer = threading.Timer(THAW_AFTER, self.thaw)
        self.timer.start()
        run("fsfreeze", "-f", self.where)

    def thaw(self):
        if self.timer:
            self.timer.cancel()
            self.timer = None
            subprocess.run(["fsfreeze", "-u", self.where], check=False)

    def remove(self):
        self.thaw()
        run("umount", "-l", self.where)


def run(*command):
    subprocess.run([str(part) for part in command], check=True, capture_output=True)


@pytest.fixture
def disks(processes, tmp_path):
    """An ensemble whose nodes have a file system each, and those, by node."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount and freeze file systems")
    ensemble = Ensemble(processes)
    disks = {}
    try:
        for node in ensemble.nodes:
            disks[node] = Disk(node, tmp_path)
        yield ensemble.start(), disks
    finally:
        for disk in disks.values():
            disk.thaw()
        processes.close()
        for disk in disks.values():
            disk.remove()


def is_refused(port):
    try:
        wire.connect(port, timeout=1).close()
        return False
    except ConnectionRefusedError:
        return True
    except OSError:
        return False


def sent_away(client):
    """When the client's connection ended."""
    client.stream.settimeout(20)
    try:
        while client.stream.recv(1024):
            pass
    except ConnectionResetError:
        pass
    return time.monotonic()


def test_leader_whose_disk_hangs_is_replaced_and_ends(disks, figure):
    ensemble, disk_of = disks
    leader = ensemble.leader()
    survivor = ensemble.others(leader)[0]
    survivor.await_ready()
    client, writer = Client(leader), Client(survivor)
    assert writer.write() == 0
    disk_of[leader].freeze()
    begun = time.monotonic()
    ended = []
    watch = threading.Thread(target=lambda: ended.append(sent_away(client)))
    watch.start()
    # Its disk is not needed for a quorum, so writes go on until it is silenced; then another leads.
    writes, longest, last, replaced = 0, 0.0, begun, None
    while replaced is None and time.monotonic() - begun < REPLACED * SLACK:
        write_at_last(survivor, writer if writes == 0 else None)
        now = time.monotonic()
        writes, longest, last = writes + 1, max(longest, now - last), now
        if survivor.metric("zoogate_raft_leader") != ensemble.nodes.index(leader) + 1:
            replaced = now - begun
    assert replaced is not None, "the leader was not replaced"
    figure("frozen disk: another member leads after", f"{replaced:.2f} s")
    figure("frozen disk: longest gap between writes", f"{longest:.2f} s")
    watch.join(20)
    figure("frozen disk: its client is sent away after", f"{ended[0] - begun:.2f} s")
    assert ended[0] - begun < REPLACED * SLACK
    # The thread that waits for the disk keeps the process from ending, but nobody takes it for alive.
    ports = [leader.zookeeper, leader.admin, leader.peer, leader.web]
    eventually(
        lambda: all(map(is_refused, ports)),
        ENDED * SLACK,
        "nobody is let in",
    )
    figure("frozen disk: nobody is let in after", f"{time.monotonic() - begun:.2f} s")
    assert write_at_last(survivor, None) is None
    disk_of[leader].thaw()
    assert leader.process.wait(20) != 0
    assert f"log {STALLED}" in leader.log(), leader.log()
    leader.start()
    leader.await_ready()


def test_disk_that_hangs_for_a_moment_costs_nothing_but_a_leader(disks):
    ensemble, disk_of = disks
    leader = ensemble.leader()
    client = Client(leader)
    assert client.write() == 0
    disk_of[leader].freeze()
    client.stream.settimeout(30)
    deadline = time.monotonic() + 20
    while STALLED not in leader.log():
        write_at_last(ensemble.others(leader)[0], None)
        assert time.monotonic() < deadline, "nobody noticed"
    disk_of[leader].thaw()
    eventually(lambda: "a fault is over" in leader.log(), 10, "it goes on")
    leader.await_ready()
    assert leader.process.is_running()
    assert leader.metric("zoogate_fault", fault="stalled") == 0


def test_pause_of_the_whole_process_is_no_stall(ensemble):
    leader = ensemble.leader()
    leader.process.send(signal.SIGSTOP)
    time.sleep(7)
    leader.process.send(signal.SIGCONT)
    time.sleep(3)
    leader.await_ready()
    assert STALLED not in leader.log()


def test_starved_nodes_are_not_taken_for_stalled(ensemble):
    """Ten busy processes for each core; those who want to work get their share late, but they get it."""
    hogs = [
        subprocess.Popen(["sh", "-c", "while :; do :; done"])
        for _ in range(10 * (os.cpu_count() or 1))
    ]
    try:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            write_at_last(ensemble.nodes[0], None)
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
    for node in ensemble.nodes:
        node.await_ready()
        assert STALLED not in node.log(), node.log()
