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
maxClientCnxns=0
minSessionTimeout=1000
maxSessionTimeout=40000
extendedTypesEnabled=true
enforceQuota=true
DigestAuthenticationProvider.superDigest={super_digest}
"""
# Durable writes are not compared; containers are to stay while answers are.
FLAGS = "-Xmx128m -Dzookeeper.forceSync=no -Dznode.container.checkIntervalMs=86400000"
# The administrator whom `Reference` and the nodes of the differential test know: "super:master key".
SUPER_DIGEST = "super:I4XJwdpaxDdisNTSEXwnTpNQ7CQ="


class Reference:
    """One server with an empty tree."""

    def __init__(self, processes, name="apache"):
        (self.port,) = free_ports(1)
        data = processes.directory / f"{name}-data"
        data.mkdir()
        file = processes.directory / f"{name}.cfg"
        file.write_text(SETTINGS.format(data=data, port=self.port, super_digest=SUPER_DIGEST))
        environment = {"ZOO_LOG_DIR": str(data), "SERVER_JVMFLAGS": FLAGS}
        processes.start(f"{name}-zookeeper", [SERVER, "start-foreground", file], environment)
        eventually(self.is_up, 30, "Apache ZooKeeper serves")

    def is_up(self):
        return "Mode: standalone" in four_letters(self.port, "srvr")

    @property
    def hosts(self):
        return f"127.0.0.1:{self.port}"
