"""The engine behind the stand-in: chDB handles, each used by one request at a time."""

from __future__ import annotations

import queue
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import chdb

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from clickhouse_standin.statements import Statement

_CODE = re.compile(r"Code: (\d+)")
_UNKNOWN_EXCEPTION = 1002
_SESSIONS = 16


class EngineError(Exception):
    """What the engine refused, with ClickHouse's number for it."""

    def __init__(self, message: str, code: int | None = None) -> None:
        """Keep ClickHouse's message; its number is found in it where none is given."""
        super().__init__(message)
        found = _CODE.search(message)
        self.code = code if code is not None else int(found.group(1)) if found else _UNKNOWN_EXCEPTION


@dataclass(frozen=True, slots=True)
class Answer:
    """A result's bytes in the format asked for, and how many rows an insert wrote."""

    body: bytes = b""
    written_rows: int = 0


class Engine:
    """One chDB engine over one directory; a process can hold only one.

    A handle keeps its database and settings, and a request must not see another's: handles wait in a pool, each request
    takes one for itself and leaves it as it found it.
    """

    def __init__(self, directory: Path) -> None:
        """Open the data, or make it. Raises EngineError where another process has it open."""
        self._directory = str(directory)
        self._idle: queue.LifoQueue[Any] = queue.LifoQueue()
        self._sessions: dict[str, Any] = {}
        self._idle.put(self._connect())
        self.version = self.run("SELECT version()", output_format="TabSeparated").body.decode().strip()

    def run(
        self,
        sql: str,
        *,
        database: str = "default",
        settings: Mapping[str, str] | None = None,
        parameters: Mapping[str, str] | None = None,
        output_format: str = "TabSeparated",
        session: str | None = None,
    ) -> Answer:
        """Run one statement; those of one session see each other's temporary tables. Raises EngineError."""
        with self._handle(database, settings or {}, session) as handle:
            result = handle.query(sql, output_format, params=dict(parameters) if parameters else None)
            return Answer(result.bytes() or b"")

    def insert(
        self, statement: Statement, *, database: str = "default", settings: Mapping[str, str] | None = None
    ) -> Answer:
        """Insert a statement's data, all of it or none. Raises EngineError."""
        with self._handle(database, settings or {}) as handle:
            inserter = handle.send_insert(statement.sql, statement.format)
            inserter.append(statement.data)
            return Answer(written_rows=inserter.finish().rows_written)

    def close(self) -> None:
        """Close the idle handles."""
        while not self._idle.empty():
            self._idle.get_nowait().close()
        while self._sessions:
            self._sessions.popitem()[1].close()

    def _connect(self) -> Any:
        try:
            return chdb.connect(self._directory)
        except RuntimeError as error:
            raise EngineError(str(error)) from error

    @contextmanager
    def _handle(self, database: str, settings: Mapping[str, str], session: str | None = None) -> Iterator[Any]:
        """Lend a handle with a request's database and settings; chDB's errors leave as EngineError."""
        handle = self._take(session)
        changed: list[str] = []
        try:
            handle.query(f"USE {_quoted(database, '`')}", "Null")
            for name, value in settings.items():
                handle.query(f"SET {_quoted(name, '`')} = {_quoted(value, chr(39))}", "Null")
                changed.append(name)
            yield handle
        except RuntimeError as error:  # chdb.ChdbError, and what send_insert raises
            raise EngineError(str(error)) from error
        finally:
            for name in changed:
                handle.query(f"SET {_quoted(name, '`')} = DEFAULT", "Null")
            self._give_back(handle, session)

    def _take(self, session: str | None) -> Any:
        if session is not None and session in self._sessions:
            return self._sessions.pop(session)
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return self._connect()

    def _give_back(self, handle: Any, session: str | None) -> None:
        """Keep a session's handle for its next request; the oldest ends where there are many."""
        if session is None:
            self._idle.put(handle)
            return
        self._sessions[session] = handle
        while len(self._sessions) > _SESSIONS:
            self._sessions.pop(next(iter(self._sessions))).close()


def _quoted(value: str, quote: str) -> str:
    return quote + value.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote
