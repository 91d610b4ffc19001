"""Nodes of an ensemble: generated settings, real processes, their admin pages, metrics and logs."""

import http.client
import json
import pathlib

from .binary import BINARY
from .metrics import Scrape
from .ports import free_ports
from .waiting import eventually

# Short enough that tests of expiry take seconds, long enough for a busy machine.
TICK = "500ms"
SHORTEST_SESSION = "1s"
LISTENERS = {"web": "http", "tcp": "tcp"}

SETTINGS = """\
[node]
name = "{name}"
data_dir = "{data_dir}"
workers = 2

[ensemble]
listen = "{address}:{peer}"
members = {{ {members} }}
observer = {observer}
{ensemble_keys}
[zookeeper]
listen = "{address}:{zookeeper}"
tick_time = "{tick}"
session_timeout = {{ min = "{shortest}", max = "40s" }}
{zookeeper_keys}
[admin]
listen = "{address}:{admin}"
{admin_keys}"""

LISTENER = """
[[listener]]
name = "{name}"
bind = "{address}:{port}"
protocol = "{protocol}"
service = "{name}"
"""


class Node:
    """One node: its ports, files and process.

    `services` is TOML that ends its settings; `ensemble_keys` and `zookeeper_keys` are more lines of its
    sections `[ensemble]` and `[zookeeper]`, `admin_keys` of `[admin]`. `address` is where it listens, `prefix` the command that starts it elsewhere,
    `environment` what its process gets besides ours, `data` its data directory.
    """

    def __init__(self, processes, name, members=None, observer=False):
        self.name = name
        self.processes = processes
        self.observer = observer
        self.address = "127.0.0.1"
        self.prefix = []
        self.environment = {}
        self.peer, self.zookeeper, self.admin, self.web, self.tcp = free_ports(5)
        self.members = members
        self.directory = processes.directory / name
        self.directory.mkdir()
        self.data = self.directory / "data"
        self.file = self.directory / "zoogate.toml"
        self.services = ""
        self.ensemble_keys = ""
        self.zookeeper_keys = ""
        self.admin_keys = ""
        self.process = None

    def settings(self):
        """The text of the settings file."""
        reach = {name: it if isinstance(it, str) else f"127.0.0.1:{it}" for name, it in self.members.items()}
        members = ", ".join(f'{name} = "{address}"' for name, address in reach.items())
        text = SETTINGS.format(
            name=self.name,
            data_dir=self.data,
            address=self.address,
            peer=self.peer,
            members=members,
            observer=str(self.observer).lower(),
            zookeeper=self.zookeeper,
            admin=self.admin,
            tick=TICK,
            shortest=SHORTEST_SESSION,
            ensemble_keys=self.ensemble_keys,
            zookeeper_keys=self.zookeeper_keys,
            admin_keys=self.admin_keys,
        )
        for name, protocol in LISTENERS.items():
            port = getattr(self, name)
            text += LISTENER.format(name=name, address=self.address, port=port, protocol=protocol)
        return text + self.services

    @property
    def hosts(self):
        """The address for ZooKeeper clients."""
        return f"{self.address}:{self.zookeeper}"

    @property
    def url(self):
        """Of the HTTP listener."""
        return f"http://{self.address}:{self.web}/"

    def start(self):
        """Starts the process; see `await_ready`."""
        self.file.write_text(self.settings())
        command = [*self.prefix, BINARY, "serve", "--config", self.file]
        environment = {"ZOOGATE_LOG": "info", **self.environment}
        self.process = self.processes.start(self.name, command, environment)
        return self

    def kill9(self):
        self.process.kill9()

    def stop(self, timeout=15.0):
        return self.process.stop(timeout)

    def page(self, path, timeout=5.0):
        """Status and text of a page of the admin port."""
        connection = http.client.HTTPConnection(self.address, self.admin, timeout=timeout)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def is_ready(self):
        return self.page("/readyz")[0] == 200

    def await_ready(self, timeout=20.0):
        def ready():
            over = not self.process.is_running()
            assert not over, f"{self.name} is over: {self.process.tail()}"
            return self.is_ready()

        eventually(ready, timeout, f"{self.name} ready")

    def metrics(self):
        return Scrape(self.page("/metrics")[1])

    def metric(self, name, **labels):
        return self.metrics().sum(name, **labels)

    def service(self, name):
        """The service as `/v1/services` has it, or None."""
        services = json.loads(self.page("/v1/services")[1])["services"]
        return next((service for service in services if service["name"] == name), None)

    def endpoints(self, name):
        """The endpoints of a service that get new traffic, by instance."""
        found = (self.service(name) or {"endpoints": []})["endpoints"]
        return {endpoint["instance"]: endpoint for endpoint in found if endpoint["state"] == "up"}

    def picks(self, name):
        """How often each instance of a service was picked."""
        return {instance: it["picks"] for instance, it in self.endpoints(name).items()}

    def log(self, start=0):
        """What the node has logged since its stderr had `start` bytes."""
        return self.process.errors(start)

    def log_size(self):
        return pathlib.Path(self.process.err).stat().st_size


class Ensemble:
    """Nodes that keep one tree."""

    def __init__(self, processes, size=3):
        self.processes = processes
        self.nodes = [Node(processes, f"n{number}") for number in range(1, size + 1)]
        self.members = {node.name: node.peer for node in self.nodes}
        for node in self.nodes:
            node.members = self.members

    def start(self):
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            node.await_ready()
        return self

    def add_observer(self, name):
        """A further node, not started yet, that follows without a vote."""
        return Node(self.processes, name, self.members, observer=True)

    @property
    def hosts(self):
        """The addresses of all nodes for ZooKeeper clients."""
        return ",".join(node.hosts for node in self.nodes)

    def leader(self):
        """The node that leads and is ready, once there is exactly one among those that run."""

        def only_leader():
            running = [node for node in self.nodes if node.process.is_running()]
            leaders = [node for node in running if node.metric("zoogate_raft_role") == 3]
            return leaders[0] if len(leaders) == 1 and leaders[0].is_ready() else None

        return eventually(only_leader, 15, "one leader")

    def others(self, *nodes):
        return [node for node in self.nodes if node not in nodes]

    def await_endpoints(self, service, instances, timeout=10.0, nodes=None):
        """Waits until every node's table has exactly these instances."""
        wanted = set(instances)
        for node in nodes or self.nodes:
            eventually(
                lambda node=node: set(node.endpoints(service)) == wanted,
                timeout,
                f"{sorted(wanted)} in the table of {node.name}",
            )

    def await_strategy(self, service, strategy, timeout=10.0):
        """Waits until every node balances the service by the strategy."""
        for node in self.nodes:
            eventually(
                lambda node=node: node.service(service)["strategy"] == strategy,
                timeout,
                f"{service} balanced by {strategy} on {node.name}",
            )
