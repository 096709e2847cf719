"""A file that keeps the history by the minute: what a restart takes of it is less than a minute."""

from __future__ import annotations

import json
import logging
import sqlite3
import struct
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_duckdb.files import check_ordinary, is_database
from otel_duckdb.monitor.folder import state_folder
from otel_duckdb.monitor.history.tier import Point
from otel_duckdb.monitor.part import Part
from otel_duckdb.monitor.sample import Series
from otel_duckdb.text import printable

if TYPE_CHECKING:
    from otel_duckdb.monitor.history.history import History
    from otel_duckdb.monitor.sample import Sample

DEFAULT: Final = "default"
_MINUTE: Final = 60
_KEPT_SECONDS: Final = 86_400 + 3_600
_MINUTES: Final = _KEPT_SECONDS // _MINUTE
"""Minutes in the file; further ones go that are farthest from the present, whatever the clock was set to meanwhile."""
_POINT: Final = struct.Struct("<Ifff")
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY, metric TEXT NOT NULL, labels TEXT NOT NULL, UNIQUE (metric, labels)
);
CREATE TABLE IF NOT EXISTS minutes (minute INTEGER PRIMARY KEY, points BLOB NOT NULL);
"""
_MOST_BYTES: Final = 1 << 20
"""The most of a minute, or of a series' name, that is read: no monitor has as many series."""
_MOST_SERIES: Final = 20_000
_SWEPT_ABOVE: Final = 1_000
"""Series in the file above which those go that no minute in it has."""
_OBJECTS: Final = "SELECT type, name, tbl_name, sql FROM sqlite_master"
_BETWEEN: Final = """
SELECT minute, points FROM minutes WHERE minute > ? AND minute <= ? AND length(points) <= ? ORDER BY minute
"""
_FORGET: Final = """
DELETE FROM minutes WHERE minute IN (
    SELECT minute FROM minutes ORDER BY abs(minute - ?) DESC
    LIMIT max(0, (SELECT count(*) FROM minutes) - ?)
)
"""
_TABLES: Final = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
_OURS: Final = {"series", "minutes"}
_ALL_POINTS: Final = """
SELECT points FROM minutes WHERE typeof(points) = 'blob' AND length(points) <= ? AND length(points) % ? = 0 LIMIT ?
"""
_ALL_SERIES: Final = """
SELECT id, metric, labels FROM series WHERE length(metric) + length(labels) <= 10000 ORDER BY id DESC LIMIT ?
"""
_logger: Final = logging.getLogger("otel_duckdb")


def _refuse_tables_of_others(connection: sqlite3.Connection) -> None:
    of_others = [name for (name,) in connection.execute(_TABLES) if name not in _OURS]
    if of_others:
        raise _is_of_others(f"it has tables of another program, such as {of_others[0]}")


def _is_of_others(why: str) -> ValueError:
    return ValueError(f"{why}; name another file")


