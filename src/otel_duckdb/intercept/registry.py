"""The live connections of the process, without keeping any of them alive."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Protocol

from otel_duckdb.core.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_duckdb.core.connection import Location
    from otel_duckdb.core.deferred import Deferred


class Watcher(Protocol):
    """Who wants to know of connections at once."""

    def opened(self, connection: Connection, target: Any) -> None:
        """DuckDB's object `target` was registered, in the thread that uses it."""

    def left(self, connection: Connection) -> None:
        """A connection is about to be closed, or was collected: inside a garbage collection, and in any thread."""


class Connections:
    """The registry of live connections, by the identity of DuckDB's objects."""

    def __init__(self, deferred: Deferred, gone: Callable[[Connection], None], watcher: Watcher) -> None:
        self.deferred = deferred
        self._gone = gone
        self._watcher = watcher
        self._live: dict[int, Connection] = {}

    def __iter__(self) -> Iterator[Connection]:
        return iter(tuple(self._live.values()))

    def find(self, target: Any) -> Connection | None:
        """The record of DuckDB's object, or None if it is unknown."""
        return self._live.get(id(target))

    def add(self, target: Any, where: Location, parent: Connection | None = None) -> Connection:
        """Register DuckDB's object; a known one keeps its record."""
        key = id(target)
        known = self._live.get(key)
        if known is not None and not known.closed:
            return known
        connection = Connection(key, weakref.ref(target, lambda _: self._collected(key, connection)), where, parent)
        if parent is not None:
            if parent.children is None:
                parent.children = weakref.WeakSet()
            parent.children.add(connection)
        self._live[key] = connection
        self._watcher.opened(connection, target)
        return connection

    def close(self, connection: Connection) -> None:
        """DuckDB has closed this connection, and with it its cursors and duplicates."""
        if connection.closed:
            return
        connection.closed = True
        for child in tuple(connection.children or ()):
            self.close(child)
        if self._live.get(connection.key) is connection:
            del self._live[connection.key]
        self._watcher.left(connection)
        self._gone(connection)

    def _collected(self, key: int, connection: Connection) -> None:
        # Its cursors stay open: only close() closes them.
        if self._live.get(key) is connection:
            del self._live[key]
        if not connection.closed:
            connection.closed = True
            self._watcher.left(connection)
            self.deferred(lambda: self._gone(connection))

    def clear(self) -> None:
        """Forget all connections."""
        self._live.clear()
