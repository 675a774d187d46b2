"""A real Prometheus scrapes the daemon, with the rules and the dashboard that are shipped."""
import json
import pathlib
import re
import shutil
import signal
import subprocess
import unittest
import urllib.error
import urllib.parse
import urllib.request

from case import ThreeCrms
from crm import eventually, free_port, start

TOP = pathlib.Path(__file__).resolve().parents[2]
RULES = TOP / "monitoring" / "crmsyncd.rules.yml"
DASHBOARD = TOP / "monitoring" / "crmsyncd.dashboard.json"
# What Grafana puts in the place of its variables.
VARIABLES = {"$__rate_interval": "1m", "$__range": "5m", "$job": "crmsyncd", "$instance": ".*", "$endpoint": ".*", "$entity": ".*",
             "$window": "24h"}


class Prometheus:
    """A server of our own that scrapes one address every quarter of a second."""

    def __init__(self, place, target, rules):
        self.port = free_port()
        directory = place.path / "prometheus"
        directory.mkdir()
        (directory / "rules.yml").write_text(rules.read_text().replace("interval: 1m", "interval: 250ms"))
        (directory / "prometheus.yml").write_text(f"""
global: {{scrape_interval: 250ms, evaluation_interval: 250ms}}
rule_files: [{directory}/rules.yml]
scrape_configs:
  - job_name: crmsyncd
    static_configs: [{{targets: ["{target}"]}}]
""")
        self.process = start(["prometheus", f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data",
                              f"--web.listen-address=127.0.0.1:{self.port}"], place.log_file("prometheus"), signal.SIGKILL)
        place.running.append(self)
        eventually(lambda: self.get("/-/ready", plain=True), "Prometheus is ready")

    def get(self, path, plain=False, **query):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}?{urllib.parse.urlencode(query)}", timeout=30) as answer:
                return answer.read().decode() if plain else json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if plain:
                return None
            raise AssertionError(f"{query}: {error.read().decode()}") from None
        except OSError:
            return None

    def ask(self, query):
        """[(labels, value)]"""
        return [(r["metric"], float(r["value"][1])) for r in self.get("/api/v1/query", query=query)["result"]]

    def one(self, query):
        answer = self.ask(query)
        return answer[0][1] if len(answer) == 1 else None

    def stop(self):
        self.process.terminate()
        self.process.wait()


@unittest.skipUnless(shutil.which("prometheus") and shutil.which("promtool"), "Prometheus is not here")
class Scraped(ThreeCrms):
    def setUp(self):
        super().setUp()
        self.page = free_port()

    def topology(self, entities=None, **settings):
        return super().topology(entities, **settings).replace("stats.sock\n", f"stats.sock\n  listen: 127.0.0.1:{self.page}\n")

    def test_prometheus_scrapes_it_and_answers_the_rules_and_the_dashboard(self):
        self.start()
        prometheus = Prometheus(self.place, f"127.0.0.1:{self.page}", RULES)
        self.populate(self.sales, people=100)
        self.settled()
        written = 'crmsyncd_changes_applied_total{entity="contact",endpoint="billing"}'
        eventually(lambda: prometheus.one(written) == 100, "what was written is seen there")
        self.assertEqual(prometheus.one("up"), 1)
        target = prometheus.get("/api/v1/targets")["activeTargets"][0]
        self.assertEqual((target["health"], target["lastError"]), ("up", ""))
        self.same_series(prometheus)
        self.rules_are_answered(prometheus)
        self.dashboard_is_answered(prometheus)
        self.an_alert_begins_and_ends(prometheus)

    def same_series(self, prometheus):
        """Prometheus asks for OpenMetrics; it has the very series that the plain text has."""
        series = {}
        for labels, _ in prometheus.ask('{job="crmsyncd", __name__=~"crmsyncd_.*|process_.*"}'):
            name = labels["__name__"]
            words = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()) if key not in ("__name__", "job", "instance"))
            series[name + (f"{{{words}}}" if words else "")] = True
        plain = set()
        for key in self.d.metrics():
            name, _, labels = key.rstrip("}").partition("{")
            words = ",".join(sorted(re.findall(r'\w+="[^"]*"', labels)))
            plain.add(name + (f"{{{words}}}" if words else ""))
        self.assertEqual(plain, set(series))

    def rules_are_answered(self, prometheus):
        def evaluated():
            groups = prometheus.get("/api/v1/rules")["groups"]
            return [rule for group in groups for rule in group["rules"] if rule["health"] != "unknown"]

        wanted = len(re.findall(r"^ *- (?:alert|record):", RULES.read_text(), re.M))
        eventually(lambda: len(evaluated()) == wanted, "every rule was evaluated")
        self.assertEqual([rule["name"] for rule in evaluated() if rule["health"] != "ok"], [])
        self.assertEqual(prometheus.ask('ALERTS{alertstate="firing"}'), [])

    def dashboard_is_answered(self, prometheus):
        panels = [p for p in json.loads(DASHBOARD.read_text())["panels"] if p["type"] != "row"]
        for panel in panels:
            for target in panel["targets"]:
                query = target["expr"]
                for variable, value in VARIABLES.items():
                    query = query.replace(variable, value)
                # Raises on a query that is not one; a rate needs two samples, a conflict did not happen.
                eventually(lambda q=query: prometheus.ask(q) or q.endswith("> 0"), f"{panel['title']}: something comes of {query}")

    def an_alert_begins_and_ends(self, prometheus):
        pending = 'ALERTS{alertname="CrmsyncdRedisAway"}'
        self.redis.stop()
        eventually(lambda: prometheus.ask(pending), "the alert is pending")
        self.redis.start()
        eventually(lambda: not prometheus.ask(pending), "the alert is over")

    def test_promtool_has_no_remark_on_the_page(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        for headers in ({}, {"Accept": "text/plain"}):
            page = self.d.get("/metrics", headers=headers)[1]
            checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True, check=False)
            self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, "", ""))


if __name__ == "__main__":
    unittest.main()
