"""An ensemble that can be hurt: nodes on disks, in networks and under clocks of their own."""

import time

from harness.ensemble import Node
from harness.waiting import eventually
from histories import client as wire
from histories.client import Lost, Session, host_of
from injectors import membership
from injectors.clocks import Clock
from injectors.disks import LoopDisk
from injectors.failing import FailingDisk
from injectors.scope import environment

# Beside what the operator's guide says: words for tests, and members that may change.
ZOOKEEPER_KEYS = membership.settings() + "four_letter_words = [\"*\"]\n"


class Cluster:
    """Nodes named n1 .. n<size>. `network` is a class of `injectors`; `disks` and `clocks` give each its own."""

    def __init__(self, scope, processes, size=3, network=None, disks=False, clocks=False):
        self.scope = scope
        self.processes = processes
        names = [f"n{number}" for number in range(1, size + 1)]
        self.network = network(scope, names) if network else None
        self.disks = {}
        self.clocks = {}
        self.nodes = [self._node(name) for name in names]
        members = {node.name: self._reach(node) for node in self.nodes}
        for node in self.nodes:
            node.members = members
            if disks:
                self._give_disk(node, LoopDisk(scope, node.name))
            if clocks:
                clock = Clock(scope, node.name)
                self.clocks[node.name] = clock
                node.environment.update(clock.environment)

    def _node(self, name):
        node = Node(self.processes, name)
        node.zookeeper_keys = ZOOKEEPER_KEYS
        node.environment.update(environment())
        node.environment["ZOOGATE_LOG"] = "info,openraft=warn"
        if self.network:
            place = self.network.place(name)
            node.address, node.prefix = place.address, place.prefix
            if not node.address.startswith("127."):
                # The network is the test's own.
                for keys in ("ensemble_keys", "zookeeper_keys", "admin_keys"):
                    setattr(node, keys, getattr(node, keys) + "insecure = true\n")
        return node

    def _reach(self, node):
        if self.network:
            return self.network.reach(node.name, node.peer)
        return f"{node.address}:{node.peer}"

    def _give_disk(self, node, disk):
        self.disks[node.name] = disk
        node.data = disk.point / "data"

    def give_failing_disk(self, name):
        """This node's disk will fail when told to; before `start`."""
        node = self.node(name)
        disk = FailingDisk(self.scope, name)
        self._give_disk(node, disk)
        return disk

    def node(self, name):
        return next(node for node in self.nodes if node.name == name)

    def disk(self, node):
        return self.disks[node.name]

    def start(self):
        for node in self.nodes:
            self.start_node(node)
        return self.await_ready()

    def start_node(self, node):
        node.start()
        self.note(node)
        return node

    def note(self, node):
        """Tells a network of proxies whose process it is."""
        if self.network and hasattr(self.network, "pids"):
            self.network.pids[node.name] = node.process.pid

    def await_ready(self, timeout=30.0, nodes=None):
        for node in nodes or self.nodes:
            node.await_ready(timeout)
        return self

    def supervise(self, timeout=40.0):
        """Starts again whoever ends, as a supervisor would, until all serve; returns who was started."""
        started = []

        def settled():
            for node in self.nodes:
                if not node.process.is_running():
                    started.append(self.start_node(node).name)
            return all(node.is_ready() for node in self.nodes)

        eventually(settled, timeout, "all nodes serve", interval=0.1)
        return started

    def others(self, *nodes):
        return [node for node in self.nodes if node not in nodes]

    @property
    def hosts(self):
        """[(address, port)] for the clients of `histories`."""
        return [host_of(node) for node in self.nodes]

    def leaders(self, nodes=None):
        """Those that run, answer, and say that they lead."""
        found = []
        for node in nodes or self.nodes:
            try:
                if node.process.is_running() and node.page("/metrics", 1.0)[0] == 200:
                    scrape = node.metrics()
                    if scrape.sum("zoogate_raft_role") == 3:
                        found.append((scrape.sum("zoogate_raft_term"), node))
            except OSError:
                continue  # stopped, or just ended
        return found

    def leader(self, nodes=None, timeout=20.0):
        """The one that leads in the newest term, once it is ready."""

        def newest():
            found = self.leaders(nodes)
            if not found:
                return None
            node = max(found, key=lambda it: it[0])[1]
            return node if node.is_ready() else None

        return eventually(newest, timeout, "a leader")

    def clock_of(self, node):
        """What this node takes for the time, beyond what it is: seconds, from a znode written through it; the tree's time
        never goes back."""
        session = self.session(node)
        session.call(wire.create("/clock"))
        (reply,) = session.call(wire.set_data("/clock", node.name.encode()))
        session.drop()
        return reply.modified() - time.time()

    def terms(self):
        return {node.name: node.metric("zoogate_raft_term") for node in self.nodes}

    def sessions(self, nodes=None, patience=30.0):
        """A session on each node, by name, for the checkers."""
        return {node.name: self.session(node, patience) for node in nodes or self.nodes}

    def session(self, node, patience=30.0):
        session = Session([host_of(node)], timeout=30.0, patience=patience)
        connect(session)
        self.scope.defer(session.drop)
        return session


def connect(session, timeout=30.0):
    """Connects as soon as a server lets it."""

    def connected():
        try:
            return session.connect()
        except Lost:
            return None

    return eventually(connected, timeout, "a server serves", interval=0.05)

