"""One pass over an append-only table: batch after batch, each journalled, sent and acknowledged."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, Final

import duckdb
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from otel_duckdb.sync.errors import SyncError, TargetError
from otel_duckdb.sync.journal import write
from otel_duckdb.sync.payload import Payload, pack
from otel_duckdb.sync.schema import BATCH_COLUMN, SOURCE_COLUMN, added
from otel_duckdb.sync.sender import deliver, token_of
from otel_duckdb.sync.source import Reading, Source, changing
from otel_duckdb.sync.state import Mark, Pending, State, now, seconds_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from opentelemetry.trace import SpanContext

    from otel_duckdb.sync.signals import SyncSpan
    from otel_duckdb.sync.task import Task

_BATCHES_BEFORE_DELETION: Final = 8
_QUIET_SECONDS: Final = 30.0
_REPORT_SECONDS: Final = 1.0
_propagator: Final = TraceContextTextMapPropagator()


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows read and packed; `hash` adds up theirs, and `mark` is the position after them."""

    payload: Payload
    hash: int
    mark: Mark


def _packed(reading: Reading, source: int, sequence: int) -> _Batch:
    """A batch with the two columns that tell in the target which rows belong to it."""
    return _Batch(pack(reading.batch, {SOURCE_COLUMN: source, BATCH_COLUMN: sequence}), reading.hash, reading.mark)


