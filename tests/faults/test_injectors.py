"""Each injector really does what it says: judged by plain programs, without Zoogate."""

import errno
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
from harness.waiting import eventually

from injectors import disks, failing, rot, scope as scopes, slow, system
from injectors.clocks import Clock
from injectors.namespaces import Namespaces
from injectors.processes import is_stopped, paused, pause_for
from injectors.proxies import Proxies

NAMES = ["n1", "n2", "n3", "n4"]

# Answers each line with the same line, under its name; and sends a line to whom it is told to.
ECHO = """
import os, socket, sys, threading
def tell(*words):
    os.write(1, " ".join(words).encode() + b"\\n")
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
tell("listening")
def serve(stream):
    for line in stream.makefile("rb"):
        tell("heard", line.decode().strip())
        stream.sendall(b"echo " + line)
def accept():
    while True:
        threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
threading.Thread(target=accept, daemon=True).start()
streams = {}
def answers(stream):
    for line in stream.makefile("rb"):
        tell("answer", line.decode().strip())
for line in sys.stdin:
    to, word = line.split()
    host, port = to.rsplit(":", 1)
    if to not in streams:
        streams[to] = socket.create_connection((host, int(port)), timeout=5)
        streams[to].settimeout(None)
        threading.Thread(target=answers, args=(streams[to],), daemon=True).start()
    streams[to].sendall(word.encode() + b"\\n")
"""


class Talkers:
    """One echo program in each place of a network, all connected with each other."""

    def __init__(self, network, processes):
        self.network = network
        self.processes = {}
        self.ports = {}
        self.words = 0
        for number, name in enumerate(NAMES):
            place = network.place(name)
            self.ports[name] = 21_000 + os.getpid() % 2_000 * 4 + number
            command = [*place.prefix, sys.executable, "-c", ECHO, place.address, self.ports[name]]
            self.processes[name] = processes.start(name, command, stdin=True)
        for name, process in self.processes.items():
            process.await_line("listening")
            if hasattr(network, "pids"):
                network.pids[name] = process.pid
        for source in NAMES:
            for target in NAMES:
                if source != target:
                    self.await_heard(source, target)

    def send(self, source, target):
        self.words += 1
        word = f"{source}-{target}-{self.words}"
        address = self.network.reach(target, self.ports[target])
        self.processes[source].tell(f"{address} {word}")
        return word

    def heard(self, target, word):
        return f"heard {word}" in self.processes[target].lines()

    def answered(self, source, word):
        return f"answer echo {word}" in self.processes[source].lines()

    def await_heard(self, source, target, timeout=10):
        """A word goes there, and its echo comes back."""
        word = self.send(source, target)
        eventually(lambda: self.heard(target, word), timeout, f"{target} hears {source}")
        eventually(lambda: self.answered(source, word), timeout, f"{source} is answered")

    def cut(self):
        """The pairs (from, to) whose words do not arrive, found out by sending on all at once."""
        words = {(a, b): self.send(a, b) for a in NAMES for b in NAMES if a != b}
        time.sleep(0.6)
        return {pair for pair, word in words.items() if not self.heard(pair[1], word)}


@pytest.mark.parametrize("kind", [Namespaces, Proxies])
def test_network_cuts_exactly_what_it_says(kind, scope, processes):
    network = kind(scope, NAMES)
    talkers = Talkers(network, processes)
    assert talkers.cut() == set()

    network.one_way("n1", "n2")
    word = talkers.send("n2", "n1")
    eventually(lambda: talkers.heard("n1", word), 5, "the other direction carries words")
    # But their echo is what n1 sends to n2.
    time.sleep(0.5)
    assert not talkers.answered("n2", word), "the echo went through the blocked direction"
    word = talkers.send("n1", "n2")
    time.sleep(0.5)
    assert not talkers.heard("n2", word)
    talkers.await_heard("n1", "n3")
    network.heal()
    # What was held back, or sent again by TCP, comes late, and nothing is lost.
    eventually(lambda: talkers.heard("n2", word), 20, "the held word arrives")

    network.isolate("n1")
    alone = {(a, b) for a in NAMES for b in NAMES if a != b and "n1" in (a, b)}
    assert talkers.cut() == alone == network.cut
    network.heal()
    for other in NAMES[1:]:
        talkers.await_heard("n1", other, 20)
        talkers.await_heard(other, "n1", 20)

    network.bridge("n1")
    halves = {("n2", "n3"), ("n2", "n4")}
    assert talkers.cut() == halves | {(b, a) for a, b in halves}
    network.heal()
    network.ring()
    across = {("n1", "n3"), ("n2", "n4")}
    assert network.cut == across | {(b, a) for a, b in across}
    network.heal()
    for a in NAMES:
        for b in NAMES:
            if a != b:
                talkers.await_heard(a, b, 20)


