"""Real ZooKeeper clients: kazoo here and in processes of its own, and zkCli.sh."""

import os
import re
import select
import subprocess
import sys
import time
from collections import defaultdict

from kazoo.client import KazooClient

from .endpoints import PROGRAMS

ZKCLI = "/usr/share/zookeeper/bin/zkCli.sh"
CLI_MT = "/usr/lib/zookeeper/bin/cli_mt"
# What a Curator program needs, under the names that Debian gives them.
JARS = ["curator-client", "curator-framework", "curator-recipes", "curator-x-discovery", "guava"]
JARS += ["zookeeper", "zookeeper-jute", "jackson-core", "jackson-databind", "jackson-annotations"]
JARS += ["slf4j-api", "slf4j-simple", "netty-handler", "netty-transport", "netty-common"]
JARS += ["netty-buffer", "netty-codec", "netty-resolver"]
# A command line needs little memory and no optimising compiler: it starts in half the time.
JVM = "-Xmx64m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


def kazoo(processes, hosts, timeout=10.0, **options):
    """A started client, closed at the end of the test."""
    client = KazooClient(hosts=hosts, timeout=timeout, **options)

    def close():
        client.stop()
        client.close()

    processes.on_close(close)
    client.start(timeout=20)
    return client


def put(client, path, data):
    """Writes a znode, whether it exists or not."""
    if client.exists(path):
        client.set(path, data.encode())
    else:
        client.create(path, data.encode(), makepath=True)


def settings_path(service):
    """Where a service's settings are in the tree."""
    return f"/zoogate/config/services/{service}"


class Registrant:
    """A process whose kazoo session holds one endpoint."""

    def __init__(self, processes, hosts, service, instance, data, timeout=4.0):
        self.service = service
        self.instance = instance
        program = PROGRAMS / "registrant.py"
        command = [sys.executable, program, hosts, service, instance, data, timeout]
        self.process = processes.start(f"registrant-{service}-{instance}", command, stdin=True)

    def await_registered(self):
        """Session id and the session timeout that the server granted, in seconds."""
        _, session, timeout = self.process.await_line("registered").split()
        self.session, self.timeout = int(session), float(timeout) / 1000
        return self

    def close(self):
        """Asks it to close its session."""
        self.process.tell("close")

    def states(self):
        """The states its connection went through since it registered."""
        lines = [line.split() for line in self.process.lines()]
        return [line[1] for line in lines if line[0] == "state"]


def register(processes, hosts, service, endpoints, timeout=4.0):
    """One registrant process for each endpoint, under the endpoint's name."""
    started = [
        Registrant(processes, hosts, service, endpoint.name, endpoint.address, timeout)
        for endpoint in endpoints
    ]
    return [registrant.await_registered() for registrant in started]


class Writer:
    """A process that creates `<root>/<name>/1`, 2, 3 .. and remembers what was acknowledged."""

    def __init__(self, processes, hosts, root, name, timeout=10.0):
        self.name = name
        program = PROGRAMS / "writer.py"
        command = [sys.executable, program, hosts, root, name, timeout]
        self.process = processes.start(f"writer-{name}", command, stdin=True)
        self._fates = defaultdict(set)
        self._read = 0

    def await_session(self):
        self.session = int(self.process.await_line("session").split()[1])
        return self

    def pause(self):
        """Stops it after the write under way; to be followed by `await_paused`."""
        self._paused_from = self.process.out.stat().st_size
        self.process.tell("pause")

    def await_paused(self):
        """What was acknowledged so far, and what is unknown."""
        self.process.await_line("paused", 30, self._paused_from)
        return self.numbers("ack"), self.numbers("unknown")

    def go_on(self):
        self.process.tell("go")

    def numbers(self, fate):
        """The numbers of the writes that ended so."""
        lines = self.process.lines(self._read)
        for word, number in map(str.split, lines):
            self._fates[word].add(int(number))
        self._read += sum(len(line) + 1 for line in lines)
        return self._fates[fate]


def zkcli(hosts, *commands, timeout=45):
    """What zkCli.sh prints to both streams for these commands, one session for all of them."""
    return _zkcli(["-server", hosts], "".join(f"{command}\n" for command in commands), timeout)


def zkcli_command(hosts, *arguments, timeout=45):
    """What zkCli.sh prints for one command as arguments, which may have several lines."""
    return _zkcli(["-server", hosts, *arguments], "", timeout)


