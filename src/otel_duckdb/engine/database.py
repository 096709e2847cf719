"""One live DuckDB database instance, read from any thread and closed from any thread."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from otel_duckdb.core.forked import hold_for_ever
from otel_duckdb.engine import state
from otel_duckdb.engine.cursor import PrivateCursor
from otel_duckdb.telemetry.locks import make_reentrant_lock

if TYPE_CHECKING:
    from otel_duckdb.engine.state import EngineState

_CLOSE_TIMEOUT = 1.0
"""Seconds `close` waits for a read in another thread, which takes about one millisecond."""


class Database:
    """A database instance of this process, held through a private cursor until `close`.

    `name` is its label, unique within the process; `path` is the real path of its main file, None in memory. As long
    as it is not closed the file stays locked, so whoever makes one closes it before or with the user's last
    connection.
    """

    def __init__(self, name: str, path: str | None, cursor: PrivateCursor) -> None:
        """Take over `cursor`, which was made in the user's thread."""
        self.name = name
        self.path = path
        self._cursor: PrivateCursor | None = cursor
        self._lock = make_reentrant_lock()
        self._process = os.getpid()
        self._prepared = False
        self._reading = False
        self._closing = False

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closing

    def read_state(self) -> EngineState | None:
        """Read the instance; None if it is closed, or in a forked child, where DuckDB's threads are gone.

        Raises:
            duckdb.Error: the database was invalidated by a fatal error.
        """
        if self._process != os.getpid():
            return None
        with self._lock:
            if self._reading or self._closing or self._cursor is None:
                return None
            self._reading = True
            try:
                return self._read(self._cursor)
            finally:
                self._reading = False
                if self._closing:  # the garbage collector ran in this thread, or the other thread gave up waiting
                    self._drop()

    def open_cursor(self) -> PrivateCursor | None:
        """Return a new cursor, for what takes longer than a reading; whoever asks for it closes it.

        None where the instance is closed, or in a forked child. The file stays locked until the cursor is closed.
        """
        if self._process != os.getpid():
            return None
        with self._lock:
            if self._reading or self._closing or self._cursor is None:
                return None
            return PrivateCursor.into(self._cursor.connection, self._cursor.methods)

    def _read(self, cursor: PrivateCursor) -> EngineState:
        if not self._prepared:
            state.prepare(cursor)
            self._prepared = True
        return state.read_state(cursor, self.path)

    def close(self) -> None:
        """Let go of the instance; from any thread, a weak reference's callback included, and more than once.

        A read that is under way in another thread is waited for; one in this very thread closes when it ends.
        """
        self._closing = True
        if self._process == os.getpid() and self._lock.acquire(timeout=_CLOSE_TIMEOUT):
            try:
                if not self._reading:
                    self._drop()
            finally:
                self._lock.release()

    def forked(self) -> None:
        """In a forked child: hold the instance for ever, so that nobody closes it."""
        if self._cursor is not None:
            hold_for_ever(self._cursor.connection)

    def _drop(self) -> None:
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            with suppress(Exception):  # closing fails only where nothing is open any more
                cursor.close()
