"""Bad input in every place: a clear error or a closed connection, and nobody else notices."""

import contextlib
import random
import socket
import struct

import pytest

from harness import clients, endpoints, traffic, wire
from harness.binary import BINARY, run
from harness.ports import free_ports
from harness.waiting import eventually

# A node may grow by what its allocator keeps, not by what was announced to it.
GROWTH_KIB = 64 * 1024
# The longest deadline of a half-spoken handshake or head is 10 s.
DEADLINE = 20.0
GARBAGE = random.Random(7).randbytes(64 * 1024)
HUGE = struct.pack(">i", 0x7FFF_FFFF)
NEGATIVE = struct.pack(">i", -5)
ZERO = struct.pack(">i", 0)
POST = b"POST / HTTP/1.1\r\nhost: x\r\n"
LONG_HEAD = b"GET / HTTP/1.1\r\nhost: x\r\n" + b"x-filler: y\r\n" * 200_000 + b"\r\n"


@pytest.fixture(scope="module")
def bystanders(shared, shared_processes):
    """Two endpoints, a kazoo session, and their first neighbours in the table."""
    servers = [endpoints.http_endpoint(shared_processes, name) for name in ("red", "green")]
    clients.register(shared_processes, shared.hosts, "web", servers, 4)
    echo = endpoints.tcp_endpoint(shared_processes, "echo")
    clients.register(shared_processes, shared.hosts, "tcp", [echo], 4)
    shared.await_endpoints("web", ["red", "green"])
    shared.await_endpoints("tcp", ["echo"])
    return clients.kazoo(shared_processes, shared.nodes[0].hosts, 4)


@pytest.fixture
def undisturbed(shared, bystanders, figure):
    """Around a test: HTTP, TCP and a kazoo session go on, no node is lost, memory stays bounded."""
    pids = [node.process.pid for node in shared.nodes]
    session = bystanders.client_id
    before = [node.process.rss_kib() for node in shared.nodes]
    term = max(node.metric("zoogate_raft_term") for node in shared.nodes)
    loads = traffic.Loads(
        *(traffic.HttpLoad(node.web, True) for node in shared.nodes),
        traffic.HttpLoad(shared.nodes[0].web, False),
        traffic.StandingTcp(shared.nodes[0].tcp),
    )
    with loads:
        eventually(lambda: all(load.done for load in loads.loads), 10, "every load runs")
        yield
        bystanders.create("/bystander", b"still here")
        bystanders.delete("/bystander")
    loads.assert_flawless()
    after = [node.process.rss_kib() for node in shared.nodes]
    figure("resident KiB before and after, by node", list(zip(before, after, strict=True)))
    figure("requests meanwhile, none failed", loads.done)
    assert bystanders.client_id == session
    assert [node.process.pid for node in shared.nodes if node.process.is_running()] == pids
    assert all(node.is_ready() for node in shared.nodes)
    assert max(node.metric("zoogate_raft_term") for node in shared.nodes) == term
    for was, now in zip(before, after, strict=True):
        assert now - was < GROWTH_KIB


def said(port, data, half=False):
    """Sends `data`; what comes back until the connection is closed. Times out if it is not."""
    with wire.connect(port, DEADLINE) as stream:
        # Closed by the other side already is what is wanted.
        with contextlib.suppress(OSError):
            stream.sendall(data)
            if half:
                stream.shutdown(socket.SHUT_WR)
        return wire.read_to_end(stream)


@pytest.mark.parametrize(
    "data",
    [
        GARBAGE,
        HUGE,
        NEGATIVE,
        ZERO,
        HUGE + GARBAGE,
        wire.frame(b"\xff" * 44),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=["garbage", "huge", "negative", "zero", "huge with data", "frame of ones", "http"],
)
@pytest.mark.parametrize("port", ["zookeeper", "peer"])
def test_bytes_of_no_protocol_close_the_connection(shared, undisturbed, port, data):
    for node in shared.nodes:
        answer = said(getattr(node, port), data)
        assert len(answer) < 1024


def test_huge_frames_take_no_memory_before_they_come(shared, undisturbed):
    """A hundred connections announce two gigabytes each, some inside a session."""
    node = shared.nodes[0]
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(wire.connect(node.zookeeper, DEADLINE)) for _ in range(50)]
        for stream in streams:
            stream.sendall(wire.connect_request())
        for stream in streams:
            assert wire.connect_reply(stream)[0] > 0
            stream.sendall(HUGE + GARBAGE[:100])
        for stream in streams:
            assert wire.read_to_end(stream) == b""
        streams = [stack.enter_context(wire.connect(node.peer, DEADLINE)) for _ in range(50)]
        for stream in streams:
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                stream.sendall(HUGE + GARBAGE[:100])
        for stream in streams:
            wire.read_to_end(stream)


