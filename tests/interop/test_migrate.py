"""Trees from Apache ZooKeeper, and between nodes of ours: copied, compared, kept in step."""

import signal
import threading

import pytest
from kazoo.security import make_acl, make_digest_acl

from harness.binary import BINARY, run
from harness.clients import kazoo
from harness.reference import Reference
from harness.waiting import eventually
from harness.walk import contents, walk

ZNODES = 10_000
AUTH = "owner:secret"


@pytest.fixture
def source(processes):
    """Apache ZooKeeper of the test's own, and a client of it."""
    server = Reference(processes)
    client = kazoo(processes, server.hosts)
    client.add_auth("digest", AUTH)
    return server, client


def fill(client, count):
    """Znodes of three levels: data, protected ones, containers and times to live among them."""
    protected = [make_digest_acl("owner", "secret", all=True), make_acl("world", "anyone", read=True)]
    client.create("/app", b"top", makepath=True)
    results = []
    for n in range(100):
        results.append(client.create_async(f"/app/g{n:02}", b"group %d" % n))
    for result in results:
        result.get(30)
    results = []
    for n in range(count - 101):
        acl = protected if n % 10 == 0 else None
        data = bytes([n % 256]) * (n % 200)
        results.append(client.create_async(f"/app/g{n % 100:02}/n{n:05}", data, acl=acl))
    for result in results:
        result.get(30)


def migrate(server, node, *options, timeout=120):
    return run(
        *("migrate", "--from", server.hosts, "--to", node.hosts),
        *("--from-auth", AUTH, "--to-auth", AUTH, *options),
        timeout=timeout,
    )


def counts(said):
    return {line.split()[0]: line.split()[1] for line in said.stdout.splitlines() if len(line.split()) == 2}


def test_ten_thousand_znodes_arrive_and_a_second_run_finds_nothing_to_do(processes, source, ensemble, figure):
    server, client = source
    fill(client, ZNODES)
    client.create("/app/mine", b"", ephemeral=True)
    node = ensemble.nodes[0]
    tried = migrate(server, node, "--dry-run")
    assert tried.returncode == 0, tried.stderr
    target = kazoo(processes, node.hosts)
    target.add_auth("digest", AUTH)
    assert target.exists("/app") is None

    done = migrate(server, node)
    assert done.returncode == 0, done.stderr
    said = counts(done)
    figure("migrated", [line for line in done.stdout.splitlines() if "duration" in line][0])
    assert (said["created"], said["ephemerals"]) == (str(ZNODES), "1")
    assert contents(walk(target, "/app")) == contents(walk(client, "/app"))
    assert target.exists("/app/mine") is None

    again = counts(migrate(server, node))
    assert (again["created"], again["equal"]) == ("0", str(ZNODES + 1))
    equal = migrate(server, node, "--verify")
    assert equal.returncode == 0, equal.stdout
    target.set("/app/g01/n00001", b"other")
    target.delete("/app/g02/n00002")
    target.create("/app/extra", b"")
    differs = migrate(server, node, "--verify")
    assert differs.returncode == 1
    found = {line for line in differs.stdout.splitlines() if line.startswith("differs")}
    assert found == {
        "differs /app/g01/n00001 data",
        "differs /app/g02/n00002 missing",
        "differs /app/extra extra",
    }


def test_conflicts_are_kept_overwritten_or_the_end(processes, source, ensemble):
    server, client = source
    node = ensemble.nodes[0]
    client.create("/a", b"source")
    client.create("/a/b", b"new")
    target = kazoo(processes, node.hosts)
    target.create("/a", b"destination")
    failed = migrate(server, node, "--on-conflict", "fail")
    assert failed.returncode == 4 and "conflict /a data" in failed.stdout
    assert target.exists("/a/b") is None
    kept = migrate(server, node)
    assert kept.returncode == 4 and "conflict /a data" in kept.stdout
    assert (target.get("/a")[0], target.get("/a/b")[0]) == (b"destination", b"new")
    assert migrate(server, node, "--on-conflict", "overwrite").returncode == 0
    assert target.get("/a")[0] == b"source"


def test_hidden_digests_are_refused_and_open_acls_need_none(processes, source, ensemble):
    server, client = source
    node = ensemble.nodes[0]
    protected = [make_digest_acl("owner", "secret", all=True), make_acl("world", "anyone", read=True)]
    client.create("/a", b"x", acl=protected)
    hosts = ("migrate", "--from", server.hosts, "--to", node.hosts)
    hidden = run(*hosts)
    assert hidden.returncode == 6 and "--from-auth" in hidden.stderr
    opened = run(*hosts, "--acl", "open")
    assert opened.returncode == 0, opened.stderr
    acls = kazoo(processes, node.hosts).get_acls("/a")[0]
    assert [(acl.id.scheme, acl.perms) for acl in acls] == [("world", 31)]


