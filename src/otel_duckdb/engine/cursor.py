"""A cursor of our own into a database, independent of every connection of the user."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Methods:
    """The connection's own methods, as they were before anything was patched."""

    cursor: Callable[[DuckDBPyConnection], DuckDBPyConnection]
    execute: Callable[[DuckDBPyConnection, str], Any]
    fetchall: Callable[[DuckDBPyConnection], list[tuple[Any, ...]]]
    close: Callable[[DuckDBPyConnection], None]

    @classmethod
    def of(cls, connection_class: type[DuckDBPyConnection]) -> Methods:
        """Take the methods from the class, from below whatever wrappers it has."""
        names = ("cursor", "execute", "fetchall", "close")
        return cls(*(inspect.unwrap(vars(connection_class)[name]) for name in names))


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

    def close(self) -> None:
        """Close the cursor, and with it its hold on the database."""
        self.methods.close(self.connection)
