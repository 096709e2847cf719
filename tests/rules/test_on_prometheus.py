"""A real Prometheus, with the deployed rules, scrapes every metric of the contract and answers every panel."""

import json
import re
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider

from otel_duckdb import contract
from otel_duckdb.exporters.prometheus import PrometheusReader
from otel_duckdb.rules import Thresholds, prometheus_rules
from otel_duckdb.rules.dashboards import dashboards

CONFIGURATION = """
global: {{scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 250ms}}
rule_files: [rules.yml]
scrape_configs:
  - {{job_name: duckdb, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}
  - {{job_name: collector, static_configs: [{{targets: ['127.0.0.1:1']}}]}}
"""
VARIABLES = {"job": "duckdb", "instance": "127.0.0.1:.*", "instance_id": ".*", "database": ".*"}
ALERTS = {
    "DuckDBQueryLatencyHigh",
    "DuckDBQueryRunningLong",
    "DuckDBMemoryHigh",
    "DuckDBDiskHigh",
    "DuckDBTransactionFailuresHigh",
    "DuckDBConnectionsFailing",
    "DuckDBPoolTimeouts",
    "DuckDBSyncFailing",
    "DuckDBSyncLagHigh",
    "DuckDBInstrumentationErrors",
    "DuckDBCollectorDown",
}
GAUGES = {
    contract.OLDEST_QUERY: 999.0,
    contract.MEMORY_USED: 95.0,
    contract.MEMORY_LIMIT: 100.0,
    contract.DISK_USAGE: 95.0,
    contract.SYNC_LAG: 999.0,
}


def make_instruments(meter):
    """An instrument for each metric; returns what adds an event to all that are events."""
    events = []
    for metric in contract.METRICS:
        attributes = dict.fromkeys(metric.labels, "SELECT")
        observe = [lambda _, m=metric, a=attributes: [Observation(GAUGES.get(m, 100.0), a)]]
        match metric.kind:
            case contract.Kind.HISTOGRAM:
                bounds = metric.buckets
                histogram = meter.create_histogram(metric.name, explicit_bucket_boundaries_advisory=bounds)
                events.append(lambda h=histogram, a=attributes: h.record(2000, a))
            case contract.Kind.COUNTER:
                counter = meter.create_counter(metric.name)
                events.append(lambda c=counter, a=attributes: c.add(1, a))
            case contract.Kind.OBSERVABLE_COUNTER:
                started = time.monotonic()
                meter.create_observable_counter(
                    metric.name, [lambda _, a=attributes, s=started: [Observation(time.monotonic() - s, a)]]
                )
            case contract.Kind.OBSERVABLE_GAUGE:
                meter.create_observable_gauge(metric.name, observe)
            case contract.Kind.OBSERVABLE_UP_DOWN_COUNTER:
                meter.create_observable_up_down_counter(metric.name, observe)
    return lambda: [event() for event in events]


class Prometheus:
    """What the running server answers."""

    def __init__(self, port):
        self.port = port

    def get(self, path, **query):
        url = f"http://127.0.0.1:{self.port}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.loads(answer.read())["data"]

    def firing(self):
        try:
            alerts = self.get("/api/v1/alerts")["alerts"]
        except urllib.error.URLError:
            return set()
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}


@pytest.fixture(scope="module")
def prometheus(tools, tmp_path_factory):
    """Prometheus, once it has seen a few seconds of a program in which everything goes wrong."""
    home = tmp_path_factory.mktemp("prometheus")
    reader = PrometheusReader("127.0.0.1", 0)
    provider = MeterProvider([reader])
    happen = make_instruments(provider.get_meter(contract.SCOPE))
    happen()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (home / "prometheus.yml").write_text(CONFIGURATION.format(port=reader.port))
    (home / "rules.yml").write_text(prometheus_rules(Thresholds(time_scale=0.01)))
    server = subprocess.Popen(
        [
            tools / "prometheus",
            f"--config.file={home / 'prometheus.yml'}",
            f"--storage.tsdb.path={home / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    running = Prometheus(port)
    try:
        deadline = time.monotonic() + 30
        while not running.firing() >= ALERTS and time.monotonic() < deadline:
            happen()
            time.sleep(0.1)
        yield running
    finally:
        server.terminate()
        server.wait(20)
        provider.shutdown()


def panels():
    for name, text in dashboards().items():
        for panel in json.loads(text)["panels"]:
            for target in panel.get("targets", ()):
                if "expr" in target and "otelcol_" not in target["expr"] and "otel_sdk_" not in target["expr"]:
                    yield pytest.param(target["expr"], id=f"{name} {panel['title']} {target['refId']}")


def test_every_alert_fires_where_everything_goes_wrong(prometheus):
    assert prometheus.firing() == ALERTS


@pytest.mark.parametrize("expression", list(panels()))
def test_every_panel_is_answered_with_data(prometheus, expression):
    for name, value in VARIABLES.items():
        expression = re.sub(rf'"\${name}"', f'"{value}"', expression)
    expression = expression.replace("$__rate_interval", "3s").replace("$__range", "30s")
    answer = prometheus.get("/api/v1/query", query=expression)["result"]
    assert answer
    assert all(series["value"][1] != "NaN" for series in answer)


def test_every_metric_of_the_contract_is_stored_under_its_name(prometheus):
    stored = set(prometheus.get("/api/v1/label/__name__/values"))
    for metric in contract.METRICS:
        suffixes = ("_bucket", "_sum", "_count") if metric.kind is contract.Kind.HISTOGRAM else ("",)
        assert {metric.prometheus_name + suffix for suffix in suffixes} <= stored
