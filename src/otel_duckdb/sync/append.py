"""One pass over an append-only table: batch after batch, each journalled, sent and acknowledged."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

import duckdb
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from otel_duckdb.sync.background import in_background
from otel_duckdb.sync.errors import SyncError
from otel_duckdb.sync.idle import LARGE_ROWS, IdleQuery
from otel_duckdb.sync.journal import write
from otel_duckdb.sync.ownership import check_holdings
from otel_duckdb.sync.payload import Payload, pack
from otel_duckdb.sync.schema import BATCH_COLUMN, SOURCE_COLUMN, added, describe
from otel_duckdb.sync.sender import deliver, token_of
from otel_duckdb.sync.source import NONE_PENDING, Reading, Source, changing, unmoved
from otel_duckdb.sync.state import Pending, Position, State, now

if TYPE_CHECKING:
    from concurrent.futures import Future

    from opentelemetry.trace import SpanContext

    from otel_duckdb.sync.context import PassContext
    from otel_duckdb.sync.signals import SyncSpan

_BATCHES_BEFORE_DELETION: Final = 8
_propagator: Final = TraceContextTextMapPropagator()


class TableAlteredError(Exception):
    """The table was altered while it was read, so that a row may lack a column: the pass is begun anew."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows read and packed; `hash` adds up theirs, and `position` is the position after them."""

    payload: Payload
    hash: int
    position: Position


def _packed(reading: Reading, source: int, sequence: int) -> _Batch:
    """A batch with the two columns that tell in the target which rows belong to it."""
    return _Batch(pack(reading.batch, {SOURCE_COLUMN: source, BATCH_COLUMN: sequence}), reading.hash, reading.position)