def test_network_of_proxies_refuses_for_a_dead_node(scope, processes):
    network = Proxies(scope, NAMES)
    place = network.reach("n1", 1)  # nobody listens there
    host, port = place.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=5) as stream:
        stream.settimeout(5)
        try:
            data = stream.recv(1)
        except ConnectionResetError:
            data = b""
        assert data == b"", "the connection ends at once"


def test_paused_process_does_nothing_until_resumed(processes):
    program = "import time\nwhile True:\n    print('tick', flush=True)\n    time.sleep(0.01)\n"

    class Node:
        process = processes.start("ticker", [sys.executable, "-c", program])

    node = Node()
    node.process.await_line("tick")
    with paused(node):
        eventually(lambda: is_stopped(node.process.pid), 5, "stopped")
        ticks = len(node.process.lines())
        time.sleep(0.3)
        assert len(node.process.lines()) == ticks
    eventually(lambda: len(node.process.lines()) > ticks, 5, "goes on")
    timer = pause_for(node, 0.3)
    eventually(lambda: is_stopped(node.process.pid), 5, "stopped")
    timer.join()
    assert not is_stopped(node.process.pid), "the timer resumed it"


def test_power_cut_keeps_what_was_synced_and_nothing_else(scope, processes):
    disk = disks.LoopDisk(scope, "power", 64)
    # Renamed without a sync of the directory would be a matter of luck; what is tested are data.
    program = f"""
import os, time
synced = os.open({str(disk.point / "synced")!r}, os.O_CREAT | os.O_WRONLY)
os.write(synced, b"s" * 100_000); os.fsync(synced)
lazy = os.open({str(disk.point / "lazy")!r}, os.O_CREAT | os.O_WRONLY)
os.write(lazy, b"first"); os.fsync(lazy)
directory = os.open({str(disk.point)!r}, os.O_RDONLY); os.fsync(directory)
os.pwrite(lazy, b"LATER", 0)
print("written", flush=True)
time.sleep(600)
"""
    process = processes.start("writer", [sys.executable, "-c", program])
    process.await_line("written")
    assert (disk.point / "lazy").read_bytes() == b"LATER", "the page cache has it"
    disks.cut_power([disk], [process])
    assert not process.is_running()
    assert (disk.point / "synced").read_bytes() == b"s" * 100_000
    assert (disk.point / "lazy").read_bytes() == b"first", "what was not synced is gone"


def test_frozen_disk_blocks_a_sync_and_a_timer_thaws_it(scope, processes):
    disk = disks.LoopDisk(scope, "frozen", 64)
    program = f"""
import os, time
file = os.open({str(disk.point / "file")!r}, os.O_CREAT | os.O_WRONLY)
while True:
    os.write(file, b"x"); os.fsync(file); print("synced", flush=True); time.sleep(0.02)
"""
    process = processes.start("writer", [sys.executable, "-c", program])
    process.await_line("synced")
    with disk.frozen():
        time.sleep(0.2)
        before = len(process.lines())
        time.sleep(0.5)
        assert len(process.lines()) == before, "a sync went through"
        assert process.is_running()
    eventually(lambda: len(process.lines()) > before, 5, "syncs go on")
    with disk.frozen(at_most=0.5):
        time.sleep(0.2)
        before = len(process.lines())
        eventually(lambda: len(process.lines()) > before, 5, "the timer thaws it")


