"""Turns an operation into points of the latency and row histograms."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from otel_duckdb import contract
from otel_duckdb.core.errors import error_type
from otel_duckdb.core.listener import Listener
from otel_duckdb.signals.kinds import BY_TABLE
from otel_duckdb.telemetry.cardinality import CardinalityLimit
from otel_duckdb.telemetry.histogram import create_wanted_histogram

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.metrics import Meter
    from opentelemetry.util.types import AttributeValue

    from otel_duckdb.contract import Metric
    from otel_duckdb.core.operation import Operation
    from otel_duckdb.settings import Settings
    from otel_duckdb.telemetry.batch import MeasurementBatch, Recorder


_FAILED: Final = 20
"""Statements that are named beside their errors, where others are not."""


class Histograms(Listener):
    """The histograms every operation is recorded in."""

    component = "histograms"

    def __init__(self, meter: Meter, settings: Settings, batch: MeasurementBatch) -> None:
        """Make the instruments of the families that are kept; detailed ones by table have all buckets."""

        def create(metric: Metric, family: str) -> Recorder | None:
            made = create_wanted_histogram(meter, metric) if family in settings.query_metrics else None
            return None if made is None else batch.keep(made)

        self._latency = create(contract.QUERY_LATENCY, "duckdb")
        by_kind = {kind: create(_detailed(each.latency, settings), "tables") for kind, each in BY_TABLE.items()}
        self._latency_by_kind = {kind: made for kind, made in by_kind.items() if made is not None}
        self._duration = create(contract.OPERATION_DURATION, "semconv")
        self._returned_rows = create(contract.RETURNED_ROWS, "rows")
        self._errors = CardinalityLimit()
        self._failed = CardinalityLimit(_FAILED)

    def record(self, operation: Operation) -> None:
        """Record the ended operation; its context lets exemplars lead to its span."""
        attributes, context = operation.attributes, operation.measured_context or operation.context
        nanoseconds = operation.execute_ns + operation.fetch_ns  # a property would cost each operation a frame
        milliseconds = nanoseconds / 1e6
        if self._latency is not None:
            self._latency.record(milliseconds, attributes.by_query_type, context)
        by_kind = self._latency_by_kind.get(operation.statement.kind)
        if by_kind is not None:
            by_kind.record(milliseconds, attributes.by_table_name, context)
        rows = None if self._returned_rows is None else operation.rows
        if self._duration is None and rows is None:
            return
        measured = attributes.metrics if operation.error is None else self._failure(operation)
        if self._duration is not None:
            self._duration.record(nanoseconds / 1e9, measured, context)
        if self._returned_rows is not None and rows is not None:
            self._returned_rows.record(rows, measured, context)

    def _failure(self, operation: Operation) -> Mapping[str, AttributeValue]:
        """The attributes of an operation that ended with an error."""
        attributes, failure = operation.attributes, operation.failure
        if failure is None:
            return attributes.metrics
        measured = {**attributes.metrics, contract.ERROR_TYPE: self._errors(error_type(failure))}
        summary = attributes.span.get(contract.DB_QUERY_SUMMARY)
        if summary and contract.DB_QUERY_SUMMARY not in measured:  # failures are few: they say of which statement
            measured[contract.DB_QUERY_SUMMARY] = self._failed(str(summary))
        return measured


def _detailed(metric: Metric, settings: Settings) -> Metric:
    return replace(metric, buckets=contract.LATENCY_MS_BUCKETS) if settings.metric_detail == "high" else metric
