"""Bounded loads on 127.0.0.1: HTTP and TCP loops in threads, wrk, and single requests with curl."""

import http.client
import re
import socket
import subprocess
import threading
import time
from collections import Counter

# Time between two requests of a loop: a load that leaves the processors to the nodes.
PACE = 0.004
TIMEOUT = 10.0


class Load:
    """A thread that sends one request after the other until it is stopped, and counts."""

    def __init__(self, name, pace=PACE):
        self.name = name
        self.done = 0
        self.failures = []
        self.answers = Counter()
        self._pace = pace
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self):
        self._started = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(2 * TIMEOUT)
        self.seconds = time.monotonic() - self._started

    def _run(self):
        while not self._stop.wait(self._pace):
            try:
                self.answers[self._request()] += 1
                self.done += 1
            except (OSError, http.client.HTTPException, WrongAnswer) as error:
                at = time.monotonic() - self._started
                self.failures.append(f"{self.name} after {at:.3f} s: {error!r}")
                self._reset()
        self._reset()

    def _request(self):
        raise NotImplementedError

    def _reset(self):
        pass


class WrongAnswer(Exception):
    """An answer came, and it is not the expected one."""


class HttpLoad(Load):
    """GET requests, over one kept connection or each over its own."""

    def __init__(self, port, keep_alive=True, pace=PACE):
        super().__init__(f"http {port} {'kept' if keep_alive else 'new'}", pace)
        self._port = port
        self._keep_alive = keep_alive
        self._connection = None

    def _request(self):
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT)
        headers = {} if self._keep_alive else {"connection": "close"}
        self._connection.request("GET", "/", headers=headers)
        response = self._connection.getresponse()
        body = response.read().decode()
        if response.status != 200:
            raise WrongAnswer(f"{response.status} {response.getheaders()} {body!r}")
        if not self._keep_alive:
            self._reset()
        return body

    def _reset(self):
        if self._connection:
            self._connection.close()
        self._connection = None


class TcpLoad(Load):
    """Connections to an echo service: greeting, one message there and back, end."""

    def __init__(self, port, pace=PACE):
        super().__init__(f"tcp {port}", pace)
        self._port = port

    def _request(self):
        greeting, echo = tcp_exchange(self._port, b"a message\n")
        if echo != b"a message\n":
            raise WrongAnswer(f"{greeting!r} {echo!r}")
        return greeting


class StandingTcp(Load):
    """One TCP connection that stays open, with a message there and back each time."""

    def __init__(self, port, pace=PACE):
        super().__init__(f"tcp {port} standing", pace)
        self._stream = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        self._file = self._stream.makefile("rwb")
        self.greeting = self._file.readline().decode().strip()

    def _request(self):
        self._file.write(b"a message\n")
        self._file.flush()
        echo = self._file.readline()
        if echo != b"a message\n":
            raise WrongAnswer(f"{echo!r}")
        return self.greeting

    def close(self):
        """Ends the connection, which both of its objects keep open."""
        self._file.close()
        self._stream.close()

    _reset = close


class Loads:
    """Several loads together."""

    def __init__(self, *loads):
        self.loads = loads

    def __enter__(self):
        for load in self.loads:
            load.__enter__()
        return self

    def __exit__(self, *_):
        for load in self.loads:
            load._stop.set()
        for load in self.loads:
            load.__exit__()

    @property
    def done(self):
        return sum(load.done for load in self.loads)

    @property
    def failures(self):
        return [failure for load in self.loads for failure in load.failures]

    def assert_flawless(self, at_least=1):
        """Every loop got through, and nothing failed."""
        assert not self.failures, f"{len(self.failures)} of {self.done}: {self.failures[:10]}"
        for load in self.loads:
            assert load.done >= at_least, f"{load.name} did {load.done} requests"


def tcp_exchange(port, message):
    """Greeting line and echo of one connection that both sides end."""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as stream:
        stream.sendall(message)
        stream.shutdown(socket.SHUT_WR)
        with stream.makefile("rb") as answer:
            greeting = answer.readline().decode().strip()
            return greeting, answer.read()


def get(port, headers=None, source="127.0.0.1", path="/"):
    """The body of one answer with status 200."""
    connection = http.client.HTTPConnection(
        "127.0.0.1", port, timeout=TIMEOUT, source_address=(source, 0)
    )
    try:
        connection.request("GET", path, headers={"connection": "close", **(headers or {})})
        response = connection.getresponse()
        body = response.read().decode()
        if response.status != 200:
            raise WrongAnswer(f"{response.status} {response.getheaders()} {body!r}")
        return body
    finally:
        connection.close()


def curl(url, *arguments, times=1):
    """The bodies of `times` requests, which all have to succeed, one connection each."""
    bodies = []
    for _ in range(times):
        done = subprocess.run(
            ["curl", "--silent", "--show-error", "--fail", "--max-time", "10", *arguments, url],
            capture_output=True,
            text=True,
            timeout=15,
            check=False,
        )
        assert done.returncode == 0, f"curl {url}: {done.returncode} {done.stderr}"
        bodies.append(done.stdout)
    return bodies


class Wrk:
    """wrk, running: a bounded load from one thread."""

    def __init__(self, processes, url, seconds, connections=8, headers=()):
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
        for header in headers:
            command += ["-H", header]
        self._process = processes.start(f"wrk-{len(processes.tails())}", [*command, url])

    def is_running(self):
        return self._process.is_running()

    def finish(self, timeout=60):
        """Waits for the end; the number of requests and what wrk complains about."""
        code = self._process.wait(timeout)
        report = self._process.tail()
        assert code == 0, report
        count = re.search(r"(\d+) requests in", report)
        assert count, report
        complaints = re.findall(r"^\s*((?:Socket errors|Non-2xx).*)$", report, re.M)
        return int(count.group(1)), complaints
