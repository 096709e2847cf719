"""One table of a sync: its passes, one after the other, and what becomes of one that fails."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

import duckdb

from otel_duckdb import contract
from otel_duckdb.sync.append import AppendPass, TableAlteredError
from otel_duckdb.sync.context import PassContext
from otel_duckdb.sync.destination import Destination
from otel_duckdb.sync.errors import SyncError, TargetUnavailableError
from otel_duckdb.sync.inventory import Seen
from otel_duckdb.sync.keyed import KeyedPass
from otel_duckdb.sync.messages import safe_words
from otel_duckdb.sync.ownership import refuse_change, refuse_other_states
from otel_duckdb.sync.schema import Schema, read_schema
from otel_duckdb.sync.sender import Sender
from otel_duckdb.sync.state import State, seconds_of
from otel_duckdb.telemetry.locks import make_lock

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from duckdb import DuckDBPyConnection

    from otel_duckdb.sync.catalog import Catalog
    from otel_duckdb.sync.config import Config, Table
    from otel_duckdb.sync.idle import IdleQuery, IdleTables
    from otel_duckdb.sync.inventory import Inventory
    from otel_duckdb.sync.journal import Journal
    from otel_duckdb.sync.names import Location
    from otel_duckdb.sync.pools import Pools
    from otel_duckdb.sync.signals import SyncSignals, SyncSpan, TableSignals
    from otel_duckdb.sync.target import Clickhouse

_RESTARTS: Final = 5
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TableReport:
    """What one pass did for one table; `error` is None where nothing failed."""

    name: str
    rows: int
    error: SyncError | None = None


@dataclass(frozen=True, slots=True)
class Shared:
    """What the tables of one sync have in common."""

    config: Config
    database: str
    journal: Journal
    pools: Pools
    inventory: Inventory
    catalog: Catalog
    idle_tables: IdleTables
    signals: SyncSignals
    stopping: threading.Event
    progress: Callable[[str, int], None]
    out_of_memory: Callable[[DuckDBPyConnection], bool]
    """Hears that DuckDB's memory did not suffice; whether there is more now."""


