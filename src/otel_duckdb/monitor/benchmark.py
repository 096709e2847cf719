"""What DuckDB does here in memory, in queries and on disk: figures that a later run can be compared with."""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb
import psutil

from otel_duckdb.installation import version
from otel_duckdb.monitor.times import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ROUNDS: Final = 5
ROWS: Final = 1_000_000
_SMALL: Final = 200


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure.

    Attributes:
        name: What was measured.
        unit: `ms` or `By`; less is better.
        values: One for each round.
    """

    name: str
    unit: str
    values: tuple[float, ...]

    def as_json(self) -> dict[str, Any]:
        """The figure as the result file has it."""
        median = statistics.median(self.values)
        return {"name": self.name, "unit": self.unit, "median": median, "values": list(self.values)}


def _timed(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return (time.perf_counter() - begun) * 1e3


def _rounds(name: str, run: Callable[[], object]) -> Figure:
    return Figure(name, "ms", tuple(_timed(run) for _ in range(_ROUNDS)))


def _memory(folder: Path, rows: int) -> list[Figure]:
    """A sort and an aggregate that hold much, and what the process holds then."""
    del folder
    process = psutil.Process()
    with duckdb.connect() as connection:
        before = process.memory_info().rss
        sort = _rounds(
            "sort",
            lambda: connection.execute("select hash(range) h from range($rows) order by h", {"rows": rows}).fetchmany(
                1
            ),
        )
        group = _rounds(
            "group",
            lambda: connection.execute(
                "select count(distinct hash(range)) from range($rows)", {"rows": rows}
            ).fetchall(),
        )
        grown = float(max(process.memory_info().rss - before, 0))
    return [sort, group, Figure("resident growth", "By", (grown,))]


def _query(folder: Path, rows: int) -> list[Figure]:
    """Small statements, a scan and a join."""
    del folder
    with duckdb.connect() as connection:
        connection.execute("create table numbers as select range a, range % 1000 b from range($rows)", {"rows": rows})

        def small() -> None:
            for number in range(_SMALL):
                connection.execute("select ? + 1", [number]).fetchall()

        return [
            _rounds(f"{_SMALL} small statements", small),
            _rounds("scan", lambda: connection.execute("select b, sum(a) from numbers group by b").fetchall()),
            _rounds(
                "join",
                lambda: connection.execute("select count(*) from numbers join numbers other using (a)").fetchall(),
            ),
        ]


def _disk(folder: Path, rows: int) -> list[Figure]:
    """Writing a table with its checkpoint, small commits, and reading it after the file was opened again."""
    path = folder / "benchmark.duckdb"
    with duckdb.connect(str(path)) as connection:

        def write() -> None:
            connection.execute(
                "create or replace table numbers as select range a, hash(range) h from range($rows)", {"rows": rows}
            )
            connection.execute("checkpoint")

        written = _rounds("write and checkpoint", write)
        connection.execute("create table log(a bigint)")
        commits = _rounds("20 commits", lambda: [connection.execute("insert into log values (1)") for _ in range(20)])

    def read() -> None:
        with duckdb.connect(str(path)) as connection:
            connection.execute("select sum(a), max(h) from numbers").fetchall()

    size = float(path.stat().st_size)
    return [written, commits, _rounds("open and read", read), Figure("file", "By", (size,))]


TESTS: Final[Mapping[str, Callable[[Path, int], list[Figure]]]] = {
    "memory": _memory,
    "query": _query,
    "disk": _disk,
}


def run_test(name: str, folder: Path | None = None, rows: int = ROWS) -> list[dict[str, Any]]:
    """Run one test on databases of its own, and return its figures.

    Files are made in a new folder below `folder`, or below the system's temporary folder, and removed.

    Raises:
        OSError: the folder cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="otel-duckdb-benchmark-", dir=folder) as own:
        return [figure.as_json() for figure in TESTS[name](Path(own), rows)]


def machine() -> dict[str, Any]:
    """What the figures were measured on: they are compared only with those of the like."""
    return {
        "generated": iso(time.time()),
        "otel_duckdb": version(),
        "duckdb": duckdb.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
    }


def compare(tests: Mapping[str, Any], before: Mapping[str, Any]) -> dict[tuple[str, str], float]:
    """Return by test and figure how much larger each median is than in an earlier result: 1.1 is ten percent more."""
    known = {(test, figure["name"]): figure["median"] for test, figures in before.items() for figure in figures}
    return {
        (test, figure["name"]): figure["median"] / known[test, figure["name"]]
        for test, figures in tests.items()
        for figure in figures
        if known.get((test, figure["name"]))
    }
