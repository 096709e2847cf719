"""Keeps traces of operations in the process: the recent ones, the slowest and those that failed."""

from __future__ import annotations

import itertools
import secrets
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.core.errors import error_type, safe_message
from otel_duckdb.core.listener import Listener
from otel_duckdb.monitor.part import Part
from otel_duckdb.monitor.traces.recorded import Recorded
from otel_duckdb.monitor.traces.trace import Trace
from otel_duckdb.telemetry.locks import make_reentrant_lock
from otel_duckdb.text import encodable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_duckdb.core.operation import Operation
    from otel_duckdb.monitor.sample import Sample

_WAITING: Final = 2048
"""Operations that wait for the next tick; of more than that the latest are kept."""
_REMARKABLE: Final = 256
"""Slow ones, and failed ones, that wait apart, so that many others do not push them out."""
_LEAST_SLOW_NS: Final = 1_000_000
_SLOW_FOR_NS: Final = 86_400_000_000_000
"""A trace is among the slowest for a day."""
RECENT: Final = 200
SLOWEST: Final = 50
FAILED: Final = 50
SPANS: Final = 200
BYTES: Final = 4_000_000
SORTS: Final = {
    "start": lambda each: each.begun_ns,
    "duration": lambda each: each.ended_ns - each.begun_ns,
    "duckdb": lambda each: each.duckdb_ns,
}
"""What traces may be sorted by, from the largest down."""


class NoSuchTraceError(LookupError):
    """A trace that is not kept; it may have been once."""