def test_full_disk_refuses_writes_until_there_is_room_again(scope):
    disk = disks.LoopDisk(scope, "full", 64)
    with disk.full():
        with pytest.raises(OSError) as caught, open(disk.point / "file", "wb", buffering=0) as file:
            for _ in range(64):
                assert file.write(bytes(65_536)) == 65_536
                os.fsync(file.fileno())
        assert caught.value.errno == errno.ENOSPC
    (disk.point / "after").write_bytes(bytes(65_536))
    assert disk.free_bytes() > 10 << 20


def test_failing_disk_fails_a_sync_with_an_io_error(scope):
    disk = failing.FailingDisk(scope, "failing", size_mib=128, backing_mib=24)
    with open(disk.point / "file", "wb", buffering=0) as file:
        file.write(bytes(1 << 20))
        os.fsync(file.fileno())
        disk.break_it()
        assert disk.room() == 0
        with pytest.raises(OSError) as caught:
            for _ in range(32):
                file.write(bytes(1 << 20))
                os.fsync(file.fileno())
        assert caught.value.errno == errno.EIO


def test_slow_disk_lets_so_many_writes_through(scope, processes):
    disk = disks.LoopDisk(scope, "slow", 64)
    program = f"""
import os, time
file = os.open({str(disk.point / "file")!r}, os.O_CREAT | os.O_WRONLY)
while True:
    os.pwrite(file, os.urandom(4096), 0); os.fdatasync(file); print("synced", flush=True)
"""
    process = processes.start("writer", [sys.executable, "-c", program])
    process.await_line("synced")

    def rate(seconds):
        before = len(process.lines())
        time.sleep(seconds)
        return (len(process.lines()) - before) / seconds

    fast = rate(0.5)
    with slow.slow_writes(scope, process, disk, 10):
        time.sleep(0.5)
        limited = rate(1.5)
    eventually(lambda: rate(0.3) > 3 * limited, 10, "fast again")
    assert fast > 60, f"{fast} syncs per second without a limit"
    assert limited <= 25, f"{limited} syncs per second with a limit of 10 writes"


@pytest.mark.parametrize("monotonic", [False, True])
def test_clock_jumps_while_the_process_runs(monotonic, scope, processes):
    clock = Clock(scope, "clock", monotonic)
    # A C program: Python's sleep breaks under the library.
    source = scope.directory / "clock.c"
    source.write_text(
        "#include <stdio.h>\n#include <time.h>\n#include <unistd.h>\nint main(void) {\n"
        "  for (;;) {\n    struct timespec w, m;\n    clock_gettime(CLOCK_REALTIME, &w);\n"
        "    clock_gettime(CLOCK_MONOTONIC, &m);\n"
        '    printf("%ld %ld\\n", (long)w.tv_sec, (long)m.tv_sec);\n    fflush(stdout);\n'
        "    if (getchar() == EOF) return 0;\n  }\n}\n"
    )
    program = scope.directory / "clock"
    system.run("cc", "-o", program, source)
    process = processes.start("clock", [program], clock.environment, stdin=True)

    def told():
        lines = len(process.lines())
        process.tell("")
        eventually(lambda: len(process.lines()) > lines, 5, "the program tells its clocks")
        return [int(word) for word in process.lines()[-1].split()]

    eventually(process.lines, 5, "it runs")
    wall, steady = told()
    clock.set(3600)
    jumped_wall, jumped_steady = told()
    assert 3595 <= jumped_wall - wall <= 3605
    expected = 3600 if monotonic else 0
    assert abs(jumped_steady - steady - expected) <= 5
    clock.set(0)
    assert abs(told()[0] - time.time()) <= 5


