"""The live connections of the process, without keeping any of them alive."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from otel_duckdb.core.operation import Connection
from otel_duckdb.telemetry.section import inside_the_sdk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_duckdb.core.deferred import Deferred
    from otel_duckdb.core.dispatcher import Dispatcher
    from otel_duckdb.core.location import Location


class ConnectionRegistry:
    """The registry of live connections, by the identity of DuckDB's objects.

    Attributes:
        live: The records by that identity, for whoever looks at each call: a method would cost it a frame.
    """

    def __init__(self, deferred: Deferred, dispatcher: Dispatcher) -> None:
        self.deferred = deferred
        self._dispatcher = dispatcher
        self.live: dict[int, Connection] = {}

    def __iter__(self) -> Iterator[Connection]:
        return iter(tuple(self.live.values()))

    def find(self, target: Any) -> Connection | None:
        """The record of DuckDB's object, or None if it is unknown."""
        return self.live.get(id(target))

    def add(self, target: Any, where: Location, parent: Connection | None = None) -> Connection:
        """Register DuckDB's object; a known one keeps its record."""
        key = id(target)
        known = self.live.get(key)
        if known is not None and known.reference is not None and known.reference() is not target:
            self._collected(key, known)  # a signal broke off what was done at its end
        elif known is not None and not known.closed:
            return known
        connection = Connection(key, weakref.ref(target, lambda _: self._collected(key, connection)), where, parent)
        if parent is not None:
            if parent.children is None:
                parent.children = weakref.WeakSet()
            parent.children.add(connection)
        self.live[key] = connection
        self._dispatcher.connection_opened(connection, target)
        return connection

    def close(self, connection: Connection) -> None:
        """DuckDB has closed this connection, and with it its cursors and duplicates."""
        if connection.closed:
            return
        connection.closed = True
        for child in tuple(connection.children or ()):
            self.close(child)
        if self.live.get(connection.key) is connection:
            del self.live[connection.key]
        self._dispatcher.connection_closing(connection)
        if inside_the_sdk():  # which was interrupted: what ends with the connection cannot be told now
            self.deferred.put_off.append(lambda: self._dispatcher.connection_closed(connection))
        else:
            self._dispatcher.connection_closed(connection)

    def settle(self) -> None:
        """Let those go that were collected, and whose end a signal broke off."""
        for key, connection in tuple(self.live.items()):
            if connection.reference is not None and connection.reference() is None:
                self._collected(key, connection)

    def _collected(self, key: int, connection: Connection) -> None:
        # Its cursors stay open: only close() closes them.
        if self.live.get(key) is connection:
            del self.live[key]
        if connection.closed:
            return
        connection.closed = True
        try:
            self._dispatcher.connection_closing(connection)
            self.deferred(lambda: self._dispatcher.connection_closed(connection))
        except BaseException:  # a signal's, which Python drops where an object is collected
            self.deferred.put_off.append(lambda: self._closed(connection))
            raise

    def _closed(self, connection: Connection) -> None:
        self._dispatcher.connection_closing(connection)
        self._dispatcher.connection_closed(connection)

    def clear(self) -> None:
        """Forget all connections."""
        self.live.clear()
