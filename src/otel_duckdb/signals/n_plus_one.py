"""N+1: one statement executed again and again under one parent span."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_duckdb import contract
from otel_duckdb.core.listener import Listener
from otel_duckdb.telemetry.locks import make_lock

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from otel_duckdb.core.operation import Operation

_KEPT: Final = 4096


class NPlusOne(Listener):
    """Counts the executions of each statement under each parent, and marks the parent.

    At the threshold the parent gets one event with the count and the time so far. From then on its attributes hold the
    count and the time of the statement that took most, and are kept up to date until the parent ends: what is read
    afterwards are the final figures.
    """

    component = "n_plus_one"

    def __init__(self, threshold: int) -> None:
        """Take the number of executions from which on the parent is marked; 0 marks none."""
        self._threshold = threshold
        self._seen: dict[tuple[int, str], list[int]] = {}
        self._worst: dict[int, int] = {}
        self._lock = make_lock()

    def record(self, operation: Operation) -> None:
        """Count the ended operation."""
        parent = operation.parent
        if parent is None or not self._threshold or operation.is_batch:
            return
        identity = parent.get_span_context().span_id
        if not identity:
            return
        key = (identity, operation.statement.redacted)
        with self._lock:
            found = self._seen.get(key)
            if found is None:
                found = self._add(key)
            found[0] += 1
            found[1] += operation.duration_ns
            count, nanoseconds = found
        if count >= self._threshold and parent.is_recording():
            self._mark(parent, identity, operation, count, nanoseconds)

    def _add(self, key: tuple[int, str]) -> list[int]:
        while len(self._seen) >= _KEPT:
            oldest = next(iter(self._seen))
            del self._seen[oldest]
            self._worst.pop(oldest[0], None)
        found = self._seen[key] = [0, 0]
        return found

    def _mark(self, parent: Span, identity: int, operation: Operation, count: int, nanoseconds: int) -> None:
        attributes = {contract.DUCKDB_REPEATED_COUNT: count, contract.DUCKDB_REPEATED_TIME: nanoseconds / 1e6}
        if count == self._threshold:
            parent.add_event(
                contract.EVENT_REPEATED_QUERY,
                {
                    **attributes,
                    contract.DB_QUERY_SUMMARY: operation.attributes.span_name,
                    contract.DB_QUERY_TEXT: operation.attributes.span.get(contract.DB_QUERY_TEXT, ""),
                },
                operation.end_unix_ns,
            )
        if nanoseconds >= self._worst.get(identity, 0):
            self._worst[identity] = nanoseconds
            parent.set_attributes({**attributes, contract.DUCKDB_REPEATED_SUMMARY: operation.attributes.span_name})
