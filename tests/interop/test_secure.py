"""Certificates that `zoogate cert` makes: three processes that prove themselves to each other, and OpenSSL as judge."""

import http.client
import json
import re
import ssl
import subprocess

import pytest
from kazoo.exceptions import NoAuthError

from harness import clients
from harness.binary import run
from harness.ensemble import Ensemble, Node
from harness.ports import free_ports
from harness.waiting import eventually

TLS = 'tls = {{ certificate = "{ca}/{name}.pem", key = "{ca}/{name}.key", ca = "{ca}/ca.pem" }}\n'
ADMIN = """
[admin.tls]
certificate = "{ca}/n1.pem"
key = "{ca}/n1.key"
client_ca = "{ca}/ca.pem"
client_certificate = "required"
"""
# `openssl s_client` waits for the other side to close, which a member does within a second.
PATIENCE = 20


def cert(*arguments):
    """Runs `zoogate cert`, which must succeed; what it prints."""
    done = run("cert", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def authority(tmp_path):
    """A directory with an authority, three nodes' certificates and a client's."""
    directory = tmp_path / "ca"
    cert("ca", directory)
    for name in ("n1", "n2", "n3"):
        cert("node", name, "--ca", directory, "--host", "node.example")
    cert("client", "web", "--ca", directory)
    return directory


def secured(processes, authority):
    ensemble = Ensemble(processes)
    for node in ensemble.nodes:
        node.ensemble_keys = TLS.format(ca=authority, name=node.name)
    return ensemble.start()


def openssl(*arguments):
    done = subprocess.run(
        ["openssl", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode, done.stdout


def s_client(node, authority, *more, name=None):
    """What OpenSSL says of a connection to the port for members, showing the certificate of `name`."""
    shown = ["-cert", authority / f"{name}.pem", "-key", authority / f"{name}.key"] if name else []
    connect = ["s_client", "-connect", f"127.0.0.1:{node.peer}", "-CAfile", authority / "ca.pem"]
    check = ["-verify_return_error", "-verify_ip", "127.0.0.1", "-brief", "-ign_eof"]
    return openssl(*connect, *check, "-alpn", "zoogate-members", *shown, *more)[1]


def test_openssl_finds_the_certificates_right(authority):
    ca = authority / "ca.pem"
    for name, purposes in (("n1", {"sslserver", "sslclient"}), ("web", {"sslclient"})):
        for purpose in ("sslserver", "sslclient"):
            verify = ["verify", "-x509_strict", "-CAfile", ca, "-purpose", purpose]
            code, said = openssl(*verify, authority / f"{name}.pem")
            assert (code == 0) == (purpose in purposes), f"{name} {purpose}: {said}"
    _, said = openssl("x509", "-in", authority / "n1.pem", "-noout", "-text", "-fingerprint", "-sha256")
    assert "URI:spiffe://zoogate/node/n1" in said and "DNS:node.example" in said
    assert "ASN1 OID: prime256v1" in said
    assert "TLS Web Server Authentication, TLS Web Client Authentication" in said
    fingerprint = re.search(r"sha256 Fingerprint=(\S+)", said, re.IGNORECASE)[1]
    shown = cert("show", authority / "n1.pem")
    assert fingerprint in shown and "spiffe://zoogate/node/n1" in shown and "CN=n1" in shown
    _, said = openssl("x509", "-in", ca, "-noout", "-text")
    assert "CA:TRUE, pathlen:0" in said and "Certificate Sign, CRL Sign" in said
    assert (authority / "ca.key").stat().st_mode & 0o777 == 0o600


def test_three_processes_prove_themselves_survive_a_death_and_let_nobody_else_in(processes, authority):
    ensemble = secured(processes, authority)
    client = clients.kazoo(processes, ensemble.hosts)
    client.create("/before", b"x")
    leader = ensemble.leader()
    other, *_ = ensemble.others(leader)

    said = s_client(other, authority, name=leader.name)
    assert "Protocol version: TLSv1.3" in said and "Verification: OK" in said
    assert "Peer certificate: CN = " + other.name in said or f"CN={other.name}" in said
    assert "alert" not in said
    assert re.search(r"alert|unsupported protocol|wrong version", s_client(other, authority, "-tls1_2", name=leader.name))
    assert "alert" in s_client(other, authority, name="web"), "a client is no member"
    assert "alert" in s_client(other, authority), "nor is nobody"
    for reason in ("not_a_node", "no_certificate", "incompatible"):
        count = other.metric("zoogate_tls_handshake_failures_total", listener="ensemble", reason=reason)
        assert count >= 1, reason
    assert "lacks the extended key usages" in other.log() or "has 0 URI names" in other.log()

    leader.kill9()
    survivors = ensemble.others(leader)
    eventually(
        lambda: any("the leader's process is gone; taking over" in node.log() for node in survivors),
        10,
        "its port refuses, which is proof",
    )
    client.retry(client.create, "/after", b"x")
    leader.start().await_ready()
    again = clients.kazoo(processes, leader.hosts)
    again.sync("/")
    assert again.exists("/before") and again.exists("/after")


def test_a_renewed_certificate_is_taken_and_a_wrong_one_is_not(processes, authority):
    ensemble = secured(processes, authority)
    node = ensemble.nodes[0]
    labels = {"listener": "ensemble"}
    expiry = "zoogate_tls_certificate_expiry_timestamp_seconds"
    before = node.metric(expiry, **labels)
    cert("node", "n1", "--ca", authority, "--days", "90", "--force")
    eventually(lambda: node.metric(expiry, **labels) < before, 15, "the renewed certificate")
    good = (authority / "n1.pem").read_bytes(), (authority / "n1.key").read_bytes()
    for ending in ("pem", "key"):
        (authority / f"n1.{ending}").write_bytes((authority / f"n2.{ending}").read_bytes())
    refused = "zoogate_tls_reload_failures_total"
    eventually(lambda: node.metric(refused, **labels) >= 1, 15, "another node's is refused")
    assert 'of node \\"n2\\", not of \\"n1\\"' in node.log() or 'of node "n2", not of "n1"' in node.log()
    for ending, data in zip(("pem", "key"), good):
        (authority / f"n1.{ending}").write_bytes(data)
    ok = "zoogate_tls_last_reload_successful"
    eventually(lambda: node.metric(ok, **labels) == 1, 15, "the good one is back")
    clients.kazoo(processes, node.hosts).create("/a", b"")


def test_a_member_without_tls_is_told_and_so_are_the_others(processes, authority):
    ensemble = Ensemble(processes)
    *secure, plain = ensemble.nodes
    for node in ensemble.nodes:
        node.ensemble_keys = TLS.format(ca=authority, name=node.name)
    for node in ensemble.nodes:
        node.start()
    for node in ensemble.nodes:
        node.await_ready()
    plain.stop()
    plain.ensemble_keys = ""
    plain.start()
    told = "set [ensemble.tls] on every member"
    eventually(lambda: all(told in node.log() for node in ensemble.nodes), 20, "all are told")
    assert not plain.is_ready()


def test_an_open_control_port_needs_a_word(processes):
    node = Node(processes, "n1")
    node.members = {"n1": node.peer}
    text = node.settings().replace('listen = "127.0.0.1:', 'listen = "0.0.0.0:')
    node.file.write_text(text)
    for command in (("config", "check"), ("serve", "--config")):
        done = run(*command, node.file)
        assert done.returncode == 2, done.stderr
        for section in ("ensemble", "zookeeper", "admin"):
            assert f"[{section}] listens on 0.0.0.0:" in done.stderr
            assert f"say insecure = true in [{section}]" in done.stderr
    for section in ("ensemble", "zookeeper", "admin"):
        text = text.replace(f"[{section}]\n", f"[{section}]\ninsecure = true\n")
    node.settings = lambda: text
    node.start().await_ready()
    assert node.log().count("beyond this machine, without TLS (insecure = true)") == 3
    assert node.metric("zoogate_insecure_port") == 3


def test_operators_come_in_by_certificate(processes, authority):
    node = Node(processes, "n1")
    node.members = {"n1": node.peer}
    node.services = ADMIN.format(ca=authority)
    context = ssl.create_default_context(cafile=authority / "ca.pem")
    context.load_cert_chain(authority / "web.pem", authority / "web.key")

    def page(path, context=context):
        connection = http.client.HTTPSConnection("127.0.0.1", node.admin, timeout=5, context=context)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    node.page = lambda path, timeout=5.0: page(path)
    node.start().await_ready()
    assert page("/healthz")[0] == 200
    with pytest.raises((ssl.SSLError, OSError)):
        page("/healthz", ssl.create_default_context(cafile=authority / "ca.pem"))
    failures = {"listener": "admin", "reason": "no_certificate"}
    assert node.metric("zoogate_tls_handshake_failures_total", **failures) == 1
    with pytest.raises((OSError, http.client.HTTPException)):
        Node.page(node, "/healthz")


def test_backup_and_cluster_speak_tls_to_the_admin_port(processes, authority, tmp_path):
    node = Node(processes, "n1")
    node.members = {"n1": node.peer}
    token = tmp_path / "token"
    token.write_text("a token of the operators\n")
    token.chmod(0o600)
    node.services = ADMIN.format(ca=authority)
    node.admin_keys = f'token_file = "{token}"\n'
    node.start()
    admin = ["--admin", f"127.0.0.1:{node.admin}", "--token-file", token]
    trust = ["--ca", authority / "ca.pem"]
    shown = ["--cert", authority / "web.pem", "--key", authority / "web.key"]
    status = ["cluster", *admin, *trust, *shown, "status"]
    eventually(lambda: run(*status).returncode == 0, 20, "a quorum, over TLS")
    file = tmp_path / "tree.snap"
    done = run("backup", *admin, *trust, *shown, file)
    assert done.returncode == 0, done.stderr
    assert run("inspect", file).returncode == 0
    by_name = ["--admin", f"localhost:{node.admin}", "--token-file", token]
    assert run("cluster", *by_name, *trust, *shown, "members").returncode == 0

    other = tmp_path / "other"
    cert("ca", other)
    for verb in (["backup", tmp_path / "none.snap"], ["cluster", "members"]):
        plain = run(*verb, *admin)
        assert plain.returncode != 0 and "--ca" in plain.stderr, plain.stderr
        untrusted = run(*verb, *admin, "--ca", other / "ca.pem", *shown)
        assert untrusted.returncode == 5 and "UnknownIssuer" in untrusted.stderr, untrusted.stderr
        assert run(*verb, *admin, *trust).returncode != 0, "nobody without a certificate"
        for half in (shown[:2], shown[2:], shown):
            assert run(*verb, *admin, *half).returncode == 2, half
    # To look at the members, whoever may connect needs no token.
    for verb in (["backup", tmp_path / "none.snap"], ["cluster", "demote", "1"]):
        unknown = run(*verb, *admin[:2], *trust, *shown)
        assert unknown.returncode == 6 and "a token is needed" in unknown.stderr, unknown.stderr
    assert not (tmp_path / "none.snap").exists()


def test_zkcli_over_tls_is_known_by_its_certificate(processes, authority):
    node = Node(processes, "n1")
    node.members = {"n1": node.peer}
    (port,) = free_ports(1)
    node.services = (
        f'\n[zookeeper.tls]\nlisten = "127.0.0.1:{port}"\ncertificate = "{authority}/n1.pem"\n'
        f'key = "{authority}/n1.key"\nclient_ca = "{authority}/ca.pem"\nclient_certificate = "required"\n'
    )
    node.start().await_ready()
    store = authority / "web.p12"
    pair = ["-in", authority / "web.pem", "-inkey", authority / "web.key", "-passout", "pass:secret"]
    code, said = openssl("pkcs12", "-export", *pair, "-name", "web", "-out", store)
    assert code == 0, said
    hosts = f"127.0.0.1:{port}"
    said = clients.zkcli_tls(
        hosts,
        {"keyStore": store, "trustStore": authority / "ca.pem"},
        "create /java mine x509:CN=web:cdrwa",
        "get /java",
        "getAcl /java",
        "whoami",
        "quit",
    )
    assert "Created /java" in said and "mine" in said, said
    assert "'x509,'CN=web\n: cdrwa" in said, said
    assert "x509: CN=web" in said, said
    plain = clients.zkcli(node.hosts, "get /java", "quit")
    assert "Insufficient permission" in plain or "NoAuth" in plain, plain
    refused = clients.zkcli_tls(hosts, {"trustStore": authority / "ca.pem"}, "ls /", "quit")
    assert "zookeeper]" not in refused, "nobody without a certificate"
    connected = clients.kazoo(
        processes,
        hosts,
        use_ssl=True,
        ca=str(authority / "ca.pem"),
        certfile=str(authority / "web.pem"),
        keyfile=str(authority / "web.key"),
    )
    assert connected.get("/java")[0] == b"mine"
    clear = clients.kazoo(processes, node.hosts)
    with pytest.raises(NoAuthError):
        clear.get("/java")
    status, text = node.page("/commands/connections")
    assert status == 200
    told = json.loads(text)
    assert len(told["secure_connections"]) == 1 and len(told["connections"]) == 1, told
