"""The program as a user meets it: help, versions, exit codes, and its verbs on znodes."""

import os
import re
import tomllib

import pytest

from harness.binary import BINARY, ROOT, run
from harness.ports import free_ports
from harness.waiting import eventually


def test_version_is_the_packages():
    package = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]
    said = run("--version")
    assert said.returncode == 0
    assert said.stdout == f"zoogate {package['version']}\n"
    assert said.stderr == ""


@pytest.mark.parametrize(
    "verb", ["", "dev", "serve", "register", "zk", "cluster", "config", "config check"]
)
def test_help_names_the_program_and_goes_to_stdout(verb):
    said = run(*verb.split(), "--help")
    assert said.returncode == 0
    assert f"Usage: {' '.join(['zoogate', *verb.split()])}" in said.stdout
    assert "Examples:" in said.stdout or verb == "config"
    assert said.stderr == ""


def test_unknown_flag_is_a_usage_error_on_stderr():
    said = run("--no-such-flag")
    assert said.returncode == 2
    assert said.stdout == ""
    assert "--no-such-flag" in said.stderr


@pytest.mark.parametrize("name", sorted(os.listdir(ROOT / "config")))
def test_config_check_accepts_the_files_we_ship(name):
    said = run("config", "check", ROOT / "config" / name)
    assert said.returncode == 0, said.stderr
    assert "valid" in said.stdout


def test_config_check_tells_every_error_with_its_place(tmp_path):
    file = tmp_path / "bad.toml"
    file.write_text('[node]\nnam = "n1"\n[service.web]\nstrategy = "rondom"\n')
    said = run("config", "check", file)
    assert said.returncode == 2
    assert f"{file}:2:1: " in said.stderr and f"{file}:4:12: " in said.stderr
    assert 'did you mean "name"?' in said.stderr


@pytest.fixture(scope="module", params=["zoogate", "apache"])
def server(request):
    """One server's address: a node of ours, or Apache ZooKeeper."""
    return request.getfixturevalue({"zoogate": "shared", "apache": "apache"}[request.param]).hosts


@pytest.fixture
def zk(server):
    """Runs `zoogate zk` against the server."""

    def verb(*arguments, code=0, stdin=""):
        said = run("zk", "--server", server, *arguments, stdin=stdin)
        assert said.returncode == code, f"{arguments}: {said}"
        assert bool(said.stderr) == bool(code), said.stderr
        return said.stdout

    return verb


def test_verbs_do_what_they_say(zk):
    assert zk("create", "-p", "/cli/deep/er", "data") == "/cli/deep/er\n"
    assert zk("create", "-s", "/cli/job-", "-", stdin="from stdin") == "/cli/job-0000000001\n"
    assert zk("ls", "/cli") == "deep\njob-0000000001\n"
    assert zk("ls", "-r", "/cli") == "/cli/deep\n/cli/deep/er\n/cli/job-0000000001\n"
    assert zk("get", "/cli/deep/er") == "data"
    assert zk("get", "/cli/job-0000000001") == "from stdin"
    assert zk("set", "/cli/deep/er", "more") == "1\n"
    assert zk("set", "--version", "1", "/cli/deep/er", "most") == "2\n"
    stat = zk("stat", "/cli/deep/er")
    assert re.search(r"^version 2$", stat, re.M) and re.search(r"^dataLength 4$", stat, re.M)
    zk("rm", "--version", "2", "/cli/deep/er")
    zk("rm", "-r", "/cli")
    assert "cli" not in zk("ls", "/").split()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["get", "/nowhere"], 3),
        (["create", "/nowhere/child"], 3),
        (["stat", "/nowhere"], 3),
        (["create", "/zookeeper"], 4),
        (["set", "--version", "77", "/zookeeper", "x"], 4),
        (["rm", "/"], 2),
        (["get", "relative"], 2),
        (["ls", "/a//b"], 2),
    ],
)
def test_failures_have_exit_codes(zk, arguments, code):
    assert zk(*arguments, code=code) == ""


def test_nobody_there_is_exit_code_5():
    (port,) = free_ports(1)
    said = run("zk", "--server", f"127.0.0.1:{port}", "ls", "/")
    assert said.returncode == 5 and f"127.0.0.1:{port}" in said.stderr


def test_watch_prints_each_change(zk, server, processes):
    zk("create", "/watched", "one")
    watch = processes.start("watch", [BINARY, "zk", "--server", server, "watch", "/watched"])
    count = [BINARY, "zk", "--server", server, "watch", "--count", "1", "/watched"]
    first = processes.start("watch-once", count)
    for process in (watch, first):
        message = "watching /watched, version=0 bytes=3"
        eventually(lambda p=process, m=message: m in p.errors(), 15, f"{process.name} watches")
    zk("set", "/watched", "three")
    watch.await_line("changed /watched version=1 bytes=5")
    assert first.wait() == 0
    zk("create", "/watched/child")
    watch.await_line("children /watched count=1 +child")
    zk("rm", "-r", "/watched")
    watch.await_line("deleted /watched")
    assert watch.stop() == 0


def test_ephemeral_lives_as_long_as_its_command(zk, server, processes):
    command = [BINARY, "zk", "--server", server, "create", "-e", "/mine", "x"]
    holder = processes.start("holder", command)
    holder.await_line("/mine")
    assert zk("get", "/mine") == "x"
    assert holder.stop() == 0
    zk("get", "/mine", code=3)