def curator(processes, hosts):
    """The Curator program of `programs/curator`, compiled and started against `hosts`."""
    classes = processes.directory / "curator"
    classpath = ":".join(f"/usr/share/java/{jar}.jar" for jar in JARS)
    sources = sorted((PROGRAMS / "curator").glob("*.java"))
    # Some jars name others in their manifests that nobody needs.
    lint = "-Xlint:all,-path"
    compile_it = ["javac", lint, "-Werror", "-cp", classpath, "-d", classes, *sources]
    subprocess.run(compile_it, check=True, timeout=60)
    run_it = ["java", *JVM.split(), "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"]
    run_it += ["-cp", f"{classpath}:{classes}", "Recipes", hosts]
    return processes.start("curator", run_it, stdin=True)


# How the answer to each of its commands ends. What is not here answers nothing.
CLI_MT_ENDS = {
    "create": r"\tname = .*\n|rc = -\d+\n|Path must .*\n",
    "create2": r"\tephemeralOwner = .*\n|rc = -\d+\n",
    "get": r"\tephemeralOwner = .*\n|Stat:\nnull\n",
    "set": r"\tephemeralOwner = .*\n|Stat:\nnull\n",
    "ls": r"time = .*\n(.*\n)+time = .*\n",
    "ls2": r"\tephemeralOwner = .*\n",
    "delete": r"rc = -?\d+\n",
    "sync": r"\tname = .*\n",
    "quit": r"Quitting.*\n",
}


def cli_mt(hosts, commands, timeout=20.0):
    """What the C client's command line prints for these commands, each a name of `CLI_MT_ENDS`, or none, and a line.

    Its threads write to one terminal without a lock, so each command waits for the end of the answer before it.
    """
    command = [CLI_MT, hosts]
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, **streams) as program:
        try:
            said = _read_until(program, r"Got a new session id.*\n", timeout)
            for end, line in commands:
                program.stdin.write(f"{line}\n".encode())
                program.stdin.flush()
                if end:
                    said += _read_until(program, CLI_MT_ENDS[end], timeout)
            program.stdin.close()
            program.wait(timeout)
            return said + program.stdout.read().decode()
        finally:
            program.kill()


def _read_until(program, end, timeout):
    """What the program says until that ends in `end`."""
    said = ""
    ends = re.compile(f"({end})\\Z")
    deadline = time.monotonic() + timeout
    while not ends.search(said):
        left = deadline - time.monotonic()
        readable, _, _ = select.select([program.stdout], [], [], max(left, 0))
        part = os.read(program.stdout.fileno(), 65536) if readable else b""
        assert part, f"no {end!r} at the end of {said!r}"
        said += part.decode()
    return said


# Debian's zookeeper.jar leaves out of its class path what its own netty needs, so that ClientCnxnSocketNetty ends with
# "NoClassDefFoundError: io/netty/resolver/AddressResolverGroup" before it connects to anybody. The last -cp counts.
_NETTY = ("resolver", "codec", "transport-native-unix-common")
TLS_CLASSPATH = ":".join(
    ["/etc/zookeeper/conf", "/usr/share/java/zookeeper.jar", *(f"/usr/share/java/netty-{it}.jar" for it in _NETTY)]
)


def zkcli_tls(hosts, stores, *commands, timeout=60):
    """As `zkcli`, over TLS; `stores` are files, each under the end of its property's name."""
    flags = [
        *("-cp", TLS_CLASSPATH),
        "-Dzookeeper.client.secure=true",
        "-Dzookeeper.clientCnxnSocket=org.apache.zookeeper.ClientCnxnSocketNetty",
        "-Dzookeeper.ssl.keyStore.password=secret",
    ]
    flags += [f"-Dzookeeper.ssl.{name}.location={file}" for name, file in stores.items()]
    stdin = "".join(f"{command}\n" for command in commands)
    return _zkcli(["-server", hosts], stdin, timeout, " ".join([JVM, *flags]))


def _zkcli(arguments, stdin, timeout, flags=JVM):
    done = subprocess.run(
        [ZKCLI, *arguments],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, "CLIENT_JVMFLAGS": flags, "ZOO_LOG_DIR": "/nonexistent"},
    )
    noise = re.compile(r"^(SLF4J: .*|Connecting to .*|Welcome to .*|JLine .*|WATCHER::|)\n", re.M)
    return noise.sub("", done.stdout)
