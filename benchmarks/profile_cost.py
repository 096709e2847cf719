"""What profiling costs: the modes over mode `off`, in one run with the variants taking turns, on fresh connections.

A query is measured by the CPU time of its thread, which DuckDB shares at one thread, so that a busy machine disturbs
little. The aggregate and the join show that the cost is one of each query, not of its rows.
"""

from __future__ import annotations

import argparse
import statistics
from contextlib import contextmanager
from time import thread_time_ns
from typing import TYPE_CHECKING, Any

import duckdb
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from otel_duckdb import DuckDBInstrumentor

if TYPE_CHECKING:
    from collections.abc import Iterator

SLOW = "SELECT max(hash(range)) FROM range(20000000)"
QUERIES = {
    "point query": ("SELECT id, price FROM trades WHERE id = ?", 200),
    "aggregate of 50,000 rows": ("SELECT venue, avg(price) FROM trades WHERE id > ? GROUP BY venue", 40),
    "join of 50,000 rows": (
        "SELECT name, max(price) FROM trades JOIN venues USING (venue) WHERE id > ? GROUP BY 1",
        40,
    ),
}
MODES = {
    "off": ("off", False),
    "slow, nothing was slow": ("slow", False),
    "slow, another statement was": ("slow", True),
    "all": ("all", False),
}


class Nowhere(SpanExporter):
    """Throws spans away."""

    def export(self, spans: Any) -> SpanExportResult:
        """Take the spans."""
        del spans
        return SpanExportResult.SUCCESS


@contextmanager
def profiling(mode: str, slow: bool, options: dict[str, Any], database: Any) -> Iterator[Any]:
    """A fresh connection while otel-duckdb is on."""
    instrumentor = DuckDBInstrumentor()
    instrumentor.instrument(profile=mode, slow_threshold_ms=100, **options)
    try:
        with database.cursor() as con:
            if slow:
                con.execute(SLOW).fetchall()
            yield con
    finally:
        instrumentor.uninstrument()


def measure(database: Any, options: dict[str, Any], rounds: int) -> dict[tuple[str, str], list[float]]:
    """The median nanoseconds of each turn, by query and mode."""
    times: dict[tuple[str, str], list[float]] = {(query, mode): [] for query in QUERIES for mode in MODES}
    names = list(MODES)
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            mode, slow = MODES[name]
            with profiling(mode, slow, options, database) as con:
                for query, (text, size) in QUERIES.items():
                    times[query, name].append(statistics.median(turns(con, text, size)))
    return times


def turns(con: Any, text: str, size: int) -> Iterator[int]:
    """Nanoseconds of each execution, after some to warm up."""
    for number in range(size + 5):
        start = thread_time_ns()
        con.execute(text, [number]).fetchall()
        if number >= 5:  # noqa: PLR2004 - the first ones switch profiling
            yield thread_time_ns() - start


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    rounds = parser.parse_args().rounds
    database = duckdb.connect()
    database.execute("SET threads = 1")
    database.execute(
        "CREATE TABLE trades AS SELECT range AS id, range % 20 AS venue, random() AS price FROM range(50000)"
    )
    database.execute("CREATE TABLE venues AS SELECT range AS venue, 'venue ' || range AS name FROM range(20)")
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(Nowhere()))
    options = {"tracer_provider": tracers, "meter_provider": MeterProvider([InMemoryMetricReader()])}
    times = measure(database, options, rounds)
    print(f"DuckDB {duckdb.__version__}; CPU µs of the calling thread, median, and ratio within each of {rounds} turns")
    for query in QUERIES:
        for name in MODES:
            found = times[query, name]
            ratio = statistics.median(mine / off for mine, off in zip(found, times[query, "off"], strict=True))
            print(f"{query:<26}{name:<30}{statistics.median(found) / 1e3:>8.1f}  {ratio:.3f} x off")


if __name__ == "__main__":
    main()
