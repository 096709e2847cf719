"""Turns an operation into points of the latency and row histograms."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from otel_duckdb import contract
from otel_duckdb.core.errors import error_type
from otel_duckdb.core.listener import Listener
from otel_duckdb.signals.kinds import BY_TABLE
from otel_duckdb.telemetry.cardinality import CardinalityLimit
from otel_duckdb.telemetry.histogram import create_histogram

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter

    from otel_duckdb.core.operation import Operation


_FAILED: Final = 20
"""Statements that are named beside their errors, where others are not."""


class Histograms(Listener):
    """The histograms every operation is recorded in."""

    component = "histograms"

    def __init__(self, meter: Meter, *, detailed: bool = False) -> None:
        """Make the instruments; `detailed` ones by table have all buckets."""
        self._duration = create_histogram(meter, contract.OPERATION_DURATION)
        self._returned_rows = create_histogram(meter, contract.RETURNED_ROWS)
        self._latency = create_histogram(meter, contract.QUERY_LATENCY)
        self._latency_by_kind = {
            kind: create_histogram(
                meter, replace(metrics.latency, buckets=contract.LATENCY_MS_BUCKETS) if detailed else metrics.latency
            )
            for kind, metrics in BY_TABLE.items()
        }
        self._errors = CardinalityLimit()
        self._failed = CardinalityLimit(_FAILED)

    def record(self, operation: Operation) -> None:
        """Record the ended operation; its context lets exemplars lead to its span."""
        attributes, context = operation.attributes, operation.context
        nanoseconds = operation.execute_ns + operation.fetch_ns  # a property would cost each operation a frame
        measured = attributes.metrics
        failure = None if operation.error is None else operation.failure
        if failure is not None:
            measured = {**measured, contract.ERROR_TYPE: self._errors(error_type(failure))}
            summary = attributes.span.get(contract.DB_QUERY_SUMMARY)
            if summary and contract.DB_QUERY_SUMMARY not in measured:  # failures are few: they say of which statement
                measured[contract.DB_QUERY_SUMMARY] = self._failed(str(summary))
        self._duration.record(nanoseconds / 1e9, measured, context)
        if operation.rows is not None:
            self._returned_rows.record(operation.rows, measured, context)
        milliseconds = nanoseconds / 1e6
        self._latency.record(milliseconds, attributes.by_query_type, context)
        by_kind = self._latency_by_kind.get(operation.statement.kind)
        if by_kind is not None:
            by_kind.record(milliseconds, attributes.by_table_name, context)
