"""Counters of the contract carry no exemplars."""

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from otel_duckdb import contract
from otel_duckdb.telemetry.counter import Counter


def test_a_count_inside_a_sampled_span_has_no_exemplar():
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader]).get_meter("test")
    with TracerProvider().get_tracer("test").start_as_current_span("outer"):
        Counter(meter, contract.FAILED_CONNECTIONS).add(1, {"error_type": "IOException"})
        meter.create_counter("other").add(1)
    points = {
        metric.name: metric.data.data_points[0]
        for metric in reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    }
    assert points["other"].exemplars
    assert points["duckdb_failed_connections"].value == 1
    assert not points["duckdb_failed_connections"].exemplars