def test_a_subtree_goes_below_a_chroot_with_its_kinds(processes, source, ensemble):
    server, client = source
    node = ensemble.nodes[0]
    for path in ("/app", "/app/queue", "/app/queue/q1", "/app/cache", "/app/cache/c1"):
        client.create(path, path.encode())
    done = migrate(
        *(server, node, "--path", "/app", "--chroot", "/from/old"),
        *("--container", "/app/queue", "--ttl", "/app/cache/*=1h"),
    )
    assert done.returncode == 0, done.stderr
    target = kazoo(processes, node.hosts)
    assert target.get("/from/old/app/cache/c1")[0] == b"/app/cache/c1"
    file = processes.directory / "tree.snap"
    assert run("backup", "--admin", f"127.0.0.1:{node.admin}", file).returncode == 0
    znodes = run("inspect", "--znodes", file).stdout
    assert "path=/from/old/app/queue kind=container" in znodes
    assert "path=/from/old/app/cache/c1 kind=ttl:3600000ms" in znodes
    assert "path=/from/old/app/queue/q1 kind=persistent" in znodes
    missing = migrate(server, node, "--path", "/none")
    assert missing.returncode == 3


def test_following_repeats_changes_until_it_is_told_to_stop(processes, source, ensemble):
    server, client = source
    fill(client, 500)
    node = ensemble.nodes[0]
    target = kazoo(processes, ensemble.hosts)
    target.add_auth("digest", AUTH)
    command = [BINARY, "migrate", "--from", server.hosts, "--to", ensemble.hosts, "--follow"]
    command += ["--from-auth", AUTH, "--to-auth", AUTH]
    stop = threading.Event()
    changed = []

    def change():
        """Creates, sets and deletes, from before the copy begins until after it has ended."""
        writer = kazoo(processes, server.hosts)
        writer.add_auth("digest", AUTH)
        while not stop.is_set():
            n = len(changed)
            writer.create(f"/app/moving-{n:05}", b"")
            writer.create(f"/app/moving-{n:05}/below", b"%d" % n)
            writer.set("/app", b"%d" % n)
            if n % 3 == 0:
                writer.delete(f"/app/moving-{n:05}", recursive=True)
            changed.append(n)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        following = processes.start("migrate", command)
        eventually(lambda: "following" in following.errors(), 60, "copied")
        seen = len(changed)
        eventually(lambda: len(changed) > seen + 100, 60, "changes under way")
        last = len(changed) - 1
        last -= last % 3 == 0
        eventually(lambda: target.exists(f"/app/moving-{last:05}/below"), 20, "a change arrives")
    finally:
        stop.set()
        thread.join()
    client.set_acls("/app/g01", [make_acl("world", "anyone", read=True, admin=True)])
    # A client that has moved keeps its ephemeral, though the old one goes.
    client.create("/app/moved", b"", ephemeral=True)
    target.create("/app/moved", b"", ephemeral=True)
    client.delete("/app/moved")
    following.send(signal.SIGINT)
    code = following.wait(60)
    assert code == 0, following.tail()
    assert "the trees are equal" in following.errors()
    assert contents(walk(target, "/app")) == contents(walk(client, "/app"))
    assert target.exists("/app/moved") is not None
    assert migrate(server, node, "--verify").returncode == 0


def test_a_lost_connection_only_costs_time(processes, ensemble):
    """From one ensemble of ours into a path of its own, while the nodes it talks to are restarted."""
    client = kazoo(processes, ensemble.hosts)
    client.add_auth("digest", AUTH)
    fill(client, 3000)
    command = [BINARY, "migrate", "--from", ensemble.hosts, "--to", ensemble.hosts, "--path", "/app"]
    command += ["--chroot", "/copy", "--from-auth", AUTH, "--to-auth", AUTH, "--at-once", "4"]
    copying = processes.start("migrate", command)
    eventually(lambda: client.exists("/copy/app"), 20, "it has begun")
    leader = ensemble.leader()
    leader.kill9()
    leader.start()
    assert copying.wait(90) == 0, copying.tail()
    copied = contents(walk(client, "/copy/app"))
    assert {path.removeprefix("/copy"): it for path, it in copied.items()} == contents(walk(client, "/app"))
