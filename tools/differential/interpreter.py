"""Runs one program in a folder of its own and writes down what a user sees."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import shutil
import warnings
import weakref
from typing import TYPE_CHECKING, Any, Final

import duckdb
import polars as pl
import psutil
import pyarrow as pa

from differential import outcomes
from differential.programs import ROWS, TEXTS
from differential.sites import SITES, Arguments, Keywords, method_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from differential.programs import Step

_PROCESS: Final = psutil.Process()
_ABSENT: Final = "absent"
"""What a step gives for which the place holds nothing, or nothing of the kind it needs."""


class Interpreter:
    """Runs one program in a folder of its own, which exists and is empty.

    Places are named by a letter for what they hold and a number: `c` a connection, `r` a relation, `s` a stream or
    another result, `a` an appender, `e` an exception; `duckdb` is the module.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = str(folder / "file.db")
        self._places: dict[str, Any] = {}
        self._references: dict[str, weakref.ref[Any]] = {}

    def run(self, steps: Sequence[Step]) -> list[tuple[Any, ...]]:
        """Run the steps and give what each let a user see, with its warnings, and what was held at the end."""
        os.chdir(self._folder)
        self._start()
        seen: list[tuple[Any, ...]] = []
        gc.freeze()
        gc.disable()
        try:
            for step in steps:
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    outcome = self._attempt(step)
                told = [(w.category.__name__, str(w.message), w.filename, w.lineno) for w in caught]
                seen.append((step[:3], outcome, told))
            self._places.clear()
            seen.append(("end", self._probe(), self._alive()))
        finally:
            gc.enable()
            self._places.clear()
            gc.collect()
            duckdb.set_default_connection(duckdb.connect())
        return seen

    def _start(self) -> None:
        duckdb.set_default_connection(duckdb.connect())
        shutil.copy(_template(self._folder.parent.parent), self._path)
        connection = duckdb.connect(self._path)
        connection.create_function("twice", lambda i: 2 * i, ["BIGINT"], "BIGINT")
        connection.create_function("fails", _fails, ["BIGINT"], "BIGINT")
        self._put("c0", connection)
        self._put("c1", connection.cursor())
        self._put("r0", connection.sql("select * from t"))

    def _put(self, place: str, value: Any) -> None:
        self._places[place] = value
        with contextlib.suppress(TypeError):
            self._references[place] = weakref.ref(value)

    def _attempt(self, step: Step) -> Any:
        name = {"del": "drop", "with": "block"}.get(step[0], step[0])
        try:
            return getattr(self, f"_{name}")(*step[1:])
        except BaseException as error:
            return outcomes.of_exception(error)

    def _argument(self, value: Any) -> Any:
        if isinstance(value, str) and value.startswith("="):
            return self._places.get(value[1:])
        return self._path if value == "file.db" else value

    def _target(self, place: str) -> Any:
        return duckdb if place == "duckdb" else self._places.get(place)

    def _tell(self, result: Any) -> outcomes.Outcome:
        for place, value in self._places.items():
            if value is result:
                return ("is", place)
        if isinstance(result, duckdb.DuckDBPyConnection) and result is duckdb.default_connection():
            return ("is", "default")
        return outcomes.of_result(result)

    # Calls.

    def _call(
        self, place: str, name: str, arguments: Arguments, keywords: Keywords, into: str | None, site: int
    ) -> Any:
        target = self._target(place)
        if target is None:
            return _ABSENT
        arguments = tuple(self._argument(value) for value in arguments)
        keywords = {key: self._argument(value) for key, value in keywords.items()}
        result = SITES[site](target, name, arguments, keywords)
        told = self._tell(result)
        if into is not None and not isinstance(result, tuple | list | dict | int | str | None):
            self._put(into, result)
        return told

    def _loop(self, place: str, count: int) -> Any:
        target = self._places.get(place)
        if target is None:
            return _ABSENT
        rows = list(itertools.takewhile(lambda row: row is not None, (target.fetchone() for _ in range(count))))
        return len(rows), rows[-1:]

    # Acts; each has a number from 0 to 3 to vary by.

    def _read(self, _place: str, number: int) -> Any:
        """Read a little of whatever streams."""
        stream: Any = self._places.get("s0")
        if isinstance(stream, pa.RecordBatchReader):
            if number == 3:  # noqa: PLR2004 - the last of the ways
                return self._tell(stream.read_all())
            if number == 2:  # noqa: PLR2004 - another
                return stream.close()
            return stream.read_next_batch().num_rows
        if type(stream).__name__ == "PyCapsule":
            del self._places["s0"]
            return self._tell(pa.table(_Capsule(stream)) if number else pl.DataFrame(_Capsule(stream)))
        if hasattr(stream, "__next__"):
            return [outcomes.plain(repr(row)) for row in itertools.islice(stream, number * 1000)][-1:]
        return _ABSENT

    def _appender(self, place: str, number: int) -> Any:
        connection = self._places.get(place)
        if not isinstance(connection, duckdb.DuckDBPyConnection) or not hasattr(connection, "appender"):
            return _ABSENT
        appender = connection.appender(("u", "u", "u", "missing")[number])
        self._put("a0", appender)
        for row in range(number):
            appender.append_row(row, "row")
        if number == 1:
            appender.flush()
        return self._tell(appender)

    def _keep(self, place: str, number: int) -> Any:
        """Keep an exception, whose traceback must not keep more than without us."""
        connection = self._places.get(place)
        if not isinstance(connection, duckdb.DuckDBPyConnection):
            return _ABSENT
        del connection
        text = ("select * from missing", "selec", "insert into p values (1), (1)", "x")[number]
        error = _raised_by(self._places, place, text)
        self._put("e0", error)
        return outcomes.of_exception(error) if error else None

    def _wrong(self, place: str, number: int) -> Any:
        """Call with arguments that no method takes."""
        target = self._target(place) or duckdb
        name = ("execute", "fetchone", "close", "sql")[number]
        return self._tell(
            method_of(target, name)(*(1, 2, 3, 4)[: number + 1], **({} if number % 2 else {"unknown": 1}))
        )

    def _drop(self, place: str, _number: int) -> Any:
        self._places.pop(place, None)
        return self._alive(), self._probe()

    def _block(self, place: str, number: int) -> Any:
        connection = self._places.get(place)
        if not isinstance(connection, duckdb.DuckDBPyConnection):
            return _ABSENT
        with connection as entered:
            assert entered is connection
            entered.execute(TEXTS[number]).fetchone()
            if number == 3:  # noqa: PLR2004 - the last of the ways
                raise KeyError(number)
        return "left"

    def _alive(self, *_ignored: Any) -> dict[str, bool]:
        """Which objects live on: nothing of ours may keep one, but the object of the default connection.

        DuckDB keeps that connection open itself, and makes a new object of it whenever none is alive.
        """
        default = duckdb.default_connection()
        return {
            place: reference() is not None and reference() is not default
            for place, reference in self._references.items()
        }

    def _probe(self, *_ignored: Any) -> bool:
        """Whether the database file, and with it its lock, is still held."""
        return any(file.path == os.path.realpath(self._path) for file in _PROCESS.open_files())


def _template(folder: Path) -> Path:
    """A database file to copy."""
    path = folder / "template.db"
    if not path.exists():
        with contextlib.closing(duckdb.connect(str(path))) as connection:
            connection.execute(
                f"create table t as select i, case when i < {ROWS - 100} then i::varchar else 'x' end as s "
                f"from range({ROWS}) r(i); create table u (i int, s varchar); create table p (k int primary key)"
            )
    return path


class _Capsule:
    """An object that hands a capsule out, as Arrow's consumers expect."""

    def __init__(self, capsule: Any) -> None:
        self._capsule = capsule

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._capsule


def _fails(value: int) -> int:
    if value > ROWS // 2:
        raise LookupError("no such number")
    return value


def _raised_by(places: dict[str, Any], place: str, text: str) -> Exception | None:
    try:
        places[place].execute(text)
    except Exception as error:
        return error
    return None
