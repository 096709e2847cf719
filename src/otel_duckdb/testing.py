"""For tests of your own telemetry: DuckDB instrumented into memory, and what was recorded to look at.

    from otel_duckdb.testing import record_telemetry

    def test_the_report_reads_its_table_once():
        with record_telemetry() as telemetry:
            make_report()
        assert [span.name for span in telemetry.spans()] == ["SELECT sales"]
        assert telemetry.value("duckdb_select_latency_ms", table_name="sales") == 1

It needs the OpenTelemetry SDK, which the extras `otlp` and `prometheus` bring along.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs import export as log_export
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_duckdb import contract
from otel_duckdb.instrumentor import DuckDBInstrumentor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Tracer

_LogExporter: Any = getattr(log_export, "InMemoryLogRecordExporter", None) or vars(log_export)["InMemoryLogExporter"]
"""It had the second name until OpenTelemetry 1.38."""


class RecordedTelemetry:
    """Telemetry kept in memory, of everything that is given its providers.

    Attributes:
        tracer_provider: Makes tracers whose spans are kept, those of your program as well.
        meter_provider: Makes meters whose points `points` reads.
        logger_provider: Makes loggers whose records are kept.
        exporter: The SDK's exporter that keeps the spans, those of your program as well.
        log_exporter: The SDK's exporter that keeps the log records.
        reader: The SDK's reader that collects the points.
    """

    def __init__(self, resource: dict[str, Any] | None = None) -> None:
        """Keep telemetry of the service that `resource` describes by its attributes."""
        of = Resource(resource or {})
        self.exporter = InMemorySpanExporter()
        self.tracer_provider = TracerProvider(resource=of, shutdown_on_exit=False)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meter_provider = MeterProvider([self.reader], of, shutdown_on_exit=False)
        self.log_exporter = _LogExporter()
        self.logger_provider = LoggerProvider(of, shutdown_on_exit=False)
        self.logger_provider.add_log_record_processor(log_export.SimpleLogRecordProcessor(self.log_exporter))

    def instrument(self, **options: Any) -> RecordedTelemetry:
        """Instrument DuckDB with these providers and the options of `DuckDBInstrumentor().instrument()`.

        Raises:
            SettingError: an option is unknown or its value is not allowed.
        """
        providers = {
            "tracer_provider": self.tracer_provider,
            "meter_provider": self.meter_provider,
            "logger_provider": self.logger_provider,
        }
        DuckDBInstrumentor().instrument(**{**providers, **options})
        return self

    def tracer(self) -> Tracer:
        """A tracer for spans of the program under test."""
        return self.tracer_provider.get_tracer("the program")

    def spans(self, name: str | None = None) -> list[ReadableSpan]:
        """The ended spans of DuckDB's operations, all or those of one name, in the order of their start."""
        ended = [
            span
            for span in self.exporter.get_finished_spans()
            if span.instrumentation_scope is not None
            and span.instrumentation_scope.name == contract.SCOPE
            and name in {None, span.name}
        ]
        return sorted(ended, key=lambda span: span.start_time or 0)

    def span(self, name: str | None = None) -> ReadableSpan:
        """The one ended span, or the one of that name.

        Raises:
            AssertionError: there is none, or more than one.
        """
        found = self.spans(name)
        if len(found) != 1:
            raise AssertionError(f"expected one span{f' {name!r}' if name else ''}; ended have {self.names()}")
        return found[0]

    def names(self) -> list[str]:
        """The names of the ended spans."""
        return [span.name for span in self.spans()]

    def records(self) -> list[Any]:
        """The log records, such as those of slow queries."""
        return [each.log_record for each in self.log_exporter.get_finished_logs()]

    def metrics(self) -> dict[str, list[Any]]:
        """The data points of every metric as the SDK gives them, collected now."""
        data = self.reader.get_metrics_data()
        return {
            found.name: list(found.data.data_points)
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for found in scope.metrics
        }

    def points(self, metric: str) -> list[Any]:
        """The data points of one metric, collected now; empty where it has none."""
        return self.metrics().get(metric, [])

    def value(self, metric: str, **labels: str) -> float | None:
        """The value of a metric's point that has these labels, of a histogram its count; None without such a point.

        Raises:
            AssertionError: several points have these labels.
        """
        found = [point for point in self.points(metric) if labels.items() <= point.attributes.items()]
        if len(found) > 1:
            raise AssertionError(f"{len(found)} points of {metric} have the labels {labels}; give more of them")
        value: float | None = None if not found else getattr(found[0], "value", None)
        return found[0].count if found and value is None else value

    def internal_errors(self) -> int:
        """How many failures of the instrumentation itself were counted, those of hooks and filters among them."""
        return int(sum(point.value for point in self.points(contract.INTERNAL_ERRORS.name)))

    def clear(self) -> None:
        """Forget the spans and log records that were kept so far."""
        self.exporter.clear()
        self.log_exporter.clear()

    def uninstrument(self) -> None:
        """End the instrumentation, if it has not ended; operations whose results are open end with it."""
        instrumentor = DuckDBInstrumentor()
        if instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.uninstrument()

    def close(self) -> None:
        """End the instrumentation and shut the providers down; spans and log records stay."""
        self.uninstrument()
        with suppress_instrumentation():
            self.tracer_provider.shutdown()
            self.meter_provider.shutdown()
            self.logger_provider.shutdown()


@contextmanager
def record_telemetry(**options: Any) -> Iterator[RecordedTelemetry]:
    """Instrument DuckDB for the length of a `with` block, with the options of `DuckDBInstrumentor().instrument()`.

    Results that are still open at the end of the block end there, so their spans are recorded, too. Gauges, such as the
    memory of a database, are to be read inside the block; all else may be read after it.

    Raises:
        SettingError: an option is unknown or its value is not allowed.
    """
    telemetry = RecordedTelemetry().instrument(**options)
    try:
        yield telemetry
    finally:
        telemetry.uninstrument()
