"""A real Prometheus scrapes the nodes; every query of dashboard and alerts finds its data."""

import json
import re
import subprocess
import urllib.request

import pytest

from harness import clients, endpoints, traffic
from harness.binary import ROOT
from harness.prometheus import Prometheus
from harness.waiting import eventually

# Metrics that have no series in an ensemble that nothing has happened to.
MAY_BE_EMPTY = {
    "zoogate_upstream_errors_total": "has a series only for a reason that occurred",
    'reason="source-limit"': "has a series only once the limit was met",
    "zoogate_ejections_total": "has a series only for a service that ejected an endpoint",
    "zoogate_service_degraded": "shows a service only while it is short of endpoints",
    "zoogate_tls_": "has a series only for a port with TLS",
    "zoogate_insecure_port": "has a series only for a port that is insecure",
}
# A range over several scrapes of one second.
RATE_INTERVAL = "10s"


@pytest.fixture(scope="module")
def prometheus(shared, shared_processes):
    """Prometheus over an ensemble that does a little of everything."""
    servers = [endpoints.http_endpoint(shared_processes, name) for name in ("red", "green")]
    registrants = clients.register(shared_processes, shared.hosts, "web", servers, 10)
    tcp = endpoints.tcp_endpoint(shared_processes, "echo")
    registrants += clients.register(shared_processes, shared.hosts, "tcp", [tcp], 10)
    shared.await_endpoints("web", ["red", "green"])
    shared.await_endpoints("tcp", ["echo"])
    client = clients.kazoo(shared_processes, shared.hosts)
    settings = 'strategy = "random"\ncheck = { type = "tcp", interval = "500ms" }\n'
    clients.put(client, clients.settings_path("web"), settings)
    client.create("/services/web/unreadable", b"{", ephemeral=True)
    for node in shared.nodes:
        with urllib.request.urlopen(f"http://{node.address}:{node.admin}/v1/snapshot", timeout=10) as backup:
            assert backup.read()
    server = Prometheus(shared_processes, shared.nodes)
    with traffic.Loads(*(traffic.HttpLoad(node.web, True) for node in shared.nodes)) as loads:
        with traffic.Loads(*(traffic.TcpLoad(node.tcp) for node in shared.nodes)):
            rate = f"sum(rate(zoogate_requests_total[{RATE_INTERVAL}])) > 0"
            eventually(lambda: server.query(rate), 30, "two scrapes with traffic between them")
            yield server
    loads.assert_flawless()


def dashboard():
    """Title and expression of every query of the dashboard."""
    board = json.loads((ROOT / "grafana" / "zoogate.json").read_text())
    found = []

    def walk(panels):
        for panel in panels:
            found.extend((panel["title"], target["expr"]) for target in panel.get("targets", []))
            walk(panel.get("panels", []))

    walk(board["panels"])
    return found


def variables():
    """Queries of the dashboard's variables, as `label_values(SELECTOR, LABEL)`."""
    board = json.loads((ROOT / "grafana" / "zoogate.json").read_text())
    queries = [it["query"]["query"] for it in board["templating"]["list"] if it["type"] == "query"]
    return [re.fullmatch(r"label_values\((.*), (\w+)\)", query).groups() for query in queries]


def filled(expression):
    """The expression as Grafana sends it when everything is chosen."""
    expression = expression.replace("$__rate_interval", RATE_INTERVAL)
    expression = re.sub(r"\$(job|instance|service)\b", ".*", expression)
    assert "$" not in expression, f"an unknown variable in {expression}"
    return expression


def why_empty(expression):
    return next((why for name, why in MAY_BE_EMPTY.items() if name in expression), None)


def test_every_query_of_the_dashboard_returns_data(prometheus, figure):
    queries = dashboard()
    empty = {}
    for title, expression in queries:
        query = filled(expression)
        if why := why_empty(expression):
            prometheus.query(query)
            empty[title] = why
        else:
            eventually(lambda q=query: prometheus.query(q), 15, f"{title}: {query}", 0.25)
    figure("queries", len(queries))
    figure("may be empty", empty)
    assert len(queries) > 50


def test_every_variable_of_the_dashboard_has_values(prometheus):
    for selector, label in variables():
        samples = prometheus.query(filled(selector))
        assert samples and all(label in sample["metric"] for sample in samples), selector


def test_every_alert_is_evaluated_over_metrics_that_exist(prometheus, figure):
    def evaluated():
        rules = prometheus.rules()
        return rules if all(rule["health"] != "unknown" for rule in rules) else None

    rules = eventually(evaluated, 20, "every rule evaluated")
    figure("alerts", len(rules))
    figure("firing or pending", [rule["name"] for rule in rules if rule["state"] != "inactive"])
    assert len(rules) > 10
    for rule in rules:
        assert rule["health"] == "ok", f"{rule['name']}: {rule.get('lastError')}"
        for name in set(re.findall(r"\bzoogate_\w+", rule["query"])):
            if not why_empty(name):
                assert prometheus.query(f"count({name})"), f"{rule['name']} asks for {name}"


def test_healthy_ensemble_raises_only_the_alert_it_deserves(prometheus):
    """There is one unreadable registration, and nothing else is wrong."""
    states = {rule["name"]: rule["state"] for rule in prometheus.rules()}
    raised = {name for name, state in states.items() if state != "inactive"}
    assert raised == {"UnparsedRegistration"}


def test_every_target_is_scraped_without_errors(prometheus, shared):
    targets = prometheus.targets()
    assert {target["health"] for target in targets} == {"up"}
    assert len(targets) == len(shared.nodes)


def test_promtool_finds_nothing_wrong_with_the_metrics(prometheus, shared, figure):
    page = shared.nodes[0].metrics().text
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=page, capture_output=True, text=True, timeout=30
    )
    figure("lines of /metrics", len(page.splitlines()))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_promtool_finds_nothing_wrong_with_the_rules():
    rules = str(ROOT / "grafana" / "alerts.yml")
    done = subprocess.run(
        ["promtool", "check", "rules", rules], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0 and "SUCCESS" in done.stdout, done.stdout + done.stderr
