"""Where the tables of one sync are: all that a run asks for, in one look at DuckDB's catalogue."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from otel_duckdb.sync.errors import SyncConfigError
from otel_duckdb.sync.names import tables
from otel_duckdb.telemetry.locks import make_reentrant_lock

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from otel_duckdb.sync.journal import Journal
    from otel_duckdb.sync.names import Location, Tables


class Catalog:
    """The tables of a database, and those of the journal, as they were a moment ago."""

    def __init__(self, database: str, journal: Journal) -> None:
        """Find tables of this database."""
        self._database = database
        self._journal = journal
        self._lock = make_reentrant_lock()
        self._looked = -1.0
        self._tables: Tables | None = None
        self._journalled: set[str] = set()

    def find(self, cursor: DuckDBPyConnection, name: str, not_before: float | None = None) -> Location:
        """The table that a name means, at a moment of time.monotonic() that is not before `not_before`, or now.

        Raises:
            SyncConfigError: there is no such table, or more than one, or it is in another database.
        """
        with self._lock:
            if self._tables is not None and not_before is not None and self._looked >= not_before:
                with suppress(SyncConfigError):  # it may have come since
                    return self._tables.find(name, self._database, self._journalled)
            self._looked = monotonic()
            self._tables, self._journalled = tables(cursor), set(self._journal.names())
            return self._tables.find(name, self._database, self._journalled)