class AppendPass:
    """One pass over one append-only table."""

    def __init__(self, task: Task, cursors: tuple[DuckDBPyConnection, DuckDBPyConnection]) -> None:
        """Prepare the pass; of the two cursors one reads ahead in a thread of its own, while the other works here."""
        self._task = task
        self._schema = task.schema_for(True)
        self._journal = task.journal
        self._sender = task.sender
        self._cursor, self._reading_cursor = cursors
        self._reported = 0.0

    def run(self, state: State, span: SyncSpan, prepare: bool) -> State:
        """Send all rows that are there; `prepare` checks the target table first.

        Raises:
            SyncError: it cannot go on; what was acknowledged is in the journal.
        """
        self._report(state)
        try:
            state = self._send(state, span, prepare)
        except BaseException:
            with suppress(SyncError, duckdb.Error):
                self._report(self._room(self._journal.load(state.name) or state, drop=True))
            raise
        state = self._room(state, drop=False)
        self._report(state)
        return state

    def _send(self, state: State, span: SyncSpan, prepare: bool) -> State:
        if not self._sender.call(f"table {state.name!r}", lambda: self._sender.clickhouse.has_times, span):
            self._schema = self._task.schema_for(False)
        widened = added(self._schema, state.columns)
        if prepare or widened:
            self._prepare(state, span)
        if state.pending is not None:
            state = self._recover(state, span)
        if widened:
            state = self._widen(state)
        with ThreadPoolExecutor(1, "otel-duckdb-sync-read") as reader:
            return self._send_all(state, span, reader)

    def _source(self, state: State) -> Source:
        """The table as the journal knows it: without the columns added since."""
        return Source(self._cursor, self._schema.only(name for name, _, _ in state.columns), self._task.limits)

    def _widen(self, state: State) -> State:
        """Take up columns that were added to the table."""
        names = [name for name, _, _ in state.columns]
        with changing(self._cursor, state):
            mark = self._source(state).verify(state.mark)
            mark = Source(self._cursor, self._schema, self._task.limits).rehash(mark, names)
            state = replace(state, columns=self._schema.signature, mark=mark)
            write(self._cursor, state)
        return state

    def _prepare(self, state: State, span: SyncSpan) -> None:
        what = f"table {state.name!r}"

        def prepare() -> int:
            self._task.destination.prepare(self._schema, state.acknowledged_rows)
            return self._task.destination.last_batch(state.source)

        last = self._sender.call(what, prepare, span)
        if last > (state.pending.sequence if state.pending else state.sequence):
            raise TargetError(
                f"{what}: {self._sender.clickhouse.name} holds its batch {last}, but the journal ends at batch "
                f"{state.sequence}; this database is an older copy, and goes on only with `otel-duckdb sync --reset`"
            )

    def _recover(self, state: State, span: SyncSpan) -> State:
        pending = state.pending
        if pending is None:
            return state
        reading = self._source(state).reread(state.mark, pending)
        payload = _packed(reading, state.source, pending.sequence).payload
        pending = replace(pending, mark=reading.mark)
        state = self._send_batch(state, pending, payload, span, sent_before=True)
        self._journal.store(state)
        return state

    def _send_all(self, state: State, span: SyncSpan, reader: ThreadPoolExecutor) -> State:
        """Send what is there now: rows that come meanwhile may wait for the next pass, so that each pass ends."""
        begin = now()
        source = Source(self._reading_cursor, self._schema, self._task.limits)
        goal = state.acknowledged_rows + source.pending_rows(state.mark)
        batches = 0
        batch = _read(source, state)
        while batch is not None and not self._sender.stopping.is_set():
            pending = _pending(state, batch)
            batches += 1
            last = state.acknowledged_rows + batch.payload.rows >= goal
            deletes = self._task.options.delete and batches % _BATCHES_BEFORE_DELETION == 0
            following = None
            if not last and not deletes:
                following = reader.submit(copy_context().run, _read, source, state.intend(pending).acknowledge())
            state, batch = self._finish(self._try_send(state, pending, batch.payload, span, following), following)
            if deletes:
                state = self._delete(state)
                batch = None if last else _read(source, state)
        return self._rest(state, begin if batch is None else state.caught_up, changed=batches > 0)

    def _rest(self, state: State, caught_up: str, *, changed: bool) -> State:
        """End a pass; the journal is not written for each pass that had nothing to do."""
        before = state
        if self._task.options.delete:
            state = self._delete(state)
        state = replace(state, caught_up=caught_up, failing_since=None, failure=None)
        quiet = seconds_of(state.caught_up) - seconds_of(before.caught_up) <= _QUIET_SECONDS
        if changed or state.failure != before.failure or not quiet:
            self._journal.store(state)
        return state

    def _try_send(
        self,
        state: State,
        pending: Pending,
        payload: Payload,
        span: SyncSpan,
        following: Future[_Batch | None] | None,
    ) -> State:
        try:
            return self._send_batch(state, pending, payload, span, sent_before=False)
        except BaseException:
            if following is not None:
                following.exception()
            raise

    def _finish(self, state: State, following: Future[_Batch | None] | None) -> tuple[State, _Batch | None]:
        """Take the next batch; the acknowledgement is journalled along with the next intention, or else now."""
        if monotonic() - self._reported > _REPORT_SECONDS:
            self._report(state)
        batch = None
        try:
            batch = following.result() if following is not None else None
        finally:
            if batch is None:
                self._journal.store(state)
        return state, batch

    def _send_batch(
        self, state: State, pending: Pending, payload: Payload, span: SyncSpan, *, sent_before: bool
    ) -> State:
        before = _context(pending.trace) if sent_before else None
        with span.batch(pending.token, payload.rows, payload.bytes, before) as batch_span:
            state = state.intend(replace(pending, trace=_traceparent()))
            self._journal.store(state)
            state = deliver(
                self._sender,
                self._task.destination,
                state,
                payload,
                span=batch_span,
                store=self._journal.store,
                sent_before=sent_before,
            )
        span.record(payload.rows, payload.bytes)
        self._task.progress(payload.rows)
        return state.acknowledge()

    def _delete(self, state: State) -> State:
        """Delete what is stored from the buffer, and tell the journal, in one transaction."""
        if state.mark.kept <= self._task.options.keep_rows:
            return state
        with changing(self._cursor, state):
            mark = self._source(state).delete(state.mark, self._task.options.keep_rows)
            state = replace(state, mark=mark, deleted_rows=state.deleted_rows + state.mark.kept - mark.kept)
            write(self._cursor, state)
        return state

    def _room(self, state: State, *, drop: bool) -> State:
        """Keep the buffer within its limit, where it is to lose its oldest rows rather than grow.

        Stored rows go first; then, to `drop`, unsent ones: only after a pass that failed, for the next sends them.
        """
        limit = self._task.options.limit_rows
        if limit is None or self._task.options.when_full != "drop_oldest":
            return state
        source = self._source(state)
        surplus = source.total() - limit
        if surplus <= 0:
            return state
        with changing(self._cursor, state):
            keep = max(0, state.mark.kept - surplus)
            mark = source.delete(state.mark, keep)
            deleted = state.mark.kept - mark.kept
            on_its_way = state.pending.rows if state.pending else 0
            dropped = source.drop_oldest(mark, on_its_way, surplus - deleted) if drop else 0
            state = replace(
                state,
                mark=mark,
                deleted_rows=state.deleted_rows + deleted,
                dropped_rows=state.dropped_rows + dropped,
            )
            write(self._cursor, state)
        return state

    def _report(self, state: State) -> None:
        self._reported = monotonic()
        self._sender.signals.behind(self._source(state).pending_rows(state.mark), seconds_of(state.caught_up))


def _read(source: Source, state: State) -> _Batch | None:
    """The batch after the last acknowledged one, None where there are no more rows."""
    reading = source.read(state.mark)
    return None if reading is None else _packed(reading, state.source, state.sequence + 1)


def _pending(state: State, batch: _Batch) -> Pending:
    """The intention to send a batch next."""
    sequence, payload = state.sequence + 1, batch.payload
    token = token_of(state, sequence)
    return Pending(sequence, token, payload.rows, payload.bytes, batch.hash, batch.mark, now())


def _traceparent() -> str:
    """The current span, as it is journalled."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent", "")


def _context(traceparent: str) -> SpanContext | None:
    """The span that a journalled `traceparent` names."""
    if not traceparent:
        return None
    return trace.get_current_span(_propagator.extract({"traceparent": traceparent})).get_span_context()
