"""A network namespace for each node, a bridge between them, and iptables in the receiver's namespace.

```text
 clients, here (10.87.x.254) --- bridge zgf<pid>-<n> --- veth --- [netns n1: 10.87.x.1]
                                                    \\--- veth --- [netns n2: 10.87.x.2]
```
`iptables -A INPUT -s A -j DROP` at B: what A sends does not arrive, and A hears nothing of it, as with a cable cut
in one direction. Only addresses of nodes are dropped, so clients get through.
"""

import random

from .network import Network, Place
from .system import needs, needs_root, permitted, run


class Namespaces(Network):
    """See the head of this file."""

    def __init__(self, scope, names):
        super().__init__(scope, names)
        needs_root("a network namespace")
        needs("ip", "iptables", "nsenter")
        self.bridge_name = f"{scope.owner}x{scope.number}"
        assert len(self.bridge_name) <= 15, self.bridge_name
        self.subnet = _free_subnet()
        permitted("ip", "link", "add", self.bridge_name, "type", "bridge")
        scope.defer(run, "ip", "link", "delete", self.bridge_name)
        permitted("ip", "address", "add", f"{self.subnet}.254/24", "dev", self.bridge_name)
        permitted("ip", "link", "set", self.bridge_name, "up")
        self._places = {}
        for number, name in enumerate(self.names, 1):
            self._places[name] = self._make(number, name)

    def _make(self, number, name):
        namespace = f"{self.scope.name}-{name}"
        outer, inner = f"{self.scope.owner}v{self.scope.number}{number}", "eth0"
        assert len(outer) <= 15, outer
        permitted("ip", "netns", "add", namespace)
        self.scope.defer(run, "ip", "netns", "delete", namespace)
        pair = ["peer", "name", inner, "netns", namespace]
        permitted("ip", "link", "add", outer, "type", "veth", *pair)
        # By itself it would go with the namespace, which what TCP still wants to send keeps for minutes.
        self.scope.defer(run, "ip", "link", "delete", outer)
        permitted("ip", "link", "set", outer, "master", self.bridge_name, "up")
        self._in(namespace, "ip", "address", "add", f"{self.subnet}.{number}/24", "dev", inner)
        self._in(namespace, "ip", "link", "set", inner, "up")
        self._in(namespace, "ip", "link", "set", "lo", "up")
        # Seen here once, so that a machine without it is skipped and does not fail.
        self._in(namespace, "iptables", "--wait", "-L", "INPUT", "-n")
        prefix = ["nsenter", f"--net=/run/netns/{namespace}", "--"]
        return Place(name, f"{self.subnet}.{number}", prefix)

    @staticmethod
    def _in(namespace, *command):
        return permitted("ip", "netns", "exec", namespace, *command)

    def place(self, name):
        return self._places[name]

    def reach(self, name, port):
        return f"{self._places[name].address}:{port}"

    def _block(self, source, target):
        self._rule("-A", source, target)

    def _unblock(self, source, target):
        self._rule("-D", source, target)

    def _rule(self, verb, source, target):
        place = self._places[target]
        address = self._places[source].address
        run(*place.prefix, "iptables", "--wait", verb, "INPUT", "-s", address, "-j", "DROP")


def _free_subnet():
    """A subnet of ours that no interface of this machine has."""
    taken = run("ip", "-o", "-4", "address", "show")
    choices = [f"10.87.{number}" for number in random.sample(range(1, 255), 100)]
    return next(choice for choice in choices if f" {choice}." not in taken)
