"""Who hears whom. One interface, made of namespaces where root allows and of proxies where not.

```text
place(name)          where a node lives: the address it listens on, the one others use, how its process is started
one_way(a, b)        what a sends no longer reaches b; what b sends still reaches a
isolate(a)           a and all others, both ways
bridge(centre)       two halves that do not hear each other, and one node that hears both
ring()               each hears only its two neighbours
heal()               everybody hears everybody
```
Only the traffic between nodes is concerned: clients reach every node all the time.
"""

import abc
import itertools


class Place:
    """Where one node is. `join(port)` is the address that others use for a port it listens on."""

    def __init__(self, name, address, prefix=()):
        self.name = name
        self.address = address
        self.prefix = list(prefix)


class Network(abc.ABC):
    """See the head of this file."""

    def __init__(self, scope, names):
        self.scope = scope
        self.names = list(names)
        self.cut = set()

    @abc.abstractmethod
    def place(self, name):
        """The `Place` of a node."""

    @abc.abstractmethod
    def reach(self, name, port):
        """"host:port" under which the others reach what `name` listens on."""

    @abc.abstractmethod
    def _block(self, source, target):
        """From now on nothing from `source` reaches `target`."""

    @abc.abstractmethod
    def _unblock(self, source, target):
        """Undoes `_block`."""

    def one_way(self, source, target):
        if (source, target) not in self.cut:
            self.cut.add((source, target))
            self._block(source, target)

    def both_ways(self, one, other):
        self.one_way(one, other)
        self.one_way(other, one)

    def isolate(self, name):
        for other in self.names:
            if other != name:
                self.both_ways(name, other)

    def deafen(self, name):
        """It can send to everybody, and receives from nobody."""
        for other in self.names:
            if other != name:
                self.one_way(other, name)

    def mute(self, name):
        """It receives from everybody, and what it sends reaches nobody."""
        for other in self.names:
            if other != name:
                self.one_way(name, other)

    def bridge(self, centre):
        others = [name for name in self.names if name != centre]
        half = len(others) // 2
        for one, other in itertools.product(others[:half], others[half:]):
            self.both_ways(one, other)

    def ring(self):
        count = len(self.names)
        for one, other in itertools.combinations(range(count), 2):
            if (other - one) not in (1, count - 1):
                self.both_ways(self.names[one], self.names[other])

    def heal(self):
        for source, target in sorted(self.cut):
            self._unblock(source, target)
        self.cut.clear()
