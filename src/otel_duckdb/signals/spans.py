"""Turns an operation into a span."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.trace import SpanKind, Status, StatusCode, get_current_span, set_span_in_context

from otel_duckdb import contract
from otel_duckdb.core.errors import (
    error_type,
    qualified_type,
    raw_message,
    raw_stacktrace,
    safe_message,
    safe_stacktrace,
)
from otel_duckdb.core.listener import Listener
from otel_duckdb.signals.parameters import captured
from otel_duckdb.telemetry.counter import NO_SPAN
from otel_duckdb.text import encodable

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer
    from opentelemetry.util.types import AttributeValue

    from otel_duckdb.core.dispatcher import Dispatcher, Report
    from otel_duckdb.core.operation import Operation
    from otel_duckdb.settings import Settings

    Hook = Callable[[Span, Operation], None]


class Spans(Listener):
    """Opens and ends the spans of operations."""

    component = "spans"

    def __init__(
        self,
        tracer: Tracer,
        settings: Settings,
        dispatcher: Dispatcher,
        report: Report,
        request_hook: Hook | None = None,
        response_hook: Hook | None = None,
    ) -> None:
        """Let `dispatcher` have each span described before it ends; what the user's hooks raise goes to `report`."""
        self._tracer = tracer
        self._settings = settings
        self._describe = dispatcher.describe
        self._report = report
        self._request_hook = request_hook
        self._response_hook = response_hook
        self._late = settings.min_duration_ms > 0
        self._requires_parent = settings.require_parent
        self._tells_request = settings.capture_parameters or request_hook is not None

    def started(self, operation: Operation, context: Context) -> None:
        """Start the operation's span, unless it can be started only at its end or not at all.

        With a minimum duration the span is made when the operation has lasted that long, so it cannot be current
        while DuckDB works, and what a Python UDF does becomes a child of the caller's span.
        """
        if context:
            operation.parent = get_current_span(context)
        if self._requires_parent and not get_current_span(context).get_span_context().is_valid:
            return
        operation.context = context
        if not self._late:
            self._start(operation, context)

    def _start(self, operation: Operation, context: Context) -> None:
        span = self._tracer.start_span(
            operation.attributes.span_name,
            context,
            SpanKind.CLIENT,
            operation.attributes.span,
            start_time=operation.start_unix_ns,
        )
        operation.span = span
        operation.context = set_span_in_context(span, context)
        if (self._tells_request or operation.batch_size is not None) and span.is_recording():
            self._request(operation, span)

    def _request(self, operation: Operation, span: Span) -> None:
        if operation.batch_size is not None and operation.batch_size > 1:
            span.set_attribute(contract.DB_OPERATION_BATCH_SIZE, operation.batch_size)
        if self._settings.capture_parameters and operation.parameters is not None:
            span.set_attributes(captured(operation))
        if self._request_hook is not None:
            self._call(self._request_hook, span, operation)

    def record(self, operation: Operation) -> None:
        """End the operation's span at the moment DuckDB last worked for it."""
        if self._late and operation.context is not None:
            long_enough = operation.duration_ns >= self._settings.min_duration_ms * 1e6
            if long_enough or operation.failure is not None:
                self._start(operation, operation.context)
        span = operation.span
        if span is None:
            return
        if span.is_recording():
            span.set_attributes(_outcome(operation))
            failure = None if operation.error is None else operation.failure
            if failure is not None:
                self._fail(span, failure, operation)
            elif operation.error is not None:
                span.set_attribute(contract.DUCKDB_NO_TRANSACTION, True)
            self._describe(operation, span)
            if self._response_hook is not None:
                self._call(self._response_hook, span, operation)
            span.end(operation.end_unix_ns)
            return
        if operation.parent is None and not span.get_span_context().trace_flags.sampled:
            operation.measured_context = NO_SPAN  # no exemplar can lead to it, and to look for it costs each histogram
        span.end()

    def _fail(self, span: Span, error: BaseException, operation: Operation) -> None:
        # DuckDB quotes the statement in its errors: one that holds a secret is never quoted.
        raw = self._settings.raw_query_text and operation.statement.safe == operation.text
        message = encodable(raw_message(error) if raw else safe_message(error, _names(operation)))
        stacktrace = raw_stacktrace(error) if raw else safe_stacktrace(error, message)
        span.add_event(
            "exception",
            {
                "exception.type": encodable(qualified_type(error)),
                "exception.message": message,
                "exception.stacktrace": encodable(stacktrace),
            },
            operation.end_unix_ns,
        )
        span.set_attribute(contract.ERROR_TYPE, error_type(error))
        span.set_status(Status(StatusCode.ERROR, message))

    def _call(self, hook: Hook, span: Span, operation: Operation) -> None:
        try:
            hook(span, operation)
        except Exception as fault:
            self._report("hook", fault)


def _names(operation: Operation) -> str:
    """A text with the names that the operation's span shows anyway."""
    text = operation.statement.redacted
    return text if operation.collection is None else f"{text} {operation.collection}"


def _outcome(operation: Operation) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue] = {contract.DUCKDB_EXECUTE_TIME: operation.execute_ns / 1e6}
    if operation.fetch_ns:
        found[contract.DUCKDB_FETCH_TIME] = operation.fetch_ns / 1e6
    if operation.sampled:
        found[contract.DUCKDB_FETCH_SAMPLED] = True
    if operation.rows is not None:
        found[contract.DB_RESPONSE_RETURNED_ROWS] = operation.rows
    if operation.affected_rows is not None:
        found[contract.DUCKDB_AFFECTED_ROWS] = operation.affected_rows
    return found
