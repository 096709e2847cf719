"""What the passes of one sync share: cursors of the buffer, clients of the target, and the number that may work."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

from otel_duckdb.sync.target import Clickhouse
from otel_duckdb.sync.types import quoted
from otel_duckdb.telemetry.locks import make_reentrant_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from duckdb import DuckDBPyConnection

    from otel_duckdb.sync.config import Target

T = TypeVar("T")


class Pool(Generic[T]):
    """Things that are made when none is idle, each used by one thread at a time."""

    def __init__(self, make: Callable[[], T], end: Callable[[T], None]) -> None:
        """Make and end them by these."""
        self._make = make
        self._end = end
        self._idle: deque[T] = deque()
        self._all: dict[int, T] = {}
        self._lock = make_reentrant_lock()
        self._closed = False

    def take(self) -> T:
        """Take one, that is given back later."""
        try:
            return self._idle.pop()
        except IndexError:
            one = self._make()
            with self._lock:
                self._all[id(one)] = one
            return one

    def give_back(self, one: T) -> None:
        """Let others have it."""
        if self._closed:
            self._end(one)
        else:
            self._idle.append(one)

    def all(self) -> list[T]:
        """All that were made."""
        with self._lock:
            return list(self._all.values())

    def close(self) -> None:
        """End those that are idle; the others end when they are given back."""
        self._closed = True
        while True:
            try:
                self._end(self._idle.pop())
            except IndexError:
                return


class Pools:
    """The cursors, the clients, and the permits to work."""

    def __init__(
        self, connection: DuckDBPyConnection, database: str, target: Target, embedded_path: str | None, permits: int
    ) -> None:
        """Make cursors of a connection that work in one of its databases, and clients of a target."""

        def cursor() -> DuckDBPyConnection:
            made = connection.cursor()
            made.execute(f"USE {quoted(database)}")
            return made

        self.cursors: Pool[DuckDBPyConnection] = Pool(cursor, lambda one: one.close())
        self._clients: Pool[Clickhouse] = Pool(lambda: Clickhouse(target, embedded_path), Clickhouse.close)
        self._permits = threading.Semaphore(permits)

    @contextmanager
    def working(self) -> Iterator[tuple[DuckDBPyConnection, DuckDBPyConnection, Clickhouse]]:
        """Wait for a permit, then work with two cursors and a client."""
        with self._permits:
            first, second, client = self.cursors.take(), self.cursors.take(), self._clients.take()
            try:
                yield first, second, client
            finally:
                self.cursors.give_back(second)
                self.cursors.give_back(first)
                self._clients.give_back(client)

    def rest(self, seconds: float, stopping: threading.Event) -> None:
        """Let another work for a number of seconds, or until it is time to stop."""
        self._permits.release()
        try:
            stopping.wait(seconds)
        finally:
            self._permits.acquire()

    def abort(self) -> None:
        """Break off what is under way over the network."""
        for client in self._clients.all():
            client.abort()

    def close(self) -> None:
        """End all that is idle."""
        self._clients.close()
        self.cursors.close()
