"""Opens the DuckDB database that is synced, and finds out which one of a connection's that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import duckdb
from opentelemetry.instrumentation.utils import suppress_instrumentation

from otel_duckdb.sync.errors import SyncConfigError, SyncError
from otel_duckdb.sync.messages import safe_words
from otel_duckdb.sync.names import tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection

_MEMORY_LIMIT: Final = "64MB"
"""DuckDB's memory limit where the sync alone has the database open: its cache would else grow with the table."""


def connect(path: str) -> DuckDBPyConnection:
    """Open a database file.

    Raises:
        SyncError: it cannot be opened.
    """
    try:
        with suppress_instrumentation():
            return duckdb.connect(path)
    except duckdb.Error as error:
        advice = "run the sync in the process that has it, with otel_duckdb.sync.Sync"
        raise SyncError(f"cannot open {path}: {safe_words(error)}{if_locked(error, advice)}") from error


def if_locked(error: duckdb.Error, advice: str) -> str:
    """What to do where another process has the file, to follow a message; nothing where it is not that."""
    return f"; a DuckDB file is open in one process at a time: {advice}" if "lock" in str(error).lower() else ""


def bound(connection: DuckDBPyConnection) -> bool:
    """Bound DuckDB's memory, unless others in this process use it too; whether that was done."""
    with suppress_instrumentation():
        alone = connection.execute("SELECT * FROM duckdb_connection_count()").fetchall() == [(1,)]
        if alone:
            connection.execute(f"SET memory_limit = '{_MEMORY_LIMIT}'")
    return alone


def identify(connection: DuckDBPyConnection, names: Sequence[str]) -> tuple[str, str | None]:
    """The database that the tables are in, and its path: the one they name, else the connection's first.

    The path is None in memory, and where it is no UTF-8.

    Raises:
        SyncConfigError: they name several databases.
    """
    cursor = connection.cursor()
    try:
        named = tables(cursor).named_databases(names)
        if len(named) > 1:
            raise SyncConfigError(
                f"the tables are in several databases ({', '.join(sorted(named))}); give each a Sync of its own"
            )
        (name,) = [*named] or cursor.execute("SELECT current_database()").fetchall()[0]
        query = "SELECT path FROM duckdb_databases() WHERE encode(database_name) = encode($1)"
        try:
            ((path,),) = cursor.execute(query, [name]).fetchall()
        except duckdb.InvalidInputException:  # a folder's name is no UTF-8, which DuckDB cannot tell
            path = None
    finally:
        cursor.close()
    return name, path
