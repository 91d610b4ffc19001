"""Three servers of Apache ZooKeeper that agree with each other, each with its AdminServer."""

import http.client
import json

from .ports import free_ports
from .waiting import eventually
from .wire import four_letters

# What Debian's own start script names leaves the servlet API out, without which there is no AdminServer.
CLASS_PATH = "/usr/share/java/zookeeper.jar:/usr/share/java/servlet-api.jar"
MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain"

SETTINGS = """\
tickTime=500
initLimit=20
syncLimit=20
dataDir={data}
clientPort={client}
clientPortAddress=127.0.0.1
admin.serverPort={admin}
admin.serverAddress=127.0.0.1
4lw.commands.whitelist=*
"""


class ReferenceServer:
    """One of the servers: its ports."""

    def __init__(self, number):
        self.number = number
        self.client, self.admin, self.quorum, self.election = free_ports(4)

    @property
    def line(self):
        """As the settings of all of them name it."""
        return f"server.{self.number}=127.0.0.1:{self.quorum}:{self.election}:participant"

    def start(self, processes, servers):
        data = processes.directory / f"apache-{self.number}"
        data.mkdir()
        (data / "myid").write_text(f"{self.number}\n")
        file = data / "zoo.cfg"
        lines = [server.line + "\n" for server in servers]
        text = SETTINGS.format(data=data, client=self.client, admin=self.admin)
        file.write_text(text + "".join(lines))
        command = ["java", "-Xmx96m", "-cp", CLASS_PATH, MAIN, file]
        processes.start(f"apache-{self.number}", command)

    def command(self, name):
        """The answer of the AdminServer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=10)
        try:
            connection.request("GET", f"/commands/{name}")
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def mode(self):
        try:
            text = four_letters(self.client, "srvr")
        except ConnectionRefusedError:
            return ""
        return text.partition("\nMode: ")[2].partition("\n")[0]


class ReferenceEnsemble:
    """All of them, once one leads and two follow."""

    def __init__(self, processes):
        self.servers = [ReferenceServer(number) for number in (1, 2, 3)]
        for server in self.servers:
            server.start(processes, self.servers)
        eventually(self.is_up, 60, "three servers of Apache ZooKeeper agree")

    def is_up(self):
        modes = sorted(server.mode() for server in self.servers)
        return modes == ["follower", "follower", "leader"]

    def leader(self):
        return next(server for server in self.servers if server.mode() == "leader")

    def follower(self):
        return next(server for server in self.servers if server.mode() == "follower")
