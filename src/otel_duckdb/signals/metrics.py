"""Turns an operation into points of the latency and row histograms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_duckdb import contract
from otel_duckdb.signals.errors import error_type

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram, Meter

    from otel_duckdb.contract import Metric
    from otel_duckdb.operation import Operation


def _histogram(meter: Meter, metric: Metric) -> Histogram:
    return meter.create_histogram(
        metric.name, metric.unit, metric.description, explicit_bucket_boundaries_advisory=metric.buckets
    )


class Metrics:
    """The histograms every operation is recorded in."""

    def __init__(self, meter: Meter) -> None:
        self._duration = _histogram(meter, contract.OPERATION_DURATION)
        self._returned_rows = _histogram(meter, contract.RETURNED_ROWS)
        self._latency = _histogram(meter, contract.QUERY_LATENCY)
        self._latency_by_kind = {
            "SELECT": _histogram(meter, contract.SELECT_LATENCY),
            "INSERT": _histogram(meter, contract.INSERT_LATENCY),
            "UPDATE": _histogram(meter, contract.UPDATE_LATENCY),
            "DELETE": _histogram(meter, contract.DELETE_LATENCY),
        }

    def record(self, operation: Operation) -> None:
        """Record the ended operation; its context lets exemplars lead to its span."""
        shape, context = operation.shape, operation.context
        nanoseconds = operation.duration_ns
        measured = shape.measured
        if operation.error is not None:
            measured = {**measured, contract.ERROR_TYPE: error_type(operation.error)}
        self._duration.record(nanoseconds / 1e9, measured, context)
        if operation.rows is not None:
            self._returned_rows.record(operation.rows, measured, context)
        milliseconds = nanoseconds / 1e6
        self._latency.record(milliseconds, shape.by_type, context)
        by_kind = self._latency_by_kind.get(operation.statement.kind)
        if by_kind is not None:
            by_kind.record(milliseconds, shape.by_table, context)
