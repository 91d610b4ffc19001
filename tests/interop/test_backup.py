"""Backups under load, new ensembles made of them, and damage that is named."""

import json
import re
import socket
import subprocess
import threading
import time

import pytest
from kazoo.exceptions import NodeExistsError
from kazoo.security import make_digest_acl

from harness.binary import BINARY, run
from harness.clients import kazoo
from harness.ensemble import Ensemble, Node
from harness.waiting import eventually
from harness.walk import walk

PASSWORD = ("digest", "owner:secret")


def fill(client):
    """Znodes with data, ACLs, versions, children, and ephemerals."""
    client.add_auth(*PASSWORD)
    acl = [make_digest_acl("owner", "secret", all=True)]
    client.create("/app", b"root of the application")
    results = [
        client.create_async(f"/app/n{n:04}", bytes([n % 256]) * (n % 500), acl=acl if n % 7 == 0 else None)
        for n in range(1000)
    ]
    for result in results:
        result.get(20)
    for version in range(3):
        client.set("/app/n0001", b"version %d" % version)
    client.create("/app/locks", b"")
    for _ in range(3):
        client.create("/app/locks/lock-", b"", sequence=True)
    client.delete("/app/locks/lock-0000000001")
    client.create("/app/here", b"", ephemeral=True)


class Load:
    """Writes beside the tree that is compared, until it is told to stop."""

    def __init__(self, client):
        self.client = client
        self.written = 0
        self.stopped = threading.Event()
        client.create("/load", b"")
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stopped.is_set():
            self.client.set("/load", b"%d" % self.written)
            try:
                self.client.create(f"/load/{self.written % 50}", b"x")
            except NodeExistsError:
                self.client.delete(f"/load/{self.written % 50}")
            self.written += 1

    def stop(self):
        self.stopped.set()
        self.thread.join()


def fields(text):
    return dict(line.split(None, 1) for line in text.splitlines())


def restore(ensemble, file, *options):
    """Makes the data directories of all nodes of a new ensemble."""
    members = ",".join(f"{node.name}=127.0.0.1:{node.peer}" for node in ensemble.nodes)
    token, said = [], []
    for node in ensemble.nodes:
        data_dir = node.directory / "data"
        done = run(
            "restore", file, "--data-dir", data_dir, "--name", node.name, "--members", members, *token, *options
        )
        assert done.returncode == 0, done.stderr
        said.append(fields(done.stdout))
        token = ["--token", said[0]["token"]]
    assert len({it["ensemble"] for it in said}) == 1
    assert len({it["digest"] for it in said}) == 1
    return said[0]


def test_a_backup_of_each_node_under_load_becomes_a_new_ensemble(processes, ensemble, tmp_path, figure):
    client = kazoo(processes, ensemble.hosts)
    fill(client)
    load = Load(kazoo(processes, ensemble.hosts))
    backups = []
    for node in ensemble.nodes:
        file = tmp_path / f"{node.name}.snap"
        before = load.written
        done = run("backup", "--admin", f"127.0.0.1:{node.admin}", file)
        assert done.returncode == 0, done.stderr
        said = fields(done.stdout)
        figure(f"{node.name}", f"{said['znodes']} znodes, {said['bytes']} bytes, {said['duration']}")
        assert int(said["znodes"]) > 1000 and "with 1 ephemerals" in said["sessions"]
        assert file.stat().st_mode & 0o777 == 0o600
        assert run("inspect", "--verify", file).returncode == 0
        backups.append((file, said, before))
    written = load.written
    load.stop()
    assert written > backups[-1][2], "writes went on meanwhile"
    before = walk(client, "/app")
    client.stop()

    directory = tmp_path / "new"
    directory.mkdir()
    new_processes = type(processes)(directory)
    try:
        new = Ensemble(new_processes)
        restored = restore(new, backups[1][0])
        assert restored["left"].endswith("1 ephemerals")
        new.start()
        after_client = kazoo(new_processes, new.hosts)
        after_client.add_auth(*PASSWORD)
        after = walk(after_client, "/app")
        stat, old = after["/app"][1], before["/app"][1]
        assert (stat.czxid, stat.mzxid, stat.ctime, stat.version) == (old.czxid, old.mzxid, old.ctime, old.version)
        # The ephemeral is gone, and its parent has counted that; all else is the same to the last stat.
        assert stat.numChildren == old.numChildren - 1
        for path in set(before) - {"/app"}:
            assert after[path] == before[path], path
        assert set(after) == set(before)
        assert after_client.create("/app/locks/lock-", b"", sequence=True).endswith("lock-0000000003")
        zxid = after_client.last_zxid
        assert zxid > int(backups[1][1]["index"]) + 1_000_000
        digests = set()
        for node in new.nodes:
            file = tmp_path / f"again-{node.name}.snap"
            assert run("backup", "--admin", f"127.0.0.1:{node.admin}", file).returncode == 0
            line = json.loads(run("inspect", "--json", file).stdout.splitlines()[-1])
            digests.add((line["zxid"], line["digest"]))
        # Introductions and sessions of the test's own may come in between: the same zxid has the same digest.
        assert len({zxid for zxid, _ in digests}) == len(digests)
    finally:
        new_processes.close()