def test_rot_flips_one_bit_of_what_it_names(scope):
    log = scope.directory / "data" / "0000000000000001.wal"
    log.parent.mkdir()

    def record(kind, payload):
        length = len(payload)
        return length.to_bytes(4, "little") + bytes(8) + bytes([kind]) + payload

    kinds = [rot.CHECKPOINT, rot.VOTE, *[rot.ENTRY] * 8]
    data = b"".join(record(kind, bytes([kind]) * 20) for kind in kinds) + bytes(4096)
    log.write_bytes(data)
    assert [frame.kind for frame in rot.frames(log)] == kinds
    (log.parent / "snap-1-1").write_bytes(bytes(100))
    where = {"middle": (rot.ENTRY, 13, 33), "tail": (rot.ENTRY, 13, 33)}
    where |= {"vote": (rot.VOTE, 13, 33), "length": (rot.ENTRY, 0, 4)}
    for seed in range(40):
        for target in rot.TARGETS:
            path, byte, bit = rot.flip_one(log.parent, target, seed)
            was = bytes(100) if target == "snapshot" else data
            now = path.read_bytes()
            differing = [at for at in range(len(was)) if was[at] != now[at]]
            assert differing == [byte] and was[byte] ^ now[byte] == 1 << bit
            if target in where:
                kind, first, behind = where[target]
                index = byte // 33
                assert kinds[index] == kind and first <= byte % 33 < behind, (target, byte)
                if target == "tail":
                    assert index == len(kinds) - 1
            path.write_bytes(was)


def traces(owner):
    """How often a run's name is found among devices, mounts, links, namespaces and cgroups."""
    listed = system.run("losetup", "--list", "--noheadings", "--output", "BACK-FILE")
    listed += system.run("ip", "link", "show") + system.run("ip", "netns", "list")
    listed += pathlib.Path("/proc/self/mounts").read_text(encoding="utf8")
    listed += " ".join(path.name for path in scopes.CGROUPS.glob("*"))
    return listed.count(owner)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_cleans_up(number, processes):
    system.needs_root("making something to clean up")
    sample = pathlib.Path(__file__).parent / "samples" / "hangs.py"
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", sample]
    run = processes.start("interrupted", command)
    eventually(lambda: "made " in run.out.read_text(), 20, "everything is made")
    owner, child = re.search(r"made (\S+) (\d+)", run.out.read_text()).groups()
    assert traces(owner) >= 5
    run.send(number)
    run.wait(20)
    eventually(lambda: traces(owner) == 0, 5, f"nothing left of {owner}: {run.tail()}")
    assert not pathlib.Path(f"/proc/{child}").exists(), "its process is gone as well"


def test_sweep_removes_what_a_killed_run_has_left_and_nothing_else(scope, processes):
    system.needs_root("making something to sweep")
    program = (
        "import sys, os, time\n"
        f"sys.path[:0] = {[str(p) for p in sys.path]!r}\n"
        "from injectors.scope import Scope\nfrom injectors.disks import LoopDisk\n"
        "from injectors.namespaces import Namespaces\n"
        "scope = Scope()\ndisk = LoopDisk(scope, 'left', 16)\nnetwork = Namespaces(scope, ['n1', 'n2'])\n"
        "print('made', scope.owner, flush=True)\ntime.sleep(600)\n"
    )
    process = processes.start("run", [sys.executable, "-c", program])
    owner = process.await_line("made").split()[1]

    before = traces(owner)
    assert before >= 4
    scopes.sweep()
    assert traces(owner) == before, "a run that is alive keeps what is its own"
    os.kill(process.pid, signal.SIGKILL)
    process.wait(5)
    removed = scopes.sweep()
    eventually(lambda: traces(owner) == 0, 5, f"nothing left of {owner}; removed {removed}")
    assert not (scopes.BASE / owner).exists()


def test_what_is_not_permitted_says_why():
    with pytest.raises(system.NotPermitted, match="is missing"):
        system.needs("no-such-program-anywhere")
    with pytest.raises(system.NotPermitted):
        system.permitted("false")
    assert subprocess.run(["true"], check=False).returncode == 0
