"""A cursor of our own into a database, independent of every connection of the user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from otel_duckdb.core.methods import Methods


@dataclass(frozen=True, slots=True)
class PrivateCursor:
    """A cursor that only we use, and the unpatched methods to use it with."""

    connection: DuckDBPyConnection
    methods: Methods

    @classmethod
    def into(cls, connection: DuckDBPyConnection, methods: Methods) -> PrivateCursor:
        """Open a cursor into the database of `connection`; call it in the thread that uses `connection`.

        Closing a connection closes its cursors, even in the middle of their queries, which crashes some versions of
        DuckDB. A cursor of a cursor that is gone has no parent any more: nobody but us ever closes it. It holds the
        database open until then.

        Raises:
            duckdb.Error: the connection is closed or cannot give a cursor.
        """
        parent = methods.cursor(connection)
        return cls(methods.cursor(parent), methods)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one statement and fetch it to its end, so that no transaction stays open."""
        self.methods.execute(self.connection, sql)
        return self.methods.fetchall(self.connection)

    def run(self, sql: str) -> None:
        """Run one statement that has no result worth reading."""
        self.methods.execute(self.connection, sql)

    def interrupt(self) -> None:
        """End the statement that runs, from another thread; where none runs nothing happens."""
        self.connection.interrupt()

    def close(self) -> None:
        """Close the cursor, and with it its hold on the database."""
        self.methods.close(self.connection)
