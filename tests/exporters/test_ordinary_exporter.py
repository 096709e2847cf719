"""The ordinary Prometheus exporter beside ours, and what docs/metrics.md says of the names it gives."""

import inspect
import re
from pathlib import Path

import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry, generate_latest

from otel_duckdb import contract
from otel_duckdb.exporters.prometheus import PrometheusReader

DOCUMENT = Path(__file__).parents[2] / "docs/metrics.md"


@pytest.mark.skipif(
    "registry" not in inspect.signature(PrometheusMetricReader).parameters,
    reason="the document is about the exporter as it is today, which can be given a registry",
)
def test_the_documented_names_are_the_ones_each_gives():
    registry = CollectorRegistry()
    ours = PrometheusReader(serve=False)
    provider = MeterProvider([PrometheusMetricReader(registry=registry), ours])
    meter = provider.get_meter(contract.SCOPE)
    latency, failed = contract.QUERY_LATENCY, contract.FAILED_CONNECTIONS
    buckets = latency.buckets
    meter.create_histogram(latency.name, latency.unit, explicit_bucket_boundaries_advisory=buckets).record(3)
    meter.create_counter(failed.name, failed.unit).add(1)
    for gauge in (contract.QUERIES_PER_SECOND, contract.MEMORY_USED):
        meter.create_observable_gauge(gauge.name, [lambda _: [Observation(1)]], gauge.unit)
    exact, suffixed = ours.render()[0].decode(), generate_latest(registry).decode()
    provider.shutdown()

    section = DOCUMENT.read_text(encoding="utf-8").partition("## The ordinary exporter")[2]
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|$", section, re.MULTILINE)
    assert len(rows) == 4
    for name, other in rows:
        assert f"\n{name}" in exact
        assert f"\n{other}{{" in suffixed  # the ordinary exporter labels each series with its scope
        assert name == other or other not in exact
