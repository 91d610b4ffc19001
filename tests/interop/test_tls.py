"""TLS on the client port, with kazoo and bare sockets: identities, refusals, new certificates."""

import signal
import socket
import ssl

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.security import ACL, Id, Permissions

from harness import clients
from harness.authority import Authority
from harness.ensemble import Node
from harness.ports import free_ports
from harness.waiting import eventually
from harness.wire import read_to_end

KEYS = """\
[zookeeper.tls]
listen = "127.0.0.1:{port}"
certificate = "node.pem"
key = "node.key"
client_ca = "ca.pem"
client_certificate = "{client_certificate}"
"""


class Secured:
    """One node with TLS, its authority, and clients of it."""

    def __init__(self, processes, client_certificate):
        self.processes = processes
        self.node = Node(processes, "n1")
        self.node.members = {"n1": self.node.peer}
        # Beside the settings, because paths in them are relative.
        self.authority = Authority(self.node.directory / "authority")
        (self.port,) = free_ports(1)
        self.node.zookeeper_keys = KEYS.format(
            port=self.port, client_certificate=client_certificate
        )
        self.install("first")
        self.node.start().await_ready()

    def install(self, name):
        """Issues a certificate and puts it where the node looks for it."""
        self.authority.issue(name, f"/O=Example/CN={name}")
        for source, target in (("ca.pem",) * 2, (f"{name}.pem", "node.pem"), (f"{name}.key", "node.key")):
            (self.node.directory / target).write_bytes(self.authority.path(source).read_bytes())
        # Nobody else may read a key.
        (self.node.directory / "node.key").chmod(0o600)

    def options(self, name=None):
        """Of a kazoo client that shows a certificate, or none."""
        options = {"use_ssl": True, "ca": str(self.authority.path("ca.pem"))}
        if name:
            options["certfile"] = str(self.authority.path(f"{name}.pem"))
            options["keyfile"] = str(self.authority.path(f"{name}.key"))
        return options

    def kazoo(self, name=None):
        return clients.kazoo(self.processes, f"127.0.0.1:{self.port}", **self.options(name))

    def connect(self):
        """A TLS connection without a certificate of the client's."""
        context = ssl.create_default_context(cafile=self.authority.path("ca.pem"))
        stream = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        return context.wrap_socket(stream, server_hostname="localhost")

    def shown(self):
        """The common name in the certificate that the node shows."""
        with self.connect() as stream:
            subject = dict(part[0] for part in stream.getpeercert()["subject"])
        return subject["commonName"]


def test_a_certificate_is_an_identity_for_acls(processes):
    secured = Secured(processes, "optional")
    secured.authority.issue("web", "/C=CH/O=Zürich, Söhne/OU=a/OU=b/CN=web")
    secured.authority.issue("other", "/C=CH/CN=other")
    web, other, anonymous = secured.kazoo("web"), secured.kazoo("other"), secured.kazoo()
    name = "CN=web,OU=b,OU=a,O=Zürich\\, Söhne,C=CH"
    web.create("/web", b"mine", acl=[ACL(Permissions.ALL, Id("x509", name))])
    web.create("/auth", b"mine", acl=[ACL(Permissions.ALL, Id("auth", ""))])
    for path in ("/web", "/auth"):
        assert [acl.id for acl in web.get_acls(path)[0]] == [Id("x509", name)]
        assert web.get(path)[0] == b"mine"
        for client in (other, anonymous):
            with pytest.raises(NoAuthError):
                client.get(path)
    plain = clients.kazoo(processes, secured.node.hosts)
    with pytest.raises(NoAuthError):
        plain.get("/web")
    with secured.connect() as stream:
        stream.sendall(b"ruok")
        assert read_to_end(stream) == b"imok"


def test_only_known_certificates_pass_where_one_is_required(processes, tmp_path):
    secured = Secured(processes, "required")
    secured.authority.issue("web", "/CN=web")
    secured.kazoo("web").create("/web", b"")
    stranger = Authority(tmp_path / "stranger")
    stranger.issue("web", "/CN=web")
    forged = {
        **secured.options(),
        "certfile": str(stranger.path("web.pem")),
        "keyfile": str(stranger.path("web.key")),
    }
    for options in (secured.options(), forged, {}):
        client = KazooClient(hosts=f"127.0.0.1:{secured.port}", timeout=4, **options)
        with pytest.raises(KazooTimeoutError):
            client.start(timeout=2)
        client.close()
    assert secured.node.metric("zoogate_tls_handshake_failures_total", listener="zookeeper") >= 3


def test_new_certificates_are_taken_while_connections_go_on(processes):
    secured = Secured(processes, "optional")
    node, client = secured.node, secured.kazoo()
    states = []
    client.add_listener(states.append)
    assert secured.shown() == "first"

    secured.install("second")
    eventually(lambda: secured.shown() == "second", 15, "the second certificate")

    (node.directory / "node.key").write_text("no key\n")
    refused = "zoogate_tls_reload_failures_total"
    eventually(lambda: node.metric(refused) == 1, 15, "the broken key is noticed")
    assert "node.key holds no private key" in node.log()
    assert node.metric("zoogate_tls_last_reload_successful") == 0
    assert secured.shown() == "second"

    secured.install("third")
    node.process.send(signal.SIGHUP)
    eventually(lambda: secured.shown() == "third", 15, "the third certificate")
    assert node.metric("zoogate_tls_last_reload_successful") == 1
    assert client.exists("/") and not states, "the old connection never noticed"


def test_a_node_without_a_usable_certificate_does_not_start_and_says_why(processes):
    secured = Secured(processes, "optional")
    node = secured.node
    node.stop()
    (node.directory / "node.key").write_bytes(secured.authority.path("ca.key").read_bytes())
    node.start()
    assert node.process.wait() == 2
    assert "node.key does not belong to the certificate in" in node.log()
