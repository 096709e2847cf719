"""The slow-query log: an OpenTelemetry log record and a line of Python logging for every slow operation."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from opentelemetry._logs import SeverityNumber
from opentelemetry.context import attach, detach, get_current

from otel_duckdb import contract
from otel_duckdb.core.caller import find_caller
from otel_duckdb.core.errors import error_type
from otel_duckdb.core.listener import Listener
from otel_duckdb.profiling.plan import figures, hottest
from otel_duckdb.telemetry.compatibility import emit_log
from otel_duckdb.text import printable

if TYPE_CHECKING:
    from opentelemetry._logs import Logger
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

    from otel_duckdb.core.operation import Operation
    from otel_duckdb.profiling.plan import Plans

log: Final = logging.getLogger("otel_duckdb.slow_query")
log.addHandler(logging.NullHandler())  # a program without logging must not find lines on its stderr


class SlowQueries(Listener):
    """Tells of operations that took longer than the threshold."""

    component = "slow_queries"

    def __init__(self, logger: Logger, plans: Plans, threshold_ms: float) -> None:
        self._logger = logger
        self._plans = plans
        self._limit_ns = threshold_ms * 1e6

    def became_slow(self, operation: Operation) -> None:
        """Take down who called."""
        operation.caller = find_caller()

    def describe(self, operation: Operation, span: Span) -> None:
        """Put the caller of a slow operation on its span."""
        if operation.caller is not None and operation.duration_ns > self._limit_ns:
            span.set_attributes(operation.caller.attributes)

    def record(self, operation: Operation) -> None:
        """Log the operation if it was slow, in the context of its span."""
        if operation.execute_ns + operation.fetch_ns <= self._limit_ns:  # a property would cost each operation a frame
            return
        attributes = self._attributes(operation)
        context = operation.context or get_current()
        text = _sentence(operation)
        emit_log(
            self._logger,
            timestamp=operation.end_unix_ns,
            context=context,
            severity_number=SeverityNumber.WARN,
            body=text,
            attributes=attributes,
            event_name=contract.EVENT_SLOW_QUERY,
        )
        token = attach(context)
        try:
            query = attributes.get(contract.DB_QUERY_TEXT) or operation.attributes.span_name
            log.warning("%s: %s", text, printable(query))
        finally:
            detach(token)

    def _attributes(self, operation: Operation) -> dict[str, AttributeValue]:
        found: dict[str, AttributeValue] = {
            **operation.attributes.span,
            contract.DUCKDB_DURATION: operation.duration_ns / 1e6,
            contract.DUCKDB_EXECUTE_TIME: operation.execute_ns / 1e6,
            contract.DUCKDB_FETCH_TIME: operation.fetch_ns / 1e6,
        }
        if operation.rows is not None:
            found[contract.DB_RESPONSE_RETURNED_ROWS] = operation.rows
        if operation.failure is not None:
            found[contract.ERROR_TYPE] = error_type(operation.failure)
        if operation.affected_rows is not None:
            found[contract.DUCKDB_AFFECTED_ROWS] = operation.affected_rows
        if operation.caller is not None:
            found.update(operation.caller.attributes)
        if operation.profile is not None:
            found.update(figures(operation.profile))
            found[contract.DUCKDB_PLAN] = self._plans.tree(operation)
        return found


def _sentence(operation: Operation) -> str:
    parts = [f"slow query: {operation.attributes.span_name} took {operation.duration_ns / 1e6:,.0f} ms"]
    if operation.failure is not None:
        parts.append(f"failed with {error_type(operation.failure)}")
    if operation.rows is not None:
        parts.append(f"{operation.rows:,} rows")
    if operation.profile is not None and hottest(operation.profile):
        parts.append(f"hottest {hottest(operation.profile)}")
    if operation.caller is not None:
        caller = operation.caller
        parts.append(f"called by {caller.function} ({caller.path}:{caller.line})")
    return printable(", ".join(parts + _asked_by(operation)))


def _asked_by(operation: Operation) -> list[str]:
    """What a comment of dbt or sqlcommenter says of who asks."""
    prefix = f"{contract.DUCKDB_COMMENT}."
    attributes = operation.attributes.span
    return [
        f"{key.removeprefix(prefix)} {printable(value)}" for key, value in attributes.items() if key.startswith(prefix)
    ]