def test_half_a_handshake_is_closed_after_its_deadline(shared, undisturbed):
    node = shared.nodes[0]
    halves = [
        (node.zookeeper, wire.connect_request()[:20]),
        (node.zookeeper, b""),
        (node.zookeeper, b"ru"),
        (node.peer, b"\0\0"),
        (node.peer, b""),
        (node.web, b"GET / HTTP/1.1\r\nhost: half"),
        (node.admin, b"GET /metrics HT"),
    ]
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(wire.connect(port, DEADLINE)) for port, _ in halves]
        for stream, (_, data) in zip(streams, halves, strict=True):
            stream.sendall(data)
        for stream in streams:
            wire.read_to_end(stream)


def test_session_is_refused_to_who_does_not_know_its_password(shared, bystanders, undisturbed):
    session, password = bystanders.client_id
    for node in shared.nodes:
        for wrong in (bytes(16), bytes(reversed(password)), password[:8], b"", password + b"x"):
            with wire.connect(node.zookeeper) as stream:
                stream.sendall(wire.connect_request(session=session, password=wrong))
                timeout, _, _ = wire.connect_reply(stream)
                assert timeout == 0, "a refused session has no timeout"
                assert wire.read_to_end(stream) == b""


def test_unknown_session_is_refused_as_expired(shared, undisturbed):
    for node in shared.nodes:
        with wire.connect(node.zookeeper) as stream:
            stream.sendall(wire.connect_request(session=0x1234_5678, password=b"p" * 16))
            assert wire.connect_reply(stream)[0] == 0


def test_requests_that_cannot_be_read_end_the_connection_or_are_refused(shared, undisturbed):
    """Inside a session: records cut short, lengths that lie, an operation that does not exist."""
    create, get_data, nonsense = 1, 4, 4711
    lying_path = struct.pack(">i", 0x7FFF_0000) + b"/a"
    bodies = [
        b"",
        b"\0",
        struct.pack(">ii", 1, get_data),
        struct.pack(">ii", 1, get_data) + lying_path,
        struct.pack(">ii", 1, create) + struct.pack(">i", 2) + b"/a" + HUGE,
        struct.pack(">ii", 1, nonsense) + GARBAGE[:100],
        GARBAGE[:2000],
    ]
    node = shared.nodes[1]
    for body in bodies:
        with wire.connect(node.zookeeper) as stream:
            stream.sendall(wire.connect_request())
            assert wire.connect_reply(stream)[0] > 0
            stream.sendall(wire.frame(body))
            stream.shutdown(socket.SHUT_WR)
            assert len(wire.read_to_end(stream)) < 1024


