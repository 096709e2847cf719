"""The journal: two small tables inside the DuckDB database, so that it is durable with the rows it speaks of."""

from __future__ import annotations

import uuid
import weakref
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import duckdb

from otel_duckdb.sync.errors import JournalError, SyncBusyError, SyncConfigError, SyncError
from otel_duckdb.sync.keys import HASH
from otel_duckdb.sync.names import JOURNAL_SCHEMA as SCHEMA
from otel_duckdb.sync.state import State, seconds_of
from otel_duckdb.telemetry.locks import make_reentrant_lock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from duckdb import DuckDBPyConnection

FORMAT: Final = 3
_COLUMNS: Final = {
    "journal": [("format", "INTEGER"), ("identity", "UUID")],
    "tables": [("name", "VARCHAR"), ("state", "VARCHAR"), ("seal", "VARCHAR")],
}
_NAME: Final = "encode(lower(name)) = encode(lower($1))"
"""As DuckDB finds tables, whatever collation the session has."""
_REMEDY: Final = (
    f"nothing was sent; restore the database, or, if what ClickHouse holds is known, DROP SCHEMA {SCHEMA} CASCADE "
    "and sync into an empty target"
)
_QUIET_SECONDS: Final = 30.0
"""How long the journal may be behind with the moment at which a table was last caught up."""
_held: set[str] = set()
_held_lock: Final = make_reentrant_lock()


class Journal:
    """The journal of one DuckDB database, held by one sync at a time.

    The cursor given is used by one thread at a time, under the journal's lock.
    """

    def __init__(self, cursor: DuckDBPyConnection) -> None:
        """Open the journal, and make it where there is none.

        Raises:
            SyncBusyError: another sync of this process holds the journal.
            SyncError: the database is read-only.
            JournalError: the journal is damaged or foreign.
        """
        self._cursor = cursor
        self._lock = make_reentrant_lock()
        self._targets: dict[str, str] | None = None
        self._caught_up: dict[str, float] = {}
        with _held_lock:
            self.identity = _open(cursor)
            if self.identity in _held:
                raise SyncBusyError(
                    "another sync of this process holds this buffer; stop it first, or give it these tables too"
                )
            _held.add(self.identity)
        self._release = weakref.finalize(self, _held.discard, self.identity)

    def close(self) -> None:
        """Let others have the journal."""
        self._release()
        with self._lock:
            self._cursor.close()

    def load(self, name: str) -> State | None:
        """The state of a table, None where it was never synced.

        Raises:
            JournalError: it is damaged.
        """
        with self._lock:
            found = _rows(self._cursor, name)
        return found[0] if found else None

    def names(self) -> list[str]:
        """The names of the tables that were ever synced."""
        with self._lock:
            rows = self._cursor.execute(f"SELECT name FROM {SCHEMA}.tables ORDER BY name ASC").fetchall()
        return [name for (name,) in rows]

    def states(self) -> list[State]:
        """The states of all tables that were ever synced.

        Raises:
            JournalError: one is damaged.
        """
        with self._lock:
            return _rows(self._cursor, None)

    def others_of_target(self, target: str, name: str) -> list[State]:
        """The states of the tables that fill a target, but for the table of that name.

        Raises:
            JournalError: one is damaged.
        """
        query = f"SELECT name, json_extract_string(state, '$.target') FROM {SCHEMA}.tables"
        with self._lock:
            if self._targets is None:
                self._targets = dict(self._cursor.execute(query).fetchall())
            others = [one for one, its in self._targets.items() if its == target and one.lower() != name.lower()]
            return [state for other in others for state in _rows(self._cursor, other)]

    def store(self, *states: State) -> None:
        """Make states durable, all or none."""
        with self._changing():
            for state in states:
                write(self._cursor, state)
        self._know(*states)

    def settle(self, *passes: tuple[State, State]) -> None:
        """Make durable what passes changed, each given by its table's state before and after it.

        Where nothing but the moment at which a table was caught up is another, it is written now and then.
        """
        due = [after for before, after in passes if self._is_due(before, after)]
        if due:
            self.store(*due)

    def _is_due(self, before: State, after: State) -> bool:
        if before.caught_up is None or after.caught_up is None or replace(after, caught_up=before.caught_up) != before:
            return True
        written = self._caught_up.get(after.name, seconds_of(before.caught_up))
        return seconds_of(after.caught_up) - written > _QUIET_SECONDS

    def _know(self, *states: State) -> None:
        """Remember of written states what is asked often; no other writes this journal while it is held."""
        with self._lock:
            for state in states:
                if state.caught_up is not None:
                    self._caught_up[state.name] = seconds_of(state.caught_up)
                if self._targets is not None:
                    self._targets[state.name] = state.target

    def start_over(self, state: State, before: State, *, forget_keys: bool) -> None:
        """Replace a table's state by another; its keys are forgotten, or count as not arrived."""
        keys = keys_table(before)
        with self._changing():
            write(self._cursor, state)
            if forget_keys:
                self._cursor.execute(f"DROP TABLE IF EXISTS {keys}")
            elif keys.split(".")[1] in _tables(self._cursor):
                self._cursor.execute(f"UPDATE {keys} SET {HASH} = NULL")
        self._know(state)

    def rename(self, old: str, new: str) -> None:
        """Give a table's state to the name that the table has now.

        Raises:
            SyncConfigError: there is no state of the old name, or one of the new name already.
        """
        with self._changing():
            found, taken = _rows(self._cursor, old), _rows(self._cursor, new)
            if not found:
                raise SyncConfigError(
                    f"the journal knows no table {old!r}; it knows {', '.join(self.names()) or 'none'}"
                )
            if taken:
                raise SyncConfigError(
                    f"the journal knows a table {new!r} already, with {taken[0].acknowledged_rows} rows sent; a table "
                    "takes the place of another only before it is synced itself"
                )
            self._cursor.execute(f"DELETE FROM {SCHEMA}.tables WHERE {_NAME}", [old])
            write(self._cursor, replace(found[0], name=new))
        self._targets = None

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._lock:
            self._cursor.execute("BEGIN")
            try:
                yield
                self._cursor.execute("COMMIT")
            except BaseException:
                rollback(self._cursor)
                raise


