"""What every test of the instrumentation needs: DuckDB instrumented into memory, and DuckDB as it was afterwards."""

from __future__ import annotations

import pytest
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_duckdb import DuckDBInstrumentor, contract

OPTIONS = {"engine_metrics": False, "profile": "off"}
"""Tests of spans and latencies leave DuckDB's own figures alone, unless they ask for them."""


class Telemetry:
    """What one instrumentation has told so far."""

    def __init__(self):
        self.exporter = InMemorySpanExporter()
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meter_provider = MeterProvider([self.reader])
        self.instrumentor = DuckDBInstrumentor()

    def instrument(self, **options):
        self.instrumentor.instrument(
            tracer_provider=self.tracer_provider, meter_provider=self.meter_provider, **{**OPTIONS, **options}
        )
        return self

    def tracer(self):
        return self.tracer_provider.get_tracer("the program")

    def spans(self):
        """The ended spans, in the order of their start, without those of the program itself."""
        ended = [
            span for span in self.exporter.get_finished_spans() if span.instrumentation_scope.name == contract.SCOPE
        ]
        return sorted(ended, key=lambda span: span.start_time)

    def span(self):
        """The only ended span."""
        (span,) = self.spans()
        return span

    def names(self):
        return [span.name for span in self.spans()]

    def clear(self):
        self.exporter.clear()

    def points(self, name):
        """The data points of a metric."""
        data = self.reader.get_metrics_data()
        if data is None:
            return []
        return [
            point
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    def faults(self):
        """How many faults of our own were counted."""
        return sum(point.value for point in self.points(contract.INTERNAL_ERRORS.name))

    def close(self):
        if self.instrumentor.is_instrumented_by_opentelemetry:
            self.instrumentor.uninstrument()
        with suppress_instrumentation():
            self.tracer_provider.shutdown()
            self.meter_provider.shutdown()


@pytest.fixture
def telemetry():
    """Telemetry in memory; DuckDB is not instrumented yet."""
    telemetry = Telemetry()
    yield telemetry
    telemetry.close()


@pytest.fixture
def heard(telemetry):
    """Telemetry in memory of a DuckDB that is instrumented; no fault of ours may have been counted at the end."""
    telemetry.instrument()
    yield telemetry
    assert telemetry.faults() == 0


@pytest.fixture(autouse=True)
def _uninstrumented():
    """No test leaves DuckDB instrumented."""
    yield
    instrumentor = DuckDBInstrumentor()
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()