class Traces(Listener, Part):
    """Keeps 200 recent traces, the 50 slowest of a day by their time inside DuckDB, and the last 50 that failed.

    An operation that the SDK of OpenTelemetry gave a trace is kept by its true identity; without one each operation is
    a trace by itself. The user's thread only hands an operation over; traces are made at the next tick, or when they
    are asked for. Of one trace at most 200 spans are kept, of all about 4 MB.
    """

    component = "traces"

    def __init__(self) -> None:
        self._waiting: deque[tuple[Any, ...]] = deque(maxlen=_WAITING)
        self._slow: deque[tuple[Any, ...]] = deque(maxlen=_REMARKABLE)
        self._failed: deque[tuple[Any, ...]] = deque(maxlen=_REMARKABLE)
        self._slow_ns = _LEAST_SLOW_NS
        self._lock = make_reentrant_lock()
        self._traces: dict[int, Trace] = {}
        self._prefix = secrets.randbits(64) << 64
        self._numbers = itertools.count(1)

    def record(self, operation: Operation) -> None:
        """Hand an ended operation over."""
        span, connection, error = operation.span, operation.connection, operation.error
        # A bare tuple, in the order of Recorded's fields, as the statistics of statements do it.
        recorded = (
            None if span is None else span.get_span_context(),
            operation.parent,
            operation.attributes,
            operation.statement.redacted,
            "" if connection is None else connection.label,
            operation.start_unix_ns,
            operation.last_call_ns - operation.start_ns,
            operation.execute_ns,
            operation.fetch_ns,
            operation.rows,
            operation.affected_rows,
            None if error is None else _failure(operation),
            operation.caller,
            operation.profile,
        )
        if error is not None:
            self._failed.append(recorded)
        elif recorded[7] + recorded[8] > self._slow_ns:
            self._slow.append(recorded)
            if len(self._slow) >= _REMARKABLE and self._lock.acquire(blocking=False):
                try:
                    self._take(self._slow)  # which raises the bar
                finally:
                    self._lock.release()
        else:
            self._waiting.append(recorded)

    @property
    def size(self) -> int:
        """About how many bytes the kept traces take."""
        with self._lock:
            return sum(each.size for each in self._traces.values())

    def sampled(self, sample: Sample) -> None:
        """Make traces of what was handed over since the last tick."""
        del sample
        with self._lock:
            self._take()

    def as_json(
        self,
        min_ms: float | None = None,
        name: str | None = None,
        error: bool | None = None,
        limit: int = 50,
        sort: str = "start",
    ) -> list[dict[str, Any]]:
        """Return the traces that match, the newest first or the largest by `sort`.

        Raises:
            ValueError: there is no such sort key.
        """
        if sort not in SORTS:
            raise ValueError(f"sort is {sort!r}; allowed is {', '.join(SORTS)}")
        words = (name or "").lower()
        with self._lock:
            self._take()
            found = [
                each
                for each in self._traces.values()
                if each.ended_ns - each.begun_ns >= (min_ms or 0) * 1e6
                and (error is None or each.failed == error)
                and (not words or each.matches(words))
            ]
            found.sort(key=SORTS[sort], reverse=True)
            return [each.summary() for each in found[: max(0, limit)]]

    def trace(self, trace_id: str) -> dict[str, Any]:
        """Return one trace with its spans.

        Raises:
            NoSuchTraceError: it is not kept.
        """
        with self._lock:
            self._take()
            try:
                return self._traces[int(trace_id, 16)].as_json()
            except (KeyError, ValueError):
                raise NoSuchTraceError("that trace is not kept; it may have been pushed out by newer ones") from None

    def _take(self, *waiting: deque[tuple[Any, ...]]) -> None:
        """Put what waits into its traces, and drop those that are neither recent nor slow nor failed."""
        lists = waiting or (self._waiting, self._slow, self._failed)
        taken = [_in_its_trace(Recorded(*each)) for one in lists for each in _emptied(one)]
        if not taken:
            return
        for found in sorted(taken, key=lambda each: each.start_ns + each.lasted_ns):
            context = found.context
            identity = (context.trace_id if context is not None else 0) or self._prefix | next(self._numbers)
            trace = self._traces.get(identity)
            if trace is None:
                sampled = context is not None and context.trace_id != 0 and context.trace_flags.sampled
                trace = self._traces[identity] = Trace(identity, sampled, found.start_ns)
            trace.add(found, SPANS)
        self._drop()

    def _drop(self) -> None:
        by_end = sorted(self._traces.values(), key=lambda each: each.ended_ns, reverse=True)
        since = time.time_ns() - _SLOW_FOR_NS
        slowest = sorted((each for each in by_end if each.ended_ns > since), key=SORTS["duckdb"], reverse=True)[
            :SLOWEST
        ]
        failed = [each for each in by_end if each.failed][:FAILED]
        self._slow_ns = max(slowest[-1].duckdb_ns, _LEAST_SLOW_NS) if len(slowest) == SLOWEST else _LEAST_SLOW_NS
        kept: dict[int, Trace] = {}
        left = BYTES
        for trace in _by_turns(slowest, failed, by_end[:RECENT]):
            if trace.identity not in kept:
                trace.settle()
                if trace.size <= left:  # one that is too large leaves its room to the others
                    left -= trace.size
                    kept[trace.identity] = trace
        self._traces = kept


def _in_its_trace(found: Recorded) -> Recorded:
    """With its parent's context in the place of none: not every version of the API hands it on without an SDK."""
    if found.parent is None or (found.context is not None and found.context.is_valid):
        return found
    return found._replace(context=found.parent.get_span_context())


def _by_turns(*lists: list[Trace]) -> Iterable[Trace]:
    """The first of each list, then the second of each, and so on: where room ends, each has lost its last."""
    for row in itertools.zip_longest(*lists):
        yield from (each for each in row if each is not None)


def _emptied(waiting: deque[tuple[Any, ...]]) -> Iterable[tuple[Any, ...]]:
    while waiting:
        try:
            yield waiting.popleft()
        except IndexError:  # another thread was quicker
            return


def _failure(operation: Operation) -> tuple[str, str] | None:
    """The type and the message, without values, of an operation's error; None where it is none."""
    failure = operation.failure
    if failure is None:
        return None
    text = f"{operation.statement.redacted} {operation.collection or ''}"
    return encodable(error_type(failure)), encodable(safe_message(failure, text))
