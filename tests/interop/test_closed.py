"""A tree that begins closed: the super user opens what others need, with nothing but the command line."""

from harness import clients, endpoints
from harness.binary import BINARY, run
from harness.ensemble import Ensemble
from harness.waiting import eventually

# The user `super` with the password `test`.
KEYS = """\
fresh_acl = "closed"
super_digest = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="
"""
NOT_PERMITTED = "not permitted by the ACL"


def test_nobody_registers_before_the_super_user_has_made_room(processes):
    ensemble = Ensemble(processes)
    for node in ensemble.nodes:
        node.zookeeper_keys = KEYS
        node.services = '[service.web]\non_empty = "reject"\n'
    ensemble.start()
    hosts = ensemble.hosts
    for verb in (["ls", "/"], ["create", "/a"], ["create", "/zookeeper/a"]):
        refused = run("zk", "--server", hosts, *verb)
        assert refused.returncode != 0
        assert NOT_PERMITTED in refused.stderr
    wrong = run("zk", "--server", hosts, "--auth", "super:guess", "ls", "/")
    assert NOT_PERMITTED in wrong.stderr

    server = endpoints.http_endpoint(processes, "red")
    command = [BINARY, "register", "web", "--address", server.address, "--zookeeper", hosts]
    early = run(*command[1:], "--give-up-after", "5s")
    assert early.returncode != 0
    assert NOT_PERMITTED in early.stderr

    def as_super(*verb):
        done = run("zk", "--server", hosts, *verb, "--auth", "super:test")
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert as_super("ls", "/") == "zookeeper\n"
    as_super("create", "/services")
    registered = processes.start("register", command)
    ensemble.await_endpoints("web", [server.address])
    registered.stop()
    ensemble.await_endpoints("web", [])
    refused = run("zk", "--server", hosts, "create", "/other")
    assert NOT_PERMITTED in refused.stderr

    # With a login the parents may be missing, too.
    api = [*command[:2], "api", *command[3:], "--instance", "one"]
    processes.start("register-api", api, {"ZOOGATE_AUTH": "super:test"})
    ensemble.await_endpoints("api", ["one"])
    client = clients.kazoo(processes, hosts, auth_data=[("digest", "super:test")])
    eventually(lambda: client.get_children("/services/api") == ["one"], 10, "it is in the tree")
