"""Members added and removed while everything runs, by ZooKeeper's `reconfig` over kazoo."""

import base64
import hashlib
import shutil
import time

from harness.waiting import eventually
from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionLoss, OperationTimeoutError, SessionExpiredError
from kazoo.handlers.threading import KazooTimeoutError

# The server's own deadline for a change is 30 s.
PATIENCE = 40
# Who may change the members; `settings` makes it so.
OPERATOR = "operator:test"


def settings():
    """What goes into a node's `[zookeeper]`, so that its members may be changed by the operator."""
    proof = base64.b64encode(hashlib.sha1(OPERATOR.encode()).digest()).decode()
    return f'reconfig = true\nsuper_digest = "operator:{proof}"\n'


def members(hosts):
    """The members as /zookeeper/config tells them: number to address."""
    with _client(hosts) as client:
        lines = client.get("/zookeeper/config")[0].decode().splitlines()
    servers = [line.split("=", 1) for line in lines if line.startswith("server.")]
    return {int(name.removeprefix("server.")): what for name, what in servers}


def reconfig(hosts, joining=None, leaving=None):
    """One change, to its end; returns the new configuration's text.

    Who loses the connection meanwhile, such as by taking out the member it is connected to, looks whether it is done.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with _client(hosts) as client:
                text = client.get("/zookeeper/config")[0].decode()
                if is_done(text, joining, leaving):
                    return text
                return client.reconfig(joining=joining, leaving=leaving, new_members=None)[0].decode()
        except (ConnectionLoss, SessionExpiredError, OperationTimeoutError, KazooTimeoutError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def is_done(text, joining, leaving):
    """Whether a configuration has this change."""
    if leaving and f"server.{leaving}=" in text:
        return False
    return not joining or joining.split("=")[0] + "=" in text


def number_of(hosts, node):
    """The number under which a node is a member, found by its address."""
    found = [number for number, what in members(hosts).items() if f":{node.peer}:" in what]
    return found[0] if found else None


def leave(hosts, node):
    """Takes a node out of the ensemble and ends it; returns the number it had, which is nobody's from now on."""
    number = number_of(hosts, node)
    assert number is not None, f"{node.name} is no member"
    text = reconfig(hosts, leaving=str(number))
    assert f"server.{number}=" not in text, text
    if node.process.is_running():
        node.kill9()
    return number


def come_back(cluster, hosts, node, former):
    """Starts it with an empty disk: it asks to be admitted, and gets another number than the former."""
    shutil.rmtree(node.data)
    cluster.start_node(node)
    node.await_ready(60)
    return eventually(
        lambda: (number_of(hosts, node) or former) != former and number_of(hosts, node),
        60,
        f"{node.name} is a member under a new number",
        interval=0.2,
    )


class _client:
    """A session for one request."""

    def __init__(self, hosts):
        self._client = KazooClient(
            hosts=hosts, timeout=PATIENCE, auth_data=[("digest", OPERATOR)]
        )

    def __enter__(self):
        self._client.start(timeout=PATIENCE)
        return self._client

    def __exit__(self, *_):
        self._client.stop()
        self._client.close()
