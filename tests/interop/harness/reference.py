"""Apache ZooKeeper itself, standalone, as Debian has it: what our answers are compared with."""

from .ports import free_ports
from .waiting import eventually
from .wire import four_letters

SERVER = "/usr/share/zookeeper/bin/zkServer.sh"

SETTINGS = """\
tickTime=500
dataDir={data}
clientPort={port}
clientPortAddress=127.0.0.1
4lw.commands.whitelist=*
admin.enableServer=false
"""


class Reference:
    """One server with an empty tree."""

    def __init__(self, processes):
        (self.port,) = free_ports(1)
        data = processes.directory / "apache-data"
        data.mkdir()
        file = processes.directory / "apache.cfg"
        file.write_text(SETTINGS.format(data=data, port=self.port))
        environment = {"ZOO_LOG_DIR": str(data), "SERVER_JVMFLAGS": "-Xmx128m"}
        processes.start("apache-zookeeper", [SERVER, "start-foreground", file], environment)
        eventually(self.is_up, 30, "Apache ZooKeeper serves")

    def is_up(self):
        return "Mode: standalone" in four_letters(self.port, "srvr")

    @property
    def hosts(self):
        return f"127.0.0.1:{self.port}"
