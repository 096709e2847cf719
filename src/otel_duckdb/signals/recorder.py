"""What an operation becomes: the one place where its span and its metrics meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.trace import get_current_span

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context

    from otel_duckdb.core.operation import Operation
    from otel_duckdb.signals.attributes import AttributeCache
    from otel_duckdb.signals.histograms import Histograms
    from otel_duckdb.signals.spans import Spans


class Recorder:
    """Opens an operation's span, and at its end records its metrics and ends the span."""

    def __init__(self, attributes: AttributeCache, spans: Spans, metrics: Histograms) -> None:
        self._attributes = attributes
        self._spans = spans
        self._metrics = metrics
        self.on_close: list[Callable[[Operation], None]] = []
        """Called with each operation after its span and metrics are recorded."""

    def open(self, operation: Operation, context: Context) -> None:
        """Give the operation its attributes, its span and the context in which DuckDB works for it."""
        operation.attributes = self._attributes.find(operation)
        if context:
            operation.parent = get_current_span(context)
        self._spans.open(operation, context)

    def close(self, operation: Operation) -> None:
        """Record the ended operation; the span ends first, so that a late span can carry the exemplars."""
        self._spans.close(operation)
        self._metrics.record(operation)
        for listener in self.on_close:
            listener(operation)
