"""How far each table of a buffer is: what is stored, on its way, waiting, failing and since when."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import duckdb
from opentelemetry.instrumentation.utils import suppress_instrumentation

from otel_duckdb.sync.buffer import if_locked
from otel_duckdb.sync.errors import SyncError
from otel_duckdb.sync.journal import keys_table, read_states
from otel_duckdb.sync.keys import Keys
from otel_duckdb.sync.messages import safe_words
from otel_duckdb.sync.names import tables
from otel_duckdb.sync.schema import read_schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection

    from otel_duckdb.sync.config import Table
    from otel_duckdb.sync.names import Location, Tables
    from otel_duckdb.sync.state import State


@dataclass(frozen=True, slots=True)
class TableStatus:
    """One table's state; times are ISO 8601 in UTC.

    `pending_rows` wait or are on their way; `deleted_rows` left the buffer once stored, `dropped_rows` before that.
    `caught_up` is when no row was last known to wait. `failing_since` is None where no pass has met the failure yet.
    """

    name: str
    target: str
    rows_in_buffer: int = 0
    pending_rows: int = 0
    acknowledged_rows: int = 0
    batches: int = 0
    deleted_rows: int = 0
    dropped_rows: int = 0
    caught_up: str | None = None
    batch_on_its_way: int | None = None
    on_its_way_since: str | None = None
    failing_since: str | None = None
    failure: str | None = None
    full: bool = False

    @property
    def healthy(self) -> bool:
        """Whether it neither fails nor is full."""
        return self.failure is None and self.failing_since is None and not self.full

    def as_dict(self) -> dict[str, Any]:
        """Return the status as JSON has it: a field's name and its value."""
        return {**asdict(self), "healthy": self.healthy}


def status(cursor: DuckDBPyConnection, options: Sequence[Table]) -> list[TableStatus]:
    """The state of the tables; one that cannot be looked at is failing, and hides no other.

    Raises:
        JournalError: the journal is damaged or foreign.
    """
    with suppress_instrumentation():
        states = {state.name.lower(): state for state in read_states(cursor)}
        ((database,),) = cursor.execute("SELECT current_database()").fetchall()
        found = tables(cursor)
        return [_one(cursor, table, found, database, states) for table in options]


def _one(
    cursor: DuckDBPyConnection, table: Table, found: Tables, database: str, states: dict[str, State]
) -> TableStatus:
    state = states.get(table.name.lower())
    journalled = {one.name for one in states.values()}
    try:
        location = found.find(table.name, database, journalled)
        state = states.get(location.journal_name.lower())
        read_schema(cursor, location, table.key or table.order_by)  # it tells what cannot be synced
        total = _number(cursor, f"SELECT count(*) FROM {location.reference}")
        waiting = pending_rows(cursor, table, location, state, total)
        failure = state.failure if state else None
    except SyncError as error:
        total = waiting = 0
        failure = str(error)
    except duckdb.Error as error:
        total = waiting = 0
        failure = f"table {table.name!r}: {type(error).__qualname__}: {safe_words(error)}"
    pending = state.pending if state else None
    return TableStatus(
        name=table.name,
        target=table.target_name,
        rows_in_buffer=total,
        pending_rows=waiting,
        acknowledged_rows=state.acknowledged_rows if state else 0,
        batches=state.sequence if state else 0,
        deleted_rows=state.deleted_rows if state else 0,
        dropped_rows=state.dropped_rows if state else 0,
        caught_up=state.caught_up if state else None,
        batch_on_its_way=pending.sequence if pending else None,
        on_its_way_since=pending.since if pending else None,
        failing_since=state.failing_since if state else None,
        failure=failure,
        full=table.limit_rows is not None and waiting >= table.limit_rows,
    )


def pending_rows(
    cursor: DuckDBPyConnection, table: Table, location: Location, state: State | None, total: int | None = None
) -> int:
    """How many rows of a table are not acknowledged; `total` is how many it has, where that is known.

    Raises:
        SyncError: the table is gone, or has a column that cannot be synced.
    """
    if total is None:
        total = _number(cursor, f"SELECT count(*) FROM {location.reference}")
    if state is None or not table.key:
        return max(0, total - (state.position.kept if state else 0))
    keys = Keys(keys_table(state), read_schema(cursor, location, table.key).arranged(state.columns))
    if not state.keyed or not _number(cursor, "SELECT count(*) FROM duckdb_tables() WHERE " + _IS, keys.table):
        return total
    return sum(_number(cursor, f"SELECT count(*) {rows}") for rows in (keys.differing, keys.gone))


_IS = "database_name = current_database() AND schema_name || '.' || table_name = $1"


def _number(cursor: DuckDBPyConnection, query: str, *parameters: str) -> int:
    return int(cursor.execute(query, list(parameters)).fetchall()[0][0])


def read_status(path: str, options: Sequence[Table]) -> list[TableStatus]:
    """The state of the tables of a database file, opened for reading.

    Raises:
        SyncError: the file cannot be opened.
        JournalError: the journal is damaged or foreign.
    """
    with opened(path) as connection:
        return status(connection, options)


def opened(path: str) -> DuckDBPyConnection:
    """A database file, opened for reading.

    Raises:
        SyncError: it cannot be opened.
    """
    try:
        with suppress_instrumentation():
            return duckdb.connect(path, read_only=True)
    except duckdb.Error as error:
        advice = "ask the process that has it, by otel_duckdb.sync.Sync.status()"
        raise SyncError(f"cannot open {path}: {safe_words(error)}{if_locked(error, advice)}") from error
