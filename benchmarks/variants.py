"""The point query of the benchmarks: as it is, with telemetry by hand, with otel-duckdb, and with its peers."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from time import perf_counter_ns, sleep
from typing import TYPE_CHECKING, Any

import duckdb
from opentelemetry import trace
from opentelemetry.instrumentation.dbapi import instrument_connection
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler

from otel_duckdb import DuckDBInstrumentor, contract
from otel_duckdb.monitor import Monitor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Variant = Callable[[], AbstractContextManager[Callable[[int], Any]]]

QUERY = "SELECT id, price FROM trades WHERE id = ?"
ROWS = 50_000
AS_DBAPI = {"query_metrics": "semconv", "engine_metrics": False, "profile": "off", "repeated_threshold": 0}
"""Options with which otel-duckdb tells what the generic DB-API instrumentation tells."""


class Providers:
    """One tracer provider, and one meter provider with so many readers."""

    def __init__(self, sampler: Sampler, processor: SpanProcessor, readers: int = 1) -> None:
        self.tracer = TracerProvider(sampler=sampler)
        self.tracer.add_span_processor(processor)
        self.meter = MeterProvider([InMemoryMetricReader() for _ in range(readers)])


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
        self.run("SELECT trades", QUERY, lambda: con.execute(QUERY, [number]), con.fetchall)

    def run(self, summary: str, text: str, execute: Callable[[], Any], fetch: Callable[[], Any]) -> None:
        """Run any query in two calls inside a span, and record it; a result tells its rows by its length."""
        measured = {"db.system.name": "duckdb", "db.namespace": "memory", "db.query.summary": summary}
        attributes = {**measured, "db.query.text": text, "duckdb.query.type": "SELECT"}
        duration, rows, latency, by_table = self.histograms
        with self.tracer.start_as_current_span(summary, kind=trace.SpanKind.CLIENT, attributes=attributes) as span:
            start = perf_counter_ns()
            execute()
            middle = perf_counter_ns()
            result = fetch()
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
def instrumented(
    providers: Providers | None, con: duckdb.DuckDBPyConnection, **options: Any
) -> Iterator[Callable[[int], None]]:
    """The query while otel-duckdb is on, with these options."""
    if providers is not None:
        options = {"tracer_provider": providers.tracer, "meter_provider": providers.meter, **options}
    instrumentor = DuckDBInstrumentor()
    instrumentor.instrument(**options)
    try:
        yield lambda number: query(con, number)
    finally:
        instrumentor.uninstrument()


@contextmanager
def monitored(providers: Providers, con: duckdb.DuckDBPyConnection) -> Iterator[Callable[[int], None]]:
    """The query while otel-duckdb is on, and a monitor that takes no sample meanwhile."""
    with instrumented(providers, con) as run, Monitor(serve=False, interval_ms=3_600_000) as monitor:
        while monitor.status()["metrics"]["timestamp"] is None:
            sleep(0.01)
        yield run


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


@contextmanager
def beside_dbapi(providers: Providers, con: duckdb.DuckDBPyConnection) -> Iterator[Callable[[int], None]]:
    """The query through the generic DB-API instrumentation while otel-duckdb is on too."""
    with instrumented(providers, con), with_dbapi(providers, con) as run:
        yield run


def variants(processor: Callable[[], SpanProcessor]) -> dict[str, Variant]:
    """Every way to run the query, on one connection; `processor` makes what takes the spans."""
    con = connect()
    on, off, two = (
        Providers(ALWAYS_ON, processor()),
        Providers(ALWAYS_OFF, processor()),
        Providers(ALWAYS_ON, processor(), 2),
    )
    found: dict[str, Variant] = {
        "plain": partial(plain, con),
        "no SDK": partial(instrumented, None, con),
        "floor": partial(by_hand, Floor(on), con),
        "otel-duckdb": partial(instrumented, on, con),
        "otel-duckdb, monitored": partial(monitored, on, con),
        "otel-duckdb, batches of 32": partial(instrumented, on, con, metric_batch=32),
        "otel-duckdb, as much as dbapi tells": partial(instrumented, on, con, **AS_DBAPI),
        "floor, sampled out": partial(by_hand, Floor(off), con),
        "otel-duckdb, sampled out": partial(instrumented, off, con),
        "floor, two readers": partial(by_hand, Floor(two), con),
        "otel-duckdb, two readers": partial(instrumented, two, con),
        "dbapi": partial(with_dbapi, on, con),
        "otel-duckdb beside dbapi": partial(beside_dbapi, on, con),
    }
    if find_spec("duckdb_engine") and find_spec("opentelemetry.instrumentation.sqlalchemy"):
        for name, ours, theirs in (
            ("SQLAlchemy", False, False),
            ("SQLAlchemy, otel-duckdb", True, False),
            ("SQLAlchemy, its instrumentation", False, True),
            ("SQLAlchemy, both", True, True),
        ):
            through = import_module("through_sqlalchemy").through_sqlalchemy
            found[name] = partial(through, on, con, ours=ours, theirs=theirs)
    return found