@pytest.mark.parametrize(
    ("data", "statuses"),
    [
        (b"\r\n\r\n" + GARBAGE, {400}),
        (GARBAGE, {400}),
        (b"GET / HTTP/9.9\r\nhost: x\r\n\r\n", {400, 505}),
        (b"GET / HTTP/1.1\r\n\r\n", {400, 200}),
        (LONG_HEAD, {400, 431}),
        (b"GET /" + b"a" * 500_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", {400, 414, 431}),
        (POST + b"content-length: 3\r\ncontent-length: 4\r\n\r\nabcd", {400}),
        (POST + b"transfer-encoding: chunked\r\n\r\nzzz\r\n", {400}),
        (b"GET / HTTP/1.1\r\nhost: x\r\nbad header: \0\r\n\r\n", {400}),
        (b"CONNECT elsewhere:443 HTTP/1.1\r\nhost: elsewhere:443\r\n\r\n", {405}),
    ],
    ids=[
        "blank lines and garbage",
        "garbage",
        "version",
        "no host",
        "long head",
        "long target",
        "different lengths",
        "bad chunk",
        "bad header",
        "connect",
    ],
)
def test_requests_that_are_no_http_get_a_status_or_a_closed_connection(
    shared, undisturbed, data, statuses
):
    node = shared.nodes[0]
    answer = said(node.web, data, half=True)
    if answer:
        assert answer.startswith(b"HTTP/1."), answer[:100]
        assert int(answer.split()[1]) in statuses, answer[:200]
    answer = said(node.admin, data, half=True)
    assert not answer or answer.startswith(b"HTTP/1."), answer[:100]


def test_request_with_both_kinds_of_length_reaches_no_endpoint_with_both(shared, undisturbed):
    """Refused, or forwarded by its chunks alone and the connection's last (RFC 9112, 6.1)."""
    head = (
        b"POST /head HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    smuggled = b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"
    answer = said(shared.nodes[0].web, head + b"0\r\n\r\n" + smuggled).lower()
    assert answer.count(b"http/1.1 ") <= 2 and b"smuggled" not in answer
    if answer.startswith(b"http/1.1 200"):
        assert b"transfer-encoding: chunked" in answer and b"content-length: 3\r\n" not in answer
    else:
        assert answer.startswith(b"http/1.1 400")


def test_tcp_listeners_pass_garbage_on_unread(shared, undisturbed):
    for node in shared.nodes:
        greeting, echo = traffic.tcp_exchange(node.tcp, GARBAGE)
        assert (greeting, echo) == ("echo", GARBAGE)


def test_registrations_that_cannot_be_read_are_listed_and_harm_no_neighbour(
    shared, bystanders, undisturbed
):
    unreadable = {
        "empty": b"",
        "not-text": b"\xff\xfe\x00",
        "not-json": b'{"address": ',
        "no-port": b"127.0.0.1",
        "bad-port": b"127.0.0.1:99999",
        "bad-weight": b'{"address":"127.0.0.1","port":1,"weight":"heavy"}',
        "too-long": b"x" * 100_000,
        "deep": b'{"tags":' + b"[" * 50_000,
    }
    for name, data in unreadable.items():
        bystanders.create(f"/services/web/{name}", data, ephemeral=True)
    for node in shared.nodes:

        def listed(node=node):
            unparsed = {it["instance"]: it["reason"] for it in node.service("web")["unparsed"]}
            return unparsed if set(unparsed) == set(unreadable) else None

        reasons = eventually(listed, 10, f"{node.name} lists all")
        assert all(10 < len(reason) < 500 for reason in reasons.values()), reasons
        assert "empty" in reasons["empty"] and "UTF-8" in reasons["not-text"]
        assert set(node.endpoints("web")) == {"red", "green"}
        assert node.metric("zoogate_service_unparsed", service="web") == len(unreadable)
        assert {traffic.get(node.web) for _ in range(6)} == {"red", "green"}
    for name in unreadable:
        bystanders.delete(f"/services/web/{name}")
    for node in shared.nodes:
        eventually(lambda n=node: n.service("web")["unparsed"] == [], 10, "the list is empty again")


def test_names_that_are_no_services_harm_nobody(shared, bystanders, undisturbed):
    """Children of /services with odd names, which no rule leads to."""
    odd = [
        "/services/ü n/i",
        "/services/" + "x" * 300 + "/i",
        "/services/a%2Fb/i",
        "/services/.w/i",
    ]
    for path in odd:
        bystanders.ensure_path(path)
    bystanders.sync("/")
    for node in shared.nodes:
        assert {traffic.get(node.web) for _ in range(6)} == {"red", "green"}
    for path in odd:
        bystanders.delete(path.rpartition("/")[0], recursive=True)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('[node]\nname = "n1"\nnam = "n2"\n', "3:1"),
        ("[node\n", "1:"),
        ('[service.web]\nstrategy = "rondom"\n', "2:12"),
        ('[[listener]]\nname = "a"\nbind = "nowhere"\nprotocol = "http"\nservice = "a"\n', "3:8"),
        ('[ensemble]\nlisten = "127.0.0.1:1"\nmembers = { }\n', "3:11"),
    ],
)
def test_node_does_not_start_from_an_invalid_file(tmp_path, text, place):
    file = tmp_path / "bad.toml"
    file.write_text(text)
    for arguments in (["serve", "--config", file], ["config", "check", file]):
        ended = run(*arguments)
        assert ended.returncode == 2
        assert f"{file}:{place}" in ended.stderr
        assert ended.stdout == ""


def test_node_does_not_start_from_a_file_that_is_not_text(tmp_path):
    file = tmp_path / "bad.toml"
    file.write_bytes(GARBAGE)
    ended = run("serve", "--config", file)
    assert ended.returncode == 2 and str(file) in ended.stderr
    ended = run("serve", "--config", tmp_path / "absent.toml")
    assert ended.returncode == 2 and "absent.toml" in ended.stderr


def test_node_names_the_address_that_is_taken(shared, processes, tmp_path):
    zookeeper, admin = free_ports(2)
    taken = shared.nodes[0].web
    file = tmp_path / "taken.toml"
    file.write_text(f"""
        node.data_dir = "{tmp_path / 'data'}"
        zookeeper.listen = "127.0.0.1:{zookeeper}"
        admin.listen = "127.0.0.1:{admin}"
        [[listener]]
        name = "web"
        bind = "127.0.0.1:{taken}"
        protocol = "http"
        service = "web"
        """)
    started = processes.start("second", [BINARY, "serve", "--config", file])
    assert started.wait(10) == 1
    assert f"127.0.0.1:{taken}" in started.errors()