class HistoryFile(Part):
    """Writes each minute of a history when it is over, and the last one at the stop.

    A file that is no history is put aside, and one that cannot be written ends the writing; either is told in one line,
    and the history in memory goes on.
    """

    component = "history"

    def __init__(self, history: History, path: str) -> None:
        """Keep `history` in the file `path`; `default` is one in the user's state folder."""
        self._history = history
        self._path = state_folder() / "history.sqlite" if path == DEFAULT else Path(path)
        self._connection: sqlite3.Connection | None = None
        self._series: dict[Series, int] = {}
        self._minute = 0
        self._sweep_above = _SWEPT_ABOVE

    def start(self) -> None:
        """Open the file, and put back what it holds of the last day."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if is_database(self._path):
                raise _is_of_others("it is a database of DuckDB")  # and is not put aside
            try:
                self._open()
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                aside = self._path.with_name(f"{self._path.name}.damaged")
                self._path.replace(aside)
                self._warn(f"{self._path} is no history, and was put aside as {aside.name}")
                self._open()
        except (OSError, ValueError, sqlite3.Error) as error:
            self._give_up(error)

    def sampled(self, sample: Sample) -> None:
        """Write the minute that is over, where one is."""
        minute = int(sample.unix_seconds // _MINUTE)
        before, self._minute = self._minute, minute
        if before and minute != before:
            self._write(before)

    def stop(self) -> None:
        """Write the minute that is under way, and close the file."""
        if self._minute:
            self._write(self._minute)
        self._close()

    def _open(self) -> None:
        check_ordinary(self._path)
        self._path.touch(mode=0o600)
        connection = sqlite3.connect(self._path, timeout=1.0, check_same_thread=False)
        try:
            _refuse_tables_of_others(connection)
            connection.executescript(_SCHEMA)
            _check_objects(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            rows = connection.execute(_ALL_SERIES, (_MOST_SERIES,))
            known = {number: self._read(metric, labels) for number, metric, labels in rows}
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self._series = {series: number for number, series in known.items() if series is not None}
        self._restore(connection, known)
        self._sweep(connection)

    def _restore(self, connection: sqlite3.Connection, known: dict[int, Series | None]) -> None:
        now = int(time.time() // _MINUTE)
        with closing(connection.execute(_BETWEEN, (now - _MINUTES, now, _MOST_BYTES))) as rows:
            for minute, blob in rows:
                if not isinstance(blob, bytes) or len(blob) % _POINT.size:
                    continue
                points = {
                    series: Point(low, mean, high)
                    for number, low, mean, high in _POINT.iter_unpack(blob)
                    if (series := known.get(number)) is not None
                }
                self._history.restore(minute * _MINUTE, points)

    def _write(self, minute: int) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            with connection:
                points = self._history.minute(minute * _MINUTE)
                packed = [_POINT.pack(self._number(connection, series), *point) for series, point in points.items()]
                connection.execute("INSERT OR REPLACE INTO minutes VALUES (?, ?)", (minute, b"".join(packed)))
                connection.execute(_FORGET, (minute, _MINUTES))
                self._sweep(connection)
        except (OSError, sqlite3.Error, struct.error, OverflowError) as error:
            self._give_up(error)

    def _sweep(self, connection: sqlite3.Connection) -> None:
        if len(self._series) <= self._sweep_above:
            return
        used: set[int] = set()
        for (blob,) in connection.execute(_ALL_POINTS, (_MOST_BYTES, _POINT.size, 2 * _MINUTES)):
            used.update(number for number, *_ in _POINT.iter_unpack(blob))
        gone = [number for number in self._series.values() if number not in used]
        with connection:
            connection.executemany("DELETE FROM series WHERE id = ?", ((number,) for number in gone))
        self._series = {series: number for series, number in self._series.items() if number in used}
        self._sweep_above = max(_SWEPT_ABOVE, 2 * len(self._series))

    def _number(self, connection: sqlite3.Connection, series: Series) -> int:
        found = self._series.get(series)
        if found is None:
            labels = json.dumps(series.labels)
            connection.execute("INSERT OR IGNORE INTO series (metric, labels) VALUES (?, ?)", (series.metric, labels))
            [(found,)] = connection.execute(
                "SELECT id FROM series WHERE metric = ? AND labels = ?", (series.metric, labels)
            )
            self._series[series] = found
        return int(found)

    @staticmethod
    def _read(metric: object, labels: object) -> Series | None:
        with suppress(ValueError, TypeError):
            return Series(str(metric), tuple((str(name), str(value)) for name, value in json.loads(str(labels))))
        return None

    def _give_up(self, error: Exception) -> None:
        self._close()
        why = (error.strerror if isinstance(error, OSError) else None) or error
        self._warn(f"the history is not kept in {self._path}: {why}; it goes on in memory")

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    @staticmethod
    def _warn(text: str) -> None:
        _logger.warning("otel_duckdb: %s", printable(text))


def _check_objects(connection: sqlite3.Connection) -> None:
    """Refuse a file with a view or a trigger, which could work for ever, or with tables other than ours."""
    if _objects(connection) != _expected():
        raise sqlite3.DatabaseError("it holds other things than a history")


def _objects(connection: sqlite3.Connection) -> set[tuple[object, ...]]:
    return set(connection.execute(_OBJECTS))


def _expected() -> set[tuple[object, ...]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(_SCHEMA)
        return _objects(connection)
