"""A real Prometheus that scrapes an ensemble once a second and evaluates our alert rules."""

import json
import urllib.error
import urllib.parse
import urllib.request

from .binary import ROOT
from .ports import free_ports
from .waiting import eventually

SETTINGS = """\
global: {{ scrape_interval: 1s, scrape_timeout: 900ms, evaluation_interval: 1s }}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: zoogate
    static_configs: [{{ targets: {targets} }}]
"""


class Prometheus:
    """One server with an empty store."""

    def __init__(self, processes, nodes):
        (self.port,) = free_ports(1)
        targets = json.dumps([f"127.0.0.1:{node.admin}" for node in nodes])
        self.file = processes.directory / "prometheus.yml"
        rules = ROOT / "grafana" / "alerts.yml"
        self.file.write_text(SETTINGS.format(rules=rules, targets=targets))
        command = [
            "prometheus",
            f"--config.file={self.file}",
            f"--storage.tsdb.path={processes.directory / 'prometheus-data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        processes.start("prometheus", command)
        eventually(
            lambda: self.query("up{job='zoogate'} == 1", len(nodes)), 30, "every node scraped"
        )

    def query(self, expression, at_least=1):
        """The samples of an instant query, None while there are fewer; a refused query fails."""
        samples = self._ask("query", query=expression)["result"]
        return samples if len(samples) >= at_least else None

    def rules(self):
        """Every alert rule, with its query, health and last error."""
        groups = self._ask("rules")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def targets(self):
        return self._ask("targets")["activeTargets"]

    def _ask(self, page, **parameters):
        query = urllib.parse.urlencode(parameters)
        url = f"http://127.0.0.1:{self.port}/api/v1/{page}?{query}"
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            raise Refused(f"{parameters}: {error.read().decode()}") from error
        return answer["data"]


class Refused(Exception):
    """Prometheus does not accept the query."""
