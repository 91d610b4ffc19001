"""Servers behind the load balancer; each tells its name."""

import pathlib
import socket
import sys

from .ports import free_ports
from .waiting import eventually

PROGRAMS = pathlib.Path(__file__).parent / "programs"


class Endpoint:
    """One server: its name, which is what it answers, its address and its process."""

    def __init__(self, name, port, process):
        self.name = name
        self.port = port
        self.address = f"127.0.0.1:{port}"
        self.process = process


def file_server(processes, name):
    """`python3 -m http.server`, with its name as the index page."""
    directory = processes.directory / f"{name}-files"
    directory.mkdir()
    (directory / "index.html").write_text(name)
    arguments = ["-m", "http.server", "--bind", "127.0.0.1", "--directory", directory]
    return _start(processes, name, lambda port: [sys.executable, *arguments, port])


def http_endpoint(processes, name):
    """An HTTP/1.1 server that stands loads."""
    program = PROGRAMS / "http_endpoint.py"
    return _start(processes, name, lambda port: [sys.executable, program, port, name])


def tcp_endpoint(processes, name):
    """A TCP server that greets with its name and echoes."""
    program = PROGRAMS / "tcp_endpoint.py"
    return _start(processes, name, lambda port: [sys.executable, program, port, name])


def _start(processes, name, command):
    (port,) = free_ports(1)
    process = processes.start(name, command(port))

    def accepts():
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True

    eventually(accepts, 15, f"{name} accepts connections")
    return Endpoint(name, port, process)