class AppendPass:
    """One pass over one append-only table."""

    def __init__(self, context: PassContext) -> None:
        """Prepare the pass; one of the two cursors reads ahead in a thread of its own, while the other works here."""
        self._context = context
        self._schema = context.schema
        self._journal = context.journal
        self._sender = context.sender
        self._cursor, self._reading_cursor = context.cursor, context.reading_cursor
        self._before: State

    def run(self, state: State, span: SyncSpan, prepare: bool) -> State:
        """Send all rows that are there; `prepare` checks the target table first.

        Raises:
            SyncError: it cannot go on; what was acknowledged is in the journal.
        """
        self._before = state
        try:
            state = self._send(state, span, prepare)
        except BaseException:
            with suppress(SyncError, duckdb.Error):
                self._room(self._journal.load(state.name) or state, drop=True)
            raise
        return self._room(state, drop=False)

    def idle_query(self, state: State) -> IdleQuery | None:
        """What shows that the table is as a pass left it that had nothing to do; None where it is large."""
        if state.position.kept > LARGE_ROWS:
            return None
        stored = 0 if self._context.options.expires else state.acknowledged_rows
        query = self._source(state).counting(state.position)
        return IdleQuery(self._schema, query, partial(unmoved, state.position), stored)

    def _send(self, state: State, span: SyncSpan, prepare: bool) -> State:
        if not self._sender.call(f"table {state.name!r}", self._sender.clickhouse.has_times, span):
            self._schema = self._context.schema_without_times()
        widened = added(self._schema, state.columns)
        if prepare or widened or self._context.target_lacks(state.acknowledged_rows, span):
            self._prepare(state, span)
        if state.pending is not None:
            state = self._recover(state, span)
        if widened:
            state = self._widen(state)
        return self._send_all(state, span)

    def _source(self, state: State) -> Source:
        """The table as the journal knows it: without the columns added since."""
        return Source(self._cursor, self._schema.only(name for name, _, _ in state.columns), self._context.limits)

    def _widen(self, state: State) -> State:
        """Take up columns that were added to the table."""
        names = [name for name, _, _ in state.columns]
        with changing(self._cursor, state):
            position = self._source(state).verify(state.position)
            position = Source(self._cursor, self._schema, self._context.limits).rehash(position, names)
            state = replace(state, columns=self._schema.signature, position=position)
            write(self._cursor, state)
        return state

    def _prepare(self, state: State, span: SyncSpan) -> None:
        what = f"table {state.name!r}"

        def prepare() -> None:
            self._context.destination.prepare(self._schema, state.acknowledged_rows, state.columns)
            check_holdings(state, self._context.options, self._context.destination, self._journal)

        self._sender.call(what, prepare, span)

    def _recover(self, state: State, span: SyncSpan) -> State:
        pending = state.pending
        if pending is None:
            return state
        reading = self._source(state).reread(state.position, pending)
        payload = _packed(reading, state.source, pending.sequence).payload
        pending = replace(pending, position=reading.position)
        state = self._send_batch(state, pending, payload, span, sent_before=True)
        self._journal.store(state)
        return state

    def _send_all(self, state: State, span: SyncSpan) -> State:
        """Send what is there now: rows that come meanwhile may wait for the next pass, so that each pass ends."""
        begin = now()
        source = Source(self._reading_cursor, self._schema, self._context.limits)
        pending_rows = source.pending_rows(state.position)
        goal = state.acknowledged_rows + pending_rows
        batches = 0
        batch = None if pending_rows == NONE_PENDING else _next_batch(source, state)
        while batch is not None and not self._sender.stopping.is_set():
            pending = _pending(state, batch)
            batches += 1
            last = state.acknowledged_rows + batch.payload.rows >= goal
            deletes = self._context.options.delete and batches % _BATCHES_BEFORE_DELETION == 0
            following = None
            if not last and not deletes:
                following = in_background(_next_batch, source, state.intend(pending).acknowledge())
            state, batch = self._finish(self._try_send(state, pending, batch.payload, span, following), following)
            if deletes:
                state = self._delete(state)
                batch = None if last else _next_batch(source, state)
        return self._rest(state, begin if batch is None else state.caught_up)

    def _rest(self, state: State, caught_up: str | None) -> State:
        """End a pass."""
        if self._context.options.delete:
            state = self._delete(state)
        state = replace(state, caught_up=caught_up, failing_since=None, failure=None)
        self._journal.settle((self._before, state))
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
                self._context.destination,
                state,
                payload,
                span=batch_span,
                store=self._journal.store,
                sent_before=sent_before,
            )
        span.record(payload.rows, payload.bytes)
        self._context.progress(payload.rows)
        return state.acknowledge()

    def _delete(self, state: State) -> State:
        """Delete what is stored from the buffer, and tell the journal, in one transaction."""
        if state.position.kept <= self._context.options.keep_rows:
            return state
        with changing(self._cursor, state):
            position = self._source(state).delete(state.position, self._context.options.keep_rows)
            state = replace(
                state, position=position, deleted_rows=state.deleted_rows + state.position.kept - position.kept
            )
            write(self._cursor, state)
        return state

    def _room(self, state: State, *, drop: bool) -> State:
        """Keep the buffer within its limit, where it is to lose its oldest rows rather than grow.

        Stored rows go first; then, to `drop`, unsent ones: only after a pass that failed, for the next sends them.
        """
        limit = self._context.options.limit_rows
        if limit is None or self._context.options.when_full != "drop_oldest":
            return state
        source = self._source(state)
        surplus = source.total() - limit
        if surplus <= 0:
            return state
        with changing(self._cursor, state):
            keep = max(0, state.position.kept - surplus)
            position = source.delete(state.position, keep)
            deleted = state.position.kept - position.kept
            on_its_way = state.pending.rows if state.pending else 0
            dropped = source.drop_oldest(position, on_its_way, surplus - deleted) if drop else 0
            state = replace(
                state,
                position=position,
                deleted_rows=state.deleted_rows + deleted,
                dropped_rows=state.dropped_rows + dropped,
            )
            write(self._cursor, state)
        return state


def _next_batch(source: Source, state: State) -> _Batch | None:
    """The batch after the last acknowledged one, None where there are no more rows."""
    reading = source.next_rows(state.position)
    if reading is not None and not source.schema.has_columns(describe(source.cursor, source.schema.location)):
        raise TableAlteredError
    return None if reading is None else _packed(reading, state.source, state.sequence + 1)


def _pending(state: State, batch: _Batch) -> Pending:
    """The intention to send a batch next."""
    sequence, payload = state.sequence + 1, batch.payload
    token = token_of(state, sequence)
    return Pending(sequence, token, payload.rows, payload.bytes, batch.hash, batch.position, now())


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
