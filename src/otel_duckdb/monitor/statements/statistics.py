"""Statistics of every statement shape, bounded in number."""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.core.listener import Listener
from otel_duckdb.monitor.part import Part
from otel_duckdb.monitor.statements.lately import Latency
from otel_duckdb.monitor.statements.statement import TEXT_CHARACTERS, Execution, Statement
from otel_duckdb.monitor.times import iso
from otel_duckdb.statement import parse
from otel_duckdb.telemetry.locks import make_reentrant_lock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from otel_duckdb.core.operation import Operation
    from otel_duckdb.monitor.sample import Sample, Series

_WAITING: Final = 4096
"""Executions that wait for the next tick; who brings one more adds them up himself."""
SORTS: Final = {
    "total": lambda each: each.total_ns,
    "mean": lambda each: each.total_ns / max(each.calls, 1),
    "max": lambda each: each.max_ns,
    "calls": lambda each: each.calls,
    "errors": lambda each: each.errors,
    "rows": lambda each: each.rows,
    "spilled": lambda each: each.spilled_bytes,
    "memory": lambda each: each.mean_peak_memory,
    "last": lambda each: each.last_seen,
}
"""What statements may be sorted by, from the largest down."""


class Statements(Listener, Part):
    """Adds up what each statement shape did in each database since the monitor began.

    The user's thread only hands an execution over; the figures are added up at the next tick, or when they are asked
    for. Where there are more shapes than `limit`, those of the least total time go into one remainder.
    """

    component = "statements"

    def __init__(self, limit: int = 1000) -> None:
        """Keep at most `limit` shapes."""
        self._limit = limit
        self._waiting: deque[tuple[Any, ...]] = deque()
        self._lock = make_reentrant_lock()
        self._since = time.time()
        self._statements: dict[tuple[str, str], Statement] = {}
        self._remainder: Statement | None = None
        self._dropped = 0
        self._held = False
        self._latency = Latency()

    def record(self, operation: Operation) -> None:
        """Hand an ended operation over."""
        rows = operation.affected_rows if operation.rows is None else operation.rows
        connection, span = operation.connection, operation.span
        waiting = self._waiting
        # A bare tuple, in the order of Execution's fields, is made in a third of the time. The span itself is not kept:
        # its memory becomes the next one's, and that is in the processor's cache.
        waiting.append(
            (
                operation.statement.redacted,
                "" if connection is None else connection.label,
                operation.execute_ns,
                operation.fetch_ns,
                rows or 0,
                operation.error is not None and operation.failure is not None,
                operation.start_unix_ns,
                0 if span is None else span.get_span_context().trace_id,
                operation.caller,
                operation.profile,
            )
        )
        # Those of long texts do not wait, for their profiles hold them: some thousands would fill the memory.
        full = len(waiting) > _WAITING or len(operation.text) > TEXT_CHARACTERS
        if full and not self._held and self._lock.acquire(blocking=False):
            try:
                with self._added_up():
                    pass
            finally:
                self._lock.release()

    def sampled(self, sample: Sample) -> None:
        """Add up what was handed over since the last tick."""
        del sample
        with self._added_up():
            pass

    def latency(self) -> Mapping[Series, float]:
        """Return the quantiles of the last 10 s as series for a sample."""
        with self._added_up():
            return self._latency.tick(time.monotonic())

    @property
    def count(self) -> int:
        """How many statement shapes are kept."""
        return len(self._statements)

    def reset(self) -> None:
        """Forget all figures."""
        with self._lock:
            self._waiting.clear()
            self._statements = {}
            self._remainder, self._dropped, self._since = None, 0, time.time()

    def as_json(self, sort: str = "total", limit: int = 50, database: str | None = None) -> dict[str, Any]:
        """Return the statistics as JSON has them, at most `limit` statements.

        Raises:
            ValueError: there is no such sort key.
        """
        if sort not in SORTS:
            raise ValueError(f"sort is {sort!r}; allowed is {', '.join(SORTS)}")
        with self._added_up():
            statements = tuple(self._statements.values())
            shown = [each for each in statements if database in (None, each.database)]
            remainder = self._remainder
            everything = sum(each.total_ns for each in statements)
            everything += 0 if remainder is None else remainder.total_ns
            shown.sort(key=SORTS[sort], reverse=True)
            return {
                "since": iso(self._since),
                "dropped": self._dropped,
                "shapes": len(shown),
                "statements": [each.as_json(everything) for each in shown[: max(0, limit)]],
                "remainder": None if remainder is None else remainder.as_json(everything),
            }

    def slower(self) -> dict[tuple[str, str], float]:
        """How many times longer than it used to the most changed statement of each database and summary takes."""
        times: dict[tuple[str, str], float] = {}
        with self._lock:
            for statement in tuple(self._statements.values()):
                found = statement.trend.times_slower
                if found > 1.0:
                    key = statement.database, parse(statement.text).summary
                    times[key] = max(found, times.get(key, 1.0))
        return times

    @contextmanager
    def _added_up(self) -> Iterator[None]:
        """Hold the figures still, all of them added up; what interrupts that in this thread adds up nothing."""
        with self._lock:
            interrupting, self._held = self._held, True
            try:
                if not interrupting:
                    self._add_up()
                yield
            finally:
                self._held = interrupting

    def _add_up(self) -> None:
        waiting = self._waiting
        while waiting:
            try:
                execution = Execution(*waiting.popleft())
            except IndexError:  # another thread was quicker
                return
            key = execution.database, _key(execution.text)
            statement = self._statements.get(key)
            if statement is None:
                if len(self._statements) >= self._limit:
                    self._drop()
                statement = self._statements[key] = Statement(
                    execution.text, execution.database, execution.began_unix_ns / 1e9
                )
            statement.add(execution)
            self._latency.add(execution.execute_ns + execution.fetch_ns)

    def _drop(self) -> None:
        """Put the tenth of the shapes that took the least time into the remainder."""
        least = sorted(self._statements, key=lambda key: self._statements[key].total_ns)
        for key in least[: max(1, self._limit // 10)]:
            gone = self._statements.pop(key, None)
            if gone is None:  # forgotten meanwhile
                continue
            if self._remainder is None:
                self._remainder = Statement("_other", "", gone.first_seen)
            self._remainder.absorb(gone)
            self._dropped += 1


def _key(text: str) -> str:
    """What a statement is known by: its text, or where that is long, a digest of it."""
    if len(text) <= TEXT_CHARACTERS:
        return text
    return blake2b(text.encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()