def test_a_damaged_backup_is_refused_with_its_place(processes, ensemble, tmp_path):
    fill(kazoo(processes, ensemble.hosts))
    file = tmp_path / "tree.snap"
    node = ensemble.nodes[0]
    assert run("backup", "--admin", f"127.0.0.1:{node.admin}", file).returncode == 0
    whole = file.read_bytes()
    for at in (3, 40, len(whole) // 3, len(whole) - 30, len(whole) - 1):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        file.write_bytes(damaged)
        checked = run("inspect", "--json", file)
        assert checked.returncode == 1
        (line,) = map(json.loads, checked.stdout.splitlines())
        assert line["what"] == "damage" and line["path"] == str(file) and line["offset"] <= at
        data_dir = tmp_path / f"data-{at}"
        restored = run("restore", file, "--data-dir", data_dir, "--name", "a")
        assert restored.returncode == 1
        assert f"damaged at byte {line['offset']}" in restored.stderr
        assert list(data_dir.iterdir()) == []
    file.write_bytes(whole[:-10])
    assert run("restore", file, "--data-dir", tmp_path / "cut", "--name", "a").returncode == 1


def test_files_and_directories_are_not_overwritten(ensemble, tmp_path):
    admin = f"127.0.0.1:{ensemble.nodes[0].admin}"
    file = tmp_path / "tree.snap"
    file.write_text("mine")
    done = run("backup", "--admin", admin, file)
    assert (done.returncode, file.read_text()) == (4, "mine")
    assert run("backup", "--admin", admin, "--force", file).returncode == 0
    done = run("restore", file, "--data-dir", tmp_path, "--name", "a")
    assert done.returncode == 4 and "not empty" in done.stderr
    piped = subprocess.run([BINARY, "backup", "--admin", admin, "-"], capture_output=True, timeout=20, check=True)
    (tmp_path / "piped").write_bytes(piped.stdout)
    assert run("inspect", tmp_path / "piped").returncode == 0
    assert list(tmp_path.glob("*.tmp")) == []


def test_one_reader_at_a_time_and_a_slow_one_holds_up_nobody(processes, ensemble, tmp_path):
    client = kazoo(processes, ensemble.hosts)
    client.create("/big", b"")
    # More than both sockets' buffers hold.
    for n in range(40):
        client.create(f"/big/{n}", bytes(500_000))
    node = ensemble.leader()
    with socket.create_connection(("127.0.0.1", node.admin)) as slow:
        slow.sendall(b"GET /v1/snapshot HTTP/1.1\r\nHost: x\r\n\r\n")
        assert slow.recv(15) == b"HTTP/1.1 200 OK"
        refused = run("backup", "--admin", f"127.0.0.1:{node.admin}", tmp_path / "b.snap")
        assert refused.returncode == 5 and "another backup" in refused.stderr
        begun = time.monotonic()
        client.set("/big", b"written meanwhile")
        assert time.monotonic() - begun < 2
        other = ensemble.others(node)[0]
        assert run("backup", "--admin", f"127.0.0.1:{other.admin}", tmp_path / "c.snap").returncode == 0
    # Whoever hangs up gives the turn back, and has no backup.
    eventually(lambda: node.metric("zoogate_backup_failures_total") == 1, 10, "it is told")
    assert node.metric("zoogate_backups_total") == 0
    deadline = time.monotonic() + 10
    while run("backup", "--admin", f"127.0.0.1:{node.admin}", "--force", tmp_path / "b.snap").returncode != 0:
        assert time.monotonic() < deadline


def test_the_last_backup_is_told_and_wants_the_token(processes, tmp_path):
    node = Node(processes, "n1")
    node.members = {"n1": node.peer}
    token, wrong = tmp_path / "token", tmp_path / "wrong"
    for file in (token, wrong):
        file.write_text(f"a token of the {file.name} operators")
        file.chmod(0o600)
    node.admin_keys = f'token_file = "{token}"\n'
    node.start().await_ready()
    admin = ["backup", "--admin", f"127.0.0.1:{node.admin}"]
    file = tmp_path / "tree.snap"
    for more in ([], ["--token-file", wrong]):
        refused = run(*admin, *more, file)
        assert refused.returncode == 6 and "token" in refused.stderr, refused.stderr
    assert node.metric("zoogate_last_backup_timestamp_seconds") == 0
    done = run(*admin, "--token-file", token, file)
    assert done.returncode == 0, done.stderr
    assert node.metric("zoogate_backups_total") == 1
    assert node.metric("zoogate_backup_failures_total") == 0
    assert abs(node.metric("zoogate_last_backup_timestamp_seconds") - time.time()) < 60
    assert node.metric("zoogate_last_backup_bytes") == file.stat().st_size
    assert node.metric("zoogate_last_backup_zxid") == int(fields(done.stdout)["index"])


def test_nobody_to_ask_is_not_a_backup(tmp_path):
    done = run("backup", "--admin", "127.0.0.1:1", tmp_path / "b.snap")
    assert done.returncode == 5
    assert list(tmp_path.iterdir()) == []


def test_inspect_works_while_the_node_runs_and_names_damage_afterwards(processes, ensemble):
    client = kazoo(processes, ensemble.hosts)
    load = Load(client)
    node = ensemble.nodes[0]
    data_dir = node.directory / "data"
    try:
        for _ in range(5):
            seen = run("inspect", "--verify", data_dir)
            assert seen.returncode == 0, seen.stdout
    finally:
        load.stop()
    client.create("/marked", b"12345")
    index = client.get("/marked")[1].czxid
    for n in ensemble.nodes:
        n.stop()
    listed = run("inspect", "--json", "--from", index, "--to", index, data_dir)
    entries = [json.loads(line) for line in listed.stdout.splitlines()]
    (entry,) = (it for it in entries if it["what"] == "entry")
    assert (entry["index"], entry["op"], entry["path"], entry["size"]) == (index, "create", "/marked", 5)
    assert re.fullmatch(r"0x[0-9a-f]+", entry["session"])
    (segment,) = (it["path"] for it in entries if it["what"] == "segment" and it["path"].endswith("1.wal"))
    with open(segment, "r+b") as file:
        file.seek(entry["offset"] + 20)
        byte = file.read(1)[0]
        file.seek(entry["offset"] + 20)
        file.write(bytes([byte ^ 0x40]))
    seen = run("inspect", "--json", "--verify", data_dir)
    assert seen.returncode == 1
    damage = [it for it in map(json.loads, seen.stdout.splitlines()) if it["what"] == "damage"]
    assert [(it["path"], it["offset"]) for it in damage] == [(segment, entry["offset"])]


def test_inspect_of_nothing_is_not_found(tmp_path):
    assert run("inspect", tmp_path / "none").returncode == 3


@pytest.mark.parametrize("verb", ["backup", "restore", "inspect", "migrate"])
def test_help_has_examples_and_exit_codes(verb):
    said = run(verb, "--help")
    assert said.returncode == 0
    assert "Examples:" in said.stdout and "Exit codes:" in said.stdout
