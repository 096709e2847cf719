"""The live database instances of the process, known by the connections the user has open on them."""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from otel_duckdb import contract
from otel_duckdb.core.listener import Listener
from otel_duckdb.engine.cursor import PrivateCursor
from otel_duckdb.engine.database import Database
from otel_duckdb.engine.names import Names
from otel_duckdb.telemetry.gauges import register_count
from otel_duckdb.telemetry.locks import make_reentrant_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping

    from otel_duckdb.core.location import Location
    from otel_duckdb.core.methods import Methods
    from otel_duckdb.core.operation import Connection
    from otel_duckdb.telemetry.gauges import CallbackRegistry

    Working = Iterable[tuple[Connection | None, int]]


class _Instance:
    """One database instance, the connections open on it, and our own cursor into it if it is observed."""

    def __init__(self, key: Hashable, name: str, path: str | None) -> None:
        self.key = key
        self.name = name
        self.path = path
        self.connections: set[Connection] = set()
        self.database: Database | None = None
        self.tried = False


class Databases(Listener):
    """Opens a private cursor into a database with the user's first connection, and closes it with his last.

    A connection may be found dead at any moment, in any thread and in the middle of any of these methods, so each of
    them may be entered while another is under way in the same thread.
    """

    component = "engine"

    def __init__(self, methods: Methods | None) -> None:
        """Use DuckDB's unpatched `methods`; without them no database is observed, and connections are only counted."""
        self._methods = methods
        self._lock = make_reentrant_lock()
        self._names = Names()
        self._live: dict[Hashable, _Instance] = {}
        self._of: dict[Connection, _Instance] = {}

    def __iter__(self) -> Iterator[Database]:
        """Yield the databases that are observed."""
        for instance in tuple(self._live.values()):
            if instance.database is not None:
                yield instance.database

    def connection_opened(self, connection: Connection, target: Any) -> None:
        """Take note of a new connection, in the thread that uses it; `target` is DuckDB's object."""
        with self._lock:
            instance = self._join(connection)
            self._of[connection] = instance
            connection.label = instance.name
            self._observe(instance, target)

    def connection_closing(self, connection: Connection) -> None:
        """Take note that a connection is closed or was collected; from any thread."""
        with self._lock:
            instance = self._of.pop(connection, None)
            if instance is None:
                return
            instance.connections.discard(connection)
            if instance.connections:
                return
            del self._live[instance.key]
            self._names.release(instance.name)
        if instance.database is not None:
            instance.database.close()

    def connections(self) -> Mapping[str, int]:
        """Return the number of open connections by database."""
        return self._added((instance.name, len(instance.connections)) for instance in tuple(self._live.values()))

    def queries(self, working: Working) -> Mapping[str, int]:
        """Return the number of the `working` connections by database."""
        idle = ((name, 0) for name in self.connections())
        return self._added([*idle, *((connection.label, 1) for connection, _ in working if connection is not None)])

    def oldest_query(self, working: Working) -> Mapping[str, float]:
        """Return by database for how many seconds DuckDB has been at work on one call, at most; 0 where it rests."""
        oldest = dict.fromkeys(self.connections(), 0.0)
        now = perf_counter_ns()
        for connection, since in working:
            if connection is not None and since:
                oldest[connection.label] = max(oldest.get(connection.label, 0.0), (now - since) / 1e9)
        return oldest

    def forked(self) -> None:
        """In a forked child: let go of none, and let it be of no consequence that others do."""
        for database in self:
            database.forked()

    def close(self) -> None:
        """Let go of all databases."""
        for connection in tuple(self._of):
            self.connection_closing(connection)

    @staticmethod
    def _added(numbers: Iterable[tuple[str, int]]) -> Mapping[str, int]:
        added: dict[str, int] = {}
        for name, number in numbers:
            added[name] = added.get(name, 0) + number
        return added

    def _join(self, connection: Connection) -> _Instance:
        key = self._key(connection)
        while True:
            instance = self._live.get(key) or self._begin(key, connection.location)
            instance.connections.add(connection)
            if self._live.get(key) is instance:  # else its last connection was collected just now
                return instance

    def _key(self, connection: Connection) -> Hashable:
        where = connection.location
        if connection.parent is not None and connection.parent in self._of:
            return self._of[connection.parent].key
        if where.path is not None:
            return where.path
        return connection if where.name in {"", "memory"} else where.name

    def _begin(self, key: Hashable, where: Location) -> _Instance:
        instance = self._live[key] = _Instance(key, self._names.take(where.name, where.path), where.path)
        return instance

    def _observe(self, instance: _Instance, target: Any) -> None:
        if self._methods is not None and not instance.tried:
            instance.tried = True
            instance.database = Database(instance.name, instance.path, PrivateCursor.into(target, self._methods))


class DatabaseCounts:
    """How many connections are open on each database, for how many operations DuckDB works on it, and since when."""

    def __init__(
        self,
        databases: Databases,
        working: Callable[[], Working],
        labels: Callable[[], Mapping[str, str]],
    ) -> None:
        """Count `databases`; `working` tells for whom DuckDB works and since when, `labels` what each point has."""
        self._databases = databases
        self._working = working
        self._labels = labels

    def register(self, callbacks: CallbackRegistry) -> None:
        """Let all of it be observed."""
        register_count(callbacks, contract.ACTIVE_CONNECTIONS, self._databases.connections, self._labels)
        register_count(callbacks, contract.ACTIVE_QUERIES, self._queries, self._labels)
        register_count(callbacks, contract.OLDEST_QUERY, self._oldest_query, self._labels)

    def _queries(self) -> Mapping[str, int]:
        return self._databases.queries(self._working())

    def _oldest_query(self) -> Mapping[str, float]:
        return self._databases.oldest_query(self._working())
