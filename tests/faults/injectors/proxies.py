"""Partitions without root: in front of each node's port a relay that can fall silent in either direction.

All members know a node by its relay's address. Who is on the other end of a connection tells the kernel: the socket's
number in /proc/net/tcp, and whose descriptor that is. So one relay serves all sources and needs to understand
nothing of what passes.

What differs from a real cut: a new connection is accepted and stays silent, where a network would not answer at all;
and what was on its way when a direction fell silent arrives after `heal`, as if retransmitted.
"""

import os
import pathlib
import select
import socket
import threading
import time

from .network import Network, Place

# Between two looks at the directions while nothing can be passed.
LOOK = 0.02
# Of one connection and direction, in one step.
PIECE = 65_536
# A connection's state in /proc/net/tcp.
ESTABLISHED = "01"


class Proxies(Network):
    """See the head of this file. `pids[name]` is the process of each node, told by whoever starts it."""

    def __init__(self, scope, names):
        super().__init__(scope, names)
        self.pids = {}
        self._relays = {}

    def place(self, name):
        return Place(name, "127.0.0.1")

    def reach(self, name, port):
        """The relay in front of that port, started when it is first asked for."""
        if (name, port) not in self._relays:
            relay = Relay(self, name, port)
            self.scope.defer(relay.close)
            self._relays[name, port] = relay
        return f"127.0.0.1:{self._relays[name, port].port}"

    def _block(self, source, target):
        pass  # the relays look at `cut` themselves

    def _unblock(self, source, target):
        pass

    def who(self, near, far):
        """The name of the node whose process has the connection from `near` to `far`, or None."""
        inode = _inode(near, far)
        for name, pid in self.pids.items():
            if inode and inode in _sockets(pid):
                return name
        return None


class Relay:
    """One listening port in front of another."""

    def __init__(self, network, target, port):
        self._network = network
        self._target = target
        self._to = ("127.0.0.1", port)
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._over.set()
        self._listener.close()

    def _accept(self):
        while not self._over.is_set():
            try:
                near, address = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connection, args=(near, address), daemon=True).start()

    def _connection(self, near, address):
        source = self._network.who(address, near.getsockname())
        there, back = (source, self._target), (self._target, source)
        try:
            far = socket.create_connection(self._to, timeout=5)
        except OSError:
            _reset(near)
            return
        far.settimeout(None)
        flows = [Flow(near, far, there), Flow(far, near, back)]
        try:
            while not self._over.is_set() and any(flow.is_open for flow in flows):
                self._pass(flows)
        except OSError:
            pass
        finally:
            # A process that was killed resets its connections; the other end must see that.
            _reset(near)
            _reset(far)

    def _pass(self, flows):
        open_ones = [
            flow for flow in flows if flow.is_open and flow.direction not in self._network.cut
        ]
        if not open_ones:
            time.sleep(LOOK)
            return
        readable, _, _ = select.select([flow.source for flow in open_ones], [], [], LOOK)
        for flow in open_ones:
            # Looked at again: it may have been cut while nothing came.
            if flow.source in readable and flow.direction not in self._network.cut:
                flow.step()


class Flow:
    """One direction of one connection."""

    def __init__(self, source, target, direction):
        self.source = source
        self.target = target
        self.direction = direction
        self.is_open = True

    def step(self):
        data = self.source.recv(PIECE)
        if data:
            self.target.sendall(data)
        else:
            self.is_open = False
            self.target.shutdown(socket.SHUT_WR)


def _reset(stream):
    try:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        stream.close()
    except OSError:
        pass


def _inode(near, far):
    """The number of the socket of an established connection, at its near end."""
    wanted = [_hex(near), _hex(far), ESTABLISHED]
    for line in pathlib.Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if fields[1:4] == wanted:
            return fields[9]
    return None


def _hex(address):
    host, port = address
    return f"{int.from_bytes(socket.inet_aton(host), 'little'):08X}:{port:04X}"


def _sockets(pid):
    found = set()
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            target = os.readlink(entry.path)
            if target.startswith("socket:["):
                found.add(target[8:-1])
    except OSError:
        pass  # it is over, or has just closed one
    return found