def keys_table(state: State) -> str:
    """The table that remembers what was sent of a table with a key, as SQL."""
    return f"{SCHEMA}.keys_{state.source:016x}"


def write(cursor: DuckDBPyConnection, state: State) -> None:
    """Write a state within the transaction of `cursor`.

    Raises:
        JournalError: the journal is gone.
    """
    text, checksum = state.dump()
    try:
        changed = cursor.execute(
            f"UPDATE {SCHEMA}.tables SET state = $2, seal = $3 WHERE {_NAME}", [state.name, text, checksum]
        ).fetchone()
    except duckdb.CatalogException:
        raise JournalError(
            f"the journal {SCHEMA} was dropped while the sync ran; {_REMEDY.replace('nothing was sent; ', '')}"
        ) from None
    if changed is None or changed[0] == 0:
        cursor.execute(f"INSERT INTO {SCHEMA}.tables VALUES ($1, $2, $3)", [state.name, text, checksum])


def rollback(cursor: DuckDBPyConnection) -> None:
    """Roll back, whether or not a transaction is still open."""
    try:
        cursor.execute("ROLLBACK")
    except duckdb.Error:
        return


def read_states(cursor: DuckDBPyConnection) -> Sequence[State]:
    """All states, without holding the journal; none where there is no journal.

    Raises:
        JournalError: the journal is damaged or foreign.
    """
    if not _tables(cursor):
        return []
    _verify(cursor)
    return _rows(cursor, None)


def _rows(cursor: DuckDBPyConnection, name: str | None) -> list[State]:
    rows = cursor.execute(
        f"SELECT name, state, seal FROM {SCHEMA}.tables WHERE $1 IS NULL OR {_NAME} ORDER BY name ASC",
        [name],
    ).fetchall()
    states = [_state(*row) for row in rows]
    if len({state.name for state in states}) != len(states):
        raise JournalError(f"the journal {SCHEMA} names a table twice; {_REMEDY}")
    return states


def _state(name: str, text: str, checksum: str) -> State:
    try:
        state = State.load(text, checksum)
    except JournalError as error:
        raise JournalError(f"the journal {SCHEMA} is refused for table {name!r}: {error}; {_REMEDY}") from error
    if state.name != name:
        raise JournalError(f"the journal {SCHEMA} holds the state of {state.name!r} under {name!r}; {_REMEDY}")
    return state


def _open(cursor: DuckDBPyConnection) -> str:
    if not _tables(cursor):
        try:
            _create(cursor)
        except duckdb.TransactionException as error:
            rollback(cursor)
            raise SyncBusyError(f"another sync is making its journal in this buffer at this moment: {error}") from error
        except duckdb.InvalidInputException as error:
            rollback(cursor)
            raise SyncError(f"the journal cannot be made, so nothing can be synced: {error}") from error
    return _verify(cursor)


def _create(cursor: DuckDBPyConnection) -> None:
    cursor.execute("BEGIN")
    cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    for table, columns in _COLUMNS.items():
        cursor.execute(f"CREATE TABLE {SCHEMA}.{table} ({', '.join(' '.join(column) for column in columns)})")
    cursor.execute(f"INSERT INTO {SCHEMA}.journal VALUES ($1, $2)", [FORMAT, str(uuid.uuid4())])
    cursor.execute("COMMIT")


def _tables(cursor: DuckDBPyConnection) -> dict[str, list[tuple[str, str]]]:
    """The journal's tables and their columns; what is no plain table has none, so that no foreign view is run."""
    columns = cursor.execute(
        "SELECT table_name, column_name, data_type FROM duckdb_columns() "
        "WHERE database_name = current_database() AND schema_name = $1 ORDER BY table_name ASC, column_index ASC",
        [SCHEMA],
    ).fetchall()
    views = cursor.execute(
        "SELECT view_name FROM duckdb_views() WHERE database_name = current_database() AND schema_name = $1", [SCHEMA]
    ).fetchall()
    tables: dict[str, list[tuple[str, str]]] = {f"view {name}": [] for (name,) in views}
    for table, column, kind in columns:
        tables.setdefault(table, []).append((column, kind))
    return tables


def _verify(cursor: DuckDBPyConnection) -> str:
    tables = {name: columns for name, columns in _tables(cursor).items() if not name.startswith("keys_")}
    if tables != _COLUMNS:
        raise JournalError(f"the schema {SCHEMA} holds other tables than a journal of this version; {_REMEDY}")
    rows = cursor.execute(f"SELECT format, identity FROM {SCHEMA}.journal").fetchall()
    if len(rows) != 1:
        raise JournalError(f"the journal {SCHEMA} has {len(rows)} headings instead of one; {_REMEDY}")
    if rows[0][0] != FORMAT:
        raise JournalError(f"the journal {SCHEMA} has format {rows[0][0]}, this version reads {FORMAT}; {_REMEDY}")
    return str(rows[0][1])
