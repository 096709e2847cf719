"""The live connections of the process, without keeping any of them alive."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_duckdb.operation import Operation
    from otel_duckdb.transactions import Transaction


@dataclass(frozen=True, slots=True)
class Location:
    """Which database a connection is open on.

    Attributes:
        name: DuckDB's name of it: the file's name without its ending, `memory` for one in memory.
        path: The real path of its file, or None.
    """

    name: str
    path: str | None


def location(database: object) -> Location:
    """Read the first argument of `duckdb.connect()`, without the query of a remote address, which may hold a token."""
    text = os.fsdecode(database) if isinstance(database, bytes | os.PathLike) else str(database)
    text = text.partition("?")[0]
    if not text or text.startswith(":"):
        return Location(text.strip(":").removeprefix("memory:") or "memory", None)
    name = os.path.splitext(os.path.basename(text))[0] or text  # noqa: PTH119, PTH122 - may be an address, no path
    return Location(name, None if "://" in text or text.startswith("md:") else os.path.realpath(text))


class Connection:
    """What is known of one live connection.

    Attributes:
        reference: Weak reference to DuckDB's object.
        location: The database it is open on.
        parent: The connection it is a cursor or duplicate of, or None.
        operation: The operation whose result is open on it, or None.
        serving: Identity of the thread in which DuckDB works for it, or 0.
        profiling: What is known of DuckDB's profiling of it, or None.
        scope: What a public call of DuckDB 2 has to say to the calls inside it, or None.
        label: The name of its database in the metrics, unique within the process.
        transaction: What is known of its transaction, or None as long as there was none.
    """

    guessed = False

    __slots__ = (
        "__weakref__",
        "children",
        "closed",
        "key",
        "label",
        "location",
        "operation",
        "parent",
        "profiling",
        "reference",
        "scope",
        "serving",
        "transaction",
    )

    def __init__(
        self, key: int, reference: weakref.ref[Any] | None, where: Location, parent: Connection | None
    ) -> None:
        self.key = key
        self.reference = reference
        self.location = where
        self.parent = parent
        self.children: weakref.WeakSet[Connection] | None = None
        self.operation: Operation | None = None
        self.serving = 0
        self.profiling: Any = None
        self.scope: Any = None
        self.closed = False
        self.label = where.name
        self.transaction: Transaction | None = None

    @property
    def database(self) -> str:
        """The name of the database."""
        return self.location.name


def unregistered() -> Connection:
    """A record for one call on a connection of which nothing can be learned, such as a closed one."""
    connection = Connection(0, None, Location("", None), None)
    connection.closed = True
    return connection


class Deferred:
    """Runs what a collected object left to do, but never inside a garbage collection.

    A collection may start in a thread that holds any lock, one of the SDK's among them; what ends a span would wait for
    that lock for ever. What comes up meanwhile is done with the next call of `run`.
    """

    def __init__(self) -> None:
        self._collecting = 0
        self._left: deque[Callable[[], None]] = deque()

    def start(self) -> None:
        """Watch the garbage collector."""
        gc.callbacks.append(self._watch)

    def stop(self) -> None:
        """Watch it no more, and do what is left."""
        if self._watch in gc.callbacks:
            gc.callbacks.remove(self._watch)
        self._collecting = 0
        self.run()

    def _watch(self, phase: str, _info: dict[str, int]) -> None:
        self._collecting = threading.get_ident() if phase == "start" else 0

    def __call__(self, action: Callable[[], None]) -> None:
        """Do `action` now, or after the collection this thread is in."""
        if self._collecting == threading.get_ident():
            self._left.append(action)
        else:
            action()

    def __bool__(self) -> bool:
        return bool(self._left)

    def run(self) -> None:
        """Do what is left."""
        while self._left:
            try:
                action = self._left.popleft()
            except IndexError:
                return
            action()


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
