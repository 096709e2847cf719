"""Turns an operation into a span."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode, get_current_span

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
from otel_duckdb.telemetry.context import SPAN
from otel_duckdb.telemetry.counter import NO_SPAN
from otel_duckdb.text import encodable

if TYPE_CHECKING:
    from collections.abc import Callable

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

    def started(self, operation: Operation, context: Context, *, is_over: bool = False) -> None:
        """Start the operation's span, unless it can be started only at its end or not at all.

        With a minimum duration the span is made when the operation has lasted that long, so it cannot be current
        while DuckDB works, and what a Python UDF does becomes a child of the caller's span.
        """
        if context:
            operation.parent = get_current_span(context)
        if self._requires_parent and not get_current_span(context).get_span_context().is_valid:
            return
        operation.context = context
        if self._late and not is_over:
            return
        span = self._tracer.start_span(
            operation.attributes.span_name,
            context,
            SpanKind.CLIENT,
            operation.attributes.span,
            start_time=operation.start_unix_ns,
        )
        operation.span = span
        operation.context = Context({**context, SPAN: span})
        if (self._tells_request or operation.batch_size is not None) and span.is_recording():
            self._request(operation, span)

    def _request(self, operation: Operation, span: Span) -> None:
        if operation.batch_size is not None and operation.batch_size > 1:
            span.set_attribute(contract.DB_OPERATION_BATCH_SIZE, operation.batch_size)
        if self._settings.capture_parameters and operation.parameters is not None:
            span.set_attributes(captured(operation))
        if self._request_hook is not None:
            self._call(self._request_hook, span, operation)

    def record(self, operation: Operation) -> None:  # noqa: C901 - a helper would cost each query a frame
        """End the operation's span at the moment DuckDB last worked for it."""
        if self._late:
            self._start_late(operation)
        span = operation.span
        if span is None:
            return
        if not span.is_recording():
            if operation.parent is None and not span.get_span_context().trace_flags.sampled:
                operation.measured_context = NO_SPAN  # no exemplar can lead to it, and to look costs each histogram
            span.end()
            return
        found: dict[str, AttributeValue] = {contract.DUCKDB_EXECUTE_TIME: operation.execute_ns / 1e6}
        if operation.fetch_ns:
            found[contract.DUCKDB_FETCH_TIME] = operation.fetch_ns / 1e6
        if operation.sampled:
            found[contract.DUCKDB_FETCH_SAMPLED] = True
        if operation.rows is not None:
            found[contract.DB_RESPONSE_RETURNED_ROWS] = operation.rows
        if operation.affected_rows is not None:
            found[contract.DUCKDB_AFFECTED_ROWS] = operation.affected_rows
        span.set_attributes(found)
        if operation.error is not None:
            self._tell_error(span, operation)
        if operation.caller is not None or operation.profile is not None:
            self._describe(operation, span)
        if self._response_hook is not None:
            self._call(self._response_hook, span, operation)
        span.end(operation.start_unix_ns + operation.last_call_ns - operation.start_ns)  # as its property says

    def _start_late(self, operation: Operation) -> None:
        context = operation.context
        long_enough = operation.duration_ns >= self._settings.min_duration_ms * 1e6
        if context is not None and (long_enough or operation.failure is not None):
            self.started(operation, context, is_over=True)

    def _tell_error(self, span: Span, operation: Operation) -> None:
        failure = operation.failure
        if failure is None:
            span.set_attribute(contract.DUCKDB_NO_TRANSACTION, True)
        else:
            self._fail(span, failure, operation)

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
