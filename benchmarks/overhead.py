"""What the instrumentation costs: ratios over a floor, measured in one run with the variants taking turns.

The floor is the same telemetry written by hand with OpenTelemetry's public API around the same two DuckDB calls: a
current span with as many attributes, and as many histogram records. Run with `make bench`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from contextlib import contextmanager
from time import perf_counter_ns, thread_time_ns
from typing import TYPE_CHECKING, Any

import duckdb
from opentelemetry import trace
from opentelemetry.instrumentation.dbapi import instrument_connection
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler

from otel_duckdb import DuckDBInstrumentor, contract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUERY = "SELECT id, price FROM trades WHERE id = ?"
ROWS = 50_000


class Nowhere(SpanExporter):
    """Throws spans away."""

    def export(self, spans: Any) -> SpanExportResult:
        """Take the spans."""
        del spans
        return SpanExportResult.SUCCESS


class Providers:
    """One tracer provider and one meter provider."""

    def __init__(self, sampler: Sampler) -> None:
        self.tracer = TracerProvider(sampler=sampler)
        self.tracer.add_span_processor(BatchSpanProcessor(Nowhere()))
        self.meter = MeterProvider([InMemoryMetricReader()])


def connect() -> duckdb.DuckDBPyConnection:
    """A connection with a table to look points up in."""
    con = duckdb.connect()
    con.execute("SET threads = 1")
    con.execute(f"CREATE TABLE trades AS SELECT range AS id, random() AS price FROM range({ROWS})")
    return con


def query(con: duckdb.DuckDBPyConnection, number: int) -> None:
    """The query all variants run."""
    con.execute(QUERY, [number]).fetchall()


class Floor:
    """The same telemetry by hand."""

    def __init__(self, providers: Providers) -> None:
        self.tracer = trace.get_tracer("floor", tracer_provider=providers.tracer)
        meter = providers.meter.get_meter("floor")
        self.histograms = [
            meter.create_histogram(f"floor_{metric.name}", explicit_bucket_boundaries_advisory=metric.buckets)
            for metric in (
                contract.OPERATION_DURATION,
                contract.RETURNED_ROWS,
                contract.QUERY_LATENCY,
                contract.SELECT_LATENCY,
            )
        ]

    def query(self, con: duckdb.DuckDBPyConnection, number: int) -> None:
        """Run the query inside a span, and record it."""
        measured = {"db.system.name": "duckdb", "db.namespace": "memory", "db.query.summary": "SELECT trades"}
        attributes = {**measured, "db.query.text": QUERY, "duckdb.query.type": "SELECT"}
        duration, rows, latency, by_table = self.histograms
        with self.tracer.start_as_current_span(
            "SELECT trades", kind=trace.SpanKind.CLIENT, attributes=attributes
        ) as span:
            start = perf_counter_ns()
            con.execute(QUERY, [number])
            middle = perf_counter_ns()
            result = con.fetchall()
            end = perf_counter_ns()
            span.set_attributes(
                {
                    "duckdb.execute_time_ms": (middle - start) / 1e6,
                    "duckdb.fetch_time_ms": (end - middle) / 1e6,
                    "db.response.returned_rows": len(result),
                }
            )
            milliseconds = (end - start) / 1e6
            duration.record(milliseconds / 1e3, measured)
            rows.record(len(result), measured)
            latency.record(milliseconds, {"query_type": "SELECT"})
            by_table.record(milliseconds, {"table_name": "trades"})


@contextmanager
def instrumented(providers: Providers | None, con: duckdb.DuckDBPyConnection) -> Iterator[Callable[[int], None]]:
    """The query while otel-duckdb is on."""
    options = {"tracer_provider": providers.tracer, "meter_provider": providers.meter} if providers else {}
    instrumentor = DuckDBInstrumentor()
    instrumentor.instrument(**options)
    try:
        yield lambda number: query(con, number)
    finally:
        instrumentor.uninstrument()


@contextmanager
def plain(con: duckdb.DuckDBPyConnection) -> Iterator[Callable[[int], None]]:
    """The query as it is."""
    yield lambda number: query(con, number)


@contextmanager
def by_hand(floor: Floor, con: duckdb.DuckDBPyConnection) -> Iterator[Callable[[int], None]]:
    """The query with telemetry written by hand."""
    yield lambda number: floor.query(con, number)


@contextmanager
def with_dbapi(providers: Providers, con: duckdb.DuckDBPyConnection) -> Iterator[Callable[[int], None]]:
    """The query through a connection of the generic DB-API instrumentation, with metrics on."""
    proxy = instrument_connection(
        "bench", con, "duckdb", tracer_provider=providers.tracer, meter_provider=providers.meter
    )
    cursor = proxy.cursor()
    yield lambda number: (cursor.execute(QUERY, [number]), cursor.fetchall())[1]


def rounds(variants: dict[str, Callable[[], Any]], number: int, size: int) -> dict[str, list[int]]:
    """Nanoseconds of each query, by variant; the variants take turns."""
    times: dict[str, list[int]] = {name: [] for name in variants}
    names = list(variants)
    for turn in range(number):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            with variants[name]() as run:
                for warm in range(20):
                    run(warm)
                for point in range(size):
                    start = perf_counter_ns()
                    run(point)
                    times[name].append(perf_counter_ns() - start)
    return times


def fetchone_loop(con: duckdb.DuckDBPyConnection, rows: int) -> int:
    """Nanoseconds of CPU that a loop over `rows` rows takes in its thread."""
    con.execute(f"SELECT range, 'abc' FROM range({rows})")
    start = thread_time_ns()
    while con.fetchone() is not None:
        pass
    return thread_time_ns() - start


def point(times: list[int], share: float) -> float:
    """The quantile in microseconds."""
    ordered = sorted(times)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] / 1e3


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--queries", type=int, default=250)
    options = parser.parse_args()
    con = connect()
    on, off = Providers(ALWAYS_ON), Providers(ALWAYS_OFF)
    floor_on, floor_off = Floor(on), Floor(off)
    variants: dict[str, Callable[[], Any]] = {
        "plain": lambda: plain(con),
        "no SDK": lambda: instrumented(None, con),
        "floor": lambda: by_hand(floor_on, con),
        "otel-duckdb": lambda: instrumented(on, con),
        "floor, sampled out": lambda: by_hand(floor_off, con),
        "otel-duckdb, sampled out": lambda: instrumented(off, con),
        "dbapi": lambda: with_dbapi(on, con),
    }
    times = rounds(variants, options.rounds, options.queries)
    raw = statistics.median(times["plain"]) / 1e3
    print(
        f"DuckDB {duckdb.__version__}, Python {sys.version.split()[0]}; point query {raw:.0f} µs; "
        f"{options.rounds * options.queries} queries a variant, in turns"
    )
    print(f"{'variant':<26}{'median µs':>10}{'over plain':>11}{'p99.9 µs':>10}")
    for name, found in times.items():
        median = point(found, 0.5)
        print(f"{name:<26}{median:>10.1f}{median - raw:>+11.1f}{point(found, 0.999):>10.0f}")
    for ours, other in (
        ("otel-duckdb", "floor"),
        ("otel-duckdb, sampled out", "floor, sampled out"),
        ("otel-duckdb", "dbapi"),
    ):
        ratios = [point(times[ours], share) / point(times[other], share) for share in (0.5, 0.999)]
        print(f"{ours} / {other}: {ratios[0]:.3f} at the median, {ratios[1]:.3f} at p99.9")
    ratios = []
    for _ in range(11):
        bare = fetchone_loop(con, 1_000_000)
        with instrumented(on, con):
            ratios.append(fetchone_loop(con, 1_000_000) / bare)
    print(f"fetchone loop over 1M rows, otel-duckdb / plain: {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
