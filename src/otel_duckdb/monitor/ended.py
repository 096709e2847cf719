"""Operations that have ended, on their way from the user's thread to what is kept of them."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from otel_duckdb.core.errors import error_type, safe_message
from otel_duckdb.core.listener import Listener
from otel_duckdb.telemetry.locks import make_reentrant_lock
from otel_duckdb.text import encodable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opentelemetry.trace import Span, SpanContext

    from otel_duckdb.core.caller import Caller
    from otel_duckdb.core.operation import Operation, OperationAttributes
    from otel_duckdb.core.profile import Profile

MOST_WAITING: Final = 1024
"""Operations that wait for the next sample; whoever brings one more hands all of them over."""
TEXT_CHARACTERS: Final = 4096
"""A longer text does not wait, for some hundreds would fill the memory; what is kept of it is its beginning."""


class Ended(NamedTuple):
    """The figures of one operation that has ended.

    Attributes:
        text: Its text without literals.
        database: Its database's name in the metrics.
        attributes: What it has in common with others of its text.
        context: Its span's, None without one; not valid where no SDK is set up.
        parent: The span it was called in, or None.
        began_unix_ns: When it began, in nanoseconds since 1970.
        start_ns: The same moment on the clock of `time.perf_counter_ns()`.
        last_call_ns: When DuckDB's last call for it ended, on that clock.
        execute_ns: Nanoseconds inside DuckDB for the call.
        fetch_ns: Nanoseconds inside DuckDB for the fetches.
        rows: Rows fetched, or None.
        affected_rows: Rows changed, or None.
        error: The type and the message, without values, of the error it ended with, or None.
        caller: Where it was called, None where it was not slow.
        profile: What DuckDB's profiler says of it, or None.
    """

    text: str
    database: str
    attributes: OperationAttributes
    context: SpanContext | None
    parent: Span | None
    began_unix_ns: int
    start_ns: int
    last_call_ns: int
    execute_ns: int
    fetch_ns: int
    rows: int | None
    affected_rows: int | None
    error: tuple[str, str] | None
    caller: Caller | None
    profile: Profile | None

    @property
    def lasted_ns(self) -> int:
        """Nanoseconds from its begin to the end of DuckDB's last call for it."""
        return self.last_call_ns - self.start_ns


class Follower(Protocol):
    """What keeps something of operations that have ended."""

    def take(self, batch: Sequence[tuple[Any, ...]], number: int) -> None:
        """Take in what has ended; each is a tuple in the order of the fields of `Ended`.

        A batch whose taking in was broken off, by what a signal's handler raised, is given again with the same number.
        """


class EndedOperations(Listener):
    """Hands operations over in batches, so that in the user's thread one tuple is made of each, and no more.

    Whoever reads figures does so in `settled()`. Nothing is kept of an operation but figures: neither the user's
    objects, nor the span, whose memory becomes the next one's and is in the processor's cache.

    Attributes:
        followers: Whom batches are handed to, in their order.
    """

    component = "monitor"

    def __init__(self, *, keeps_parents: bool = True) -> None:
        """Without `keeps_parents` nothing holds the program's spans."""
        self.followers: Sequence[Follower] = ()
        self._keeps_parents = keeps_parents
        self._waiting: deque[tuple[Any, ...]] = deque()
        self._lock = make_reentrant_lock()
        self._held = False
        self._batch: list[tuple[Any, ...]] = []
        self._number = 0
        self._given = False

    def record(self, operation: Operation) -> None:
        """Take the figures of an ended operation."""
        connection, span, waiting = operation.connection, operation.span, self._waiting
        # A bare tuple is made in a third of the time of an `Ended`.
        waiting.append(
            (
                operation.statement.redacted,
                "" if connection is None else connection.label,
                operation.attributes,
                None if span is None else span.get_span_context(),
                operation.parent if self._keeps_parents else None,
                operation.start_unix_ns,
                operation.start_ns,
                operation.last_call_ns,
                operation.execute_ns,
                operation.fetch_ns,
                operation.rows,
                operation.affected_rows,
                None if operation.error is None else _failure(operation),
                operation.caller,
                operation.profile,
            )
        )
        if len(waiting) > MOST_WAITING or len(operation.text) > TEXT_CHARACTERS:
            self._hand_over_unless_held()

    def _hand_over_unless_held(self) -> None:
        """Hand over what waits, unless another thread does, or this one was interrupted in the middle of it."""
        if self._held or not self._lock.acquire(blocking=False):
            return
        try:
            self._held = True
            self._hand_over()
        finally:
            self._held = False
            self._lock.release()

    @contextmanager
    def settled(self) -> Iterator[None]:
        """Hold all figures still, with nothing left that waits; what interrupts that in this thread hands nothing over.

        Raises:
            Exception: what a follower raised; the others have been told all the same.
        """
        with self._lock:
            interrupting, self._held = self._held, True
            try:
                if not interrupting:
                    self._hand_over()
                yield
            finally:
                self._held = interrupting

    def _hand_over(self) -> None:
        if self._given:  # a signal's handler broke it off
            self._give()
        waiting, batch = self._waiting, self._batch
        for _ in range(len(waiting)):
            # No call between the two, so no signal's handler either: each operation is in one of them.
            batch += (waiting[0],)
            del waiting[0]
        if batch:
            self._given = True
            self._give()

    def _give(self) -> None:
        fault: Exception | None = None
        for follower in self.followers:
            try:
                follower.take(self._batch, self._number)
            except Exception as raised:
                fault = fault or raised
        self._batch, self._number, self._given = [], self._number + 1, False
        if fault is not None:
            raise fault


def _failure(operation: Operation) -> tuple[str, str] | None:
    """The type and the message, without values, of an operation's error; None where it is none."""
    failure = operation.failure
    if failure is None:
        return None
    text = f"{operation.statement.redacted} {operation.collection or ''}"
    return encodable(error_type(failure)), encodable(safe_message(failure, text))
