"""How far each table of a buffer is: what is stored, on its way, waiting, failing and since when."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import duckdb
from opentelemetry.instrumentation.utils import suppress_instrumentation

from otel_duckdb.sync.errors import SyncConfigError
from otel_duckdb.sync.journal import keys_table, read_states
from otel_duckdb.sync.keys import differing, gone
from otel_duckdb.sync.schema import read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection

    from otel_duckdb.sync.config import Table
    from otel_duckdb.sync.schema import Schema
    from otel_duckdb.sync.state import State


@dataclass(frozen=True, slots=True)
class TableStatus:
    """One table's state; times are ISO 8601 in UTC.

    `pending_rows` wait or are on their way; `deleted_rows` left the buffer once stored, `dropped_rows` before that.
    """

    name: str
    target: str
    rows_in_buffer: int
    pending_rows: int
    acknowledged_rows: int
    batches: int
    deleted_rows: int
    dropped_rows: int
    caught_up: str | None
    batch_on_its_way: int | None
    on_its_way_since: str | None
    failing_since: str | None
    failure: str | None
    full: bool

    @property
    def healthy(self) -> bool:
        """Whether it neither fails nor is full."""
        return self.failing_since is None and not self.full

    def as_dict(self) -> dict[str, Any]:
        """The same, for JSON."""
        return {**asdict(self), "healthy": self.healthy}


def status(connection: DuckDBPyConnection, tables: Sequence[Table]) -> list[TableStatus]:
    """The state of the tables, read through a cursor of its own.

    Raises:
        JournalError: the journal is damaged or foreign.
        SyncConfigError: a table does not exist.
    """
    cursor = connection.cursor()
    try:
        with suppress_instrumentation():
            states = {state.name: state for state in read_states(cursor)}
            return [_one(cursor, table, states.get(table.name)) for table in tables]
    finally:
        cursor.close()


def _one(cursor: DuckDBPyConnection, table: Table, state: State | None) -> TableStatus:
    schema = read(cursor, table.name, table.key or table.order_by)
    total = _number(cursor, f"SELECT count(*) FROM {schema.reference}")
    pending = state.pending if state else None
    waiting = _waiting(cursor, table, schema, state, total)
    return TableStatus(
        name=table.name,
        target=table.target_name,
        rows_in_buffer=total,
        pending_rows=waiting,
        acknowledged_rows=state.acknowledged_rows if state else 0,
        batches=state.sequence if state else 0,
        deleted_rows=state.deleted_rows if state else 0,
        dropped_rows=state.dropped_rows if state else 0,
        caught_up=state.caught_up if state and state.acknowledged_rows else None,
        batch_on_its_way=pending.sequence if pending else None,
        on_its_way_since=pending.since if pending else None,
        failing_since=state.failing_since if state else None,
        failure=state.failure if state else None,
        full=table.limit_rows is not None and waiting >= table.limit_rows,
    )


def _waiting(cursor: DuckDBPyConnection, table: Table, schema: Schema, state: State | None, total: int) -> int:
    if state is None or not table.key:
        return max(0, total - (state.mark.kept if state else 0))
    keys = keys_table(state)
    if not state.keyed or not _number(cursor, f"SELECT count(*) FROM duckdb_tables() WHERE {_is(keys)}"):
        return total
    return sum(
        _number(cursor, f"SELECT count(*) {rows}")
        for rows in (differing(schema, table.key, keys), gone(schema, table.key, keys))
    )


def _is(table: str) -> str:
    return f"database_name = current_database() AND schema_name || '.' || table_name = '{table}'"


def _number(cursor: DuckDBPyConnection, query: str) -> int:
    return int(cursor.execute(query).fetchall()[0][0])


def read_status(path: str, tables: Sequence[Table]) -> list[TableStatus]:
    """The state of the tables of a database file, opened for reading.

    Raises:
        SyncConfigError: the file cannot be opened, or a table does not exist.
        JournalError: the journal is damaged or foreign.
    """
    with opened(path) as connection:
        return status(connection, tables)


def opened(path: str) -> DuckDBPyConnection:
    """A database file, opened for reading.

    Raises:
        SyncConfigError: it cannot be opened.
    """
    try:
        with suppress_instrumentation():
            return duckdb.connect(path, read_only=True)
    except duckdb.Error as error:
        raise SyncConfigError(
            f"cannot read {path}: {error}; while a process has the file open, ask that process: "
            "otel_duckdb.sync.Sync.status()"
        ) from error