class TableWorker:
    """One table, and whether its target was checked; one pass runs at a time."""

    def __init__(self, options: Table, shared: Shared) -> None:
        """Prepare the passes of a table."""
        self.options = options
        self.report: TableReport | None = None
        self.lock = make_lock()  # a pass may not be entered again by its own thread
        self.none_waited = 0.0
        """When the last pass that left nothing began, by time.monotonic(); 0 where none did."""
        self._state: State | None = None
        """As the last pass left it; the journal is held by this sync alone, and need not be read again."""
        self._shared = shared
        self._signals: TableSignals = shared.signals.table(options.name, shared.database)
        self._location: Location | None = None
        self._prepared = False
        self.idle_query: IdleQuery | None = None
        """What shows that there is nothing to do; None where only a pass can tell."""

    @property
    def signals(self) -> TableSignals:
        """The signals of the table."""
        return self._signals

    def forget(self) -> None:
        """Let the next pass look at everything anew."""
        self._prepared, self._state, self._location, self.idle_query = False, None, None, None

    @property
    def target_name(self) -> str:
        """The table's name in the target."""
        return self.options.target_name

    def run(self, begun: float, *, looked: bool = False) -> TableReport:
        """Do one pass of a run of all tables that began at `begun`; nothing is done once it is to stop.

        `looked` says that somebody looked just now whether there is anything to do.
        """
        with self.lock:
            if self._shared.stopping.is_set():
                return TableReport(self.options.name, 0)
            if not looked and self._shared.idle_tables.rests(self, begun):
                return TableReport(self.options.name, 0)
            with self._shared.pools.working() as (cursor, reading_cursor, clickhouse):
                if self._shared.stopping.is_set():
                    return TableReport(self.options.name, 0)
                self.report = self._run(cursor, reading_cursor, clickhouse, begun)
                return self.report

    def idle_states(self, moment: str) -> tuple[State, State]:
        """The state as the last pass left it, and as one leaves it that had nothing to do at a moment of now()."""
        if self._state is None:
            raise AssertionError("a table without a state is not idle")
        return self._state, replace(self._state, caught_up=moment)

    def rest(self, state: State, begun: float) -> None:
        """Take it that a pass began at a moment of time.monotonic(), had nothing to do, and left a state."""
        with self._span():
            self._state, self.none_waited = state, begun
            self.report = TableReport(self.options.name, 0)

    def _span(self) -> AbstractContextManager[SyncSpan]:
        return self._signals.span(**{contract.SYNC_TARGET: self.options.target_name})

    def _run(
        self, cursor: DuckDBPyConnection, reading_cursor: DuckDBPyConnection, clickhouse: Clickhouse, begun: float
    ) -> TableReport:
        before: int | None = None
        moment, wall = time.monotonic(), time.time()
        name = self.options.name
        for attempt in range(_RESTARTS):
            try:
                with self._span() as span:
                    location = self.locate(cursor, begun)
                    name = location.journal_name
                    state = self._state or self._shared.journal.load(name)
                    before = before if before is not None else state.acknowledged_rows if state else 0
                    state = self._work(location, state, span, (cursor, reading_cursor), clickhouse, begun)
                if state.caught_up is not None and seconds_of(state.caught_up) >= wall:
                    self.none_waited = moment
                return TableReport(self.options.name, state.acknowledged_rows - before)
            except Exception as error:
                self.forget()
                again = isinstance(error, TableAlteredError) or (
                    "Out of Memory" in str(error) and self._shared.out_of_memory(cursor)
                )
                if not again or attempt + 1 == _RESTARTS:
                    return self._failed(name, before or 0, error)
                begun = time.monotonic()  # what was seen before is no longer so
        raise AssertionError("a pass is begun anew a few times only")

    def locate(self, cursor: DuckDBPyConnection, not_before: float | None = None) -> Location:
        """Where the table is, or was at a moment of time.monotonic() that is not before `not_before`.

        Raises:
            SyncConfigError: it is nowhere, or in another database.
        """
        if self._location is None:
            self._location = self._shared.catalog.find(cursor, self.options.name, not_before)
        return self._location

    def _work(
        self,
        location: Location,
        state: State | None,
        span: SyncSpan,
        cursors: tuple[DuckDBPyConnection, DuckDBPyConnection],
        clickhouse: Clickhouse,
        begun: float,
    ) -> State:
        options, shared = self.options, self._shared
        rest = partial(shared.pools.rest, stopping=shared.stopping)
        sender = Sender(clickhouse, shared.config.retry, self._signals, shared.stopping, rest)
        schema_for = partial(read_schema, cursors[0], location, options.key or options.order_by)
        schema = schema_for(times=True)
        state = self._known(location, schema, state)
        known = state.columns
        seen = Seen(shared.inventory, clickhouse, options.target_name, begun)
        context = PassContext(
            options,
            shared.config.batch,
            schema.arranged(known),
            lambda: schema_for(times=False).arranged(known),
            shared.journal,
            sender,
            Destination(clickhouse, options, seen),
            seen.rows,
            partial(self._tell_progress, options.name),
            *cursors,
        )
        one = KeyedPass(context) if options.key else AppendPass(context)
        before, state = state, one.run(state, span, prepare=not self._prepared)
        self._prepared, self._state = True, state
        idle = replace(state, caught_up=before.caught_up) == before and not shared.stopping.is_set()
        plain = '"' not in "".join(location)  # DuckDB 1.4 cannot describe others by their full name
        self.idle_query = one.idle_query(state) if idle and plain else None
        return state

    def _known(self, location: Location, schema: Schema, state: State | None) -> State:
        """The journal's state, begun where there is none; it is refused for another target or kind of table."""
        options, journal = self.options, self._shared.journal
        target = f"{self._shared.config.target.database}.{options.target_name}"
        if state is None:
            key = schema.sorting if options.key else ()
            refuse_other_states(journal.others_of_target(target, location.journal_name), location.journal_name, target)
            state = State.fresh(location.journal_name, target, key, schema.signature)
            journal.store(state)
        elif not state.begun_sending and _differs(state, target, schema, self.options):
            state = self._begun_anew(state, target, schema)
        refuse_change(state, options, target)
        if not self._prepared:
            refuse_other_states(journal.others_of_target(target, state.name), state.name, target)
        return state

    def _begun_anew(self, state: State, target: str, schema: Schema) -> State:
        """A state of which nothing was sent, for what the table and its target are now."""
        key = schema.sorting if self.options.key else ()
        begun = replace(
            State.fresh(state.name, target, key, schema.signature),
            failing_since=state.failing_since,
            failure=state.failure,
            dropped_rows=state.dropped_rows,
        )
        self._shared.journal.start_over(begun, state, forget_keys=True)
        return begun

    def _tell_progress(self, name: str, rows: int) -> None:
        try:
            self._shared.progress(name, rows)
        except Exception:
            _logger.exception("`progress` failed; the sync goes on")

    def _failed(self, name: str, before: int, error: Exception) -> TableReport:
        known = error if isinstance(error, SyncError) else _unforeseen(name, error)
        self._signals.failed(error)
        broken_off = isinstance(known, TargetUnavailableError) or known is not error  # what a program's end tears down
        if self._shared.stopping.is_set() and broken_off:
            _logger.info("sync of %s was stopped: %s", name, known)
            return TableReport(self.options.name, 0, known)
        _logger.error("sync of %s failed: %s", name, known)
        rows = 0
        try:
            state = self._shared.journal.load(name)
            if state is not None:
                rows = state.acknowledged_rows - before
                self._shared.journal.store(state.fail(str(known)[:2000]))
        except (SyncError, duckdb.Error) as second:
            _logger.error("the failure could not be written to the journal: %s", second)  # noqa: TRY400 - no stack needed
        return TableReport(self.options.name, rows, known)


def _differs(state: State, target: str, schema: Schema, options: Table) -> bool:
    key = schema.sorting if options.key else ()
    return (state.target, state.key, state.columns) != (target, key, schema.signature)


def _unforeseen(name: str, error: Exception) -> SyncError:
    failure = SyncError(f"table {name!r}: {type(error).__qualname__}: {safe_words(error)}")
    failure.__cause__ = error
    return failure
