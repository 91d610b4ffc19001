"""Free ports on 127.0.0.1.

Chosen below the range from which the kernel takes ports for outgoing connections: a node that is
killed and started again must find its ports free, whatever the load has opened meanwhile. Runs beside each other
(pytest-xdist) have ports of their own: one may be chosen and not taken yet.
"""

import os
import random
import socket

LOWEST = 10_000
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_given = set()


def free_ports(count):
    """`count` ports that nobody listens on, each given out once per run."""
    return [_free_port() for _ in range(count)]


def _free_port():
    for port in random.sample(range(LOWEST + WORKER, _first_ephemeral(), WORKERS), 200):
        if port not in _given and _can_bind(port):
            _given.add(port)
            return port
    raise RuntimeError("no free port found")


def _can_bind(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _first_ephemeral():
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        return int(file.read().split()[0])
