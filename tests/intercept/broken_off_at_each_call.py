"""Ctrl-C comes in one call within our code after another: the connection is heard afterwards, and nothing is left open.

Python looks for signals where a function begins. (At each line would be more than can happen: where a `with` block ends
an exception would keep its lock.)
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import duckdb
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import otel_duckdb
from otel_duckdb import contract
from otel_duckdb.monitor import Monitor

logging.disable()
sys.unraisablehook = lambda _: None
HOME = Path(otel_duckdb.__file__).parent
SLOW = {"slow_threshold_ms": 0} if sys.argv[1:] == ["slow"] else {}
ROOMS = tuple(str(HOME / room) for room in ("intercept", "core", "signals", "monitor"))

provider, reader, spans = TracerProvider(), InMemoryMetricReader(), InMemorySpanExporter()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
otel_duckdb.DuckDBInstrumentor().instrument(
    meter_provider=MeterProvider([reader]), engine_metrics=False, profile="off", **SLOW
)


def working():
    """What the gauge of active queries tells, over all databases."""
    metrics = reader.get_metrics_data().resource_metrics[0].scope_metrics
    return sum(
        point.value
        for scope in metrics
        for metric in scope.metrics
        if metric.name == contract.ACTIVE_QUERIES
        for point in metric.data.data_points
    )


def program(connection):
    connection.execute("select 1").fetchall()
    connection.execute("insert into t values (1)")
    connection.execute("from t")
    while connection.fetchone():
        pass
    connection.execute("select 1")  # whose result is replaced
    if duckdb.__version__ < "2":
        connection.execute("from t").fetchall()
        connection.sql("from range(9)").fetchone()  # collected with its result too
    else:
        connection.fetchall()
    connection.sql("select 2").fetchall()
    with connection.cursor() as cursor:
        cursor.executemany("insert into t values (?)", [[2], [3]])
    duckdb.connect().execute("select 3")  # collected with its result, and what its end raises goes nowhere


def break_off_at(number, connection):
    left = [number]

    def tracer(frame, event, arg):
        if frame.f_code.co_filename.startswith(ROOMS):
            left[0] -= 1
            if left[0] == 0:
                sys.settrace(None)
                raise KeyboardInterrupt

    with trace.get_tracer("program").start_as_current_span("parent") as parent:
        sys.settrace(tracer)
        try:
            program(connection)
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
        assert trace.get_current_span() is parent or trace.get_current_span().get_span_context() == (
            parent.get_span_context()
        ), f"call {number}: {trace.get_current_span()} is current"
    return left[0] <= 0


def check(number, connection):
    assert not trace.get_current_span().get_span_context().is_valid, f"call {number}: a span is current"
    assert working() == 0, f"call {number}: {working()} queries are taken to run"
    spans.clear()
    connection.execute("select 42 as after").fetchall()
    connection.sql("select 43 as after").fetchall()
    heard = [span.attributes["db.query.text"] for span in spans.get_finished_spans()]
    heard = [text for text in heard if "after" in text]  # one before may end now, with its result
    assert len(heard) == 2, f"call {number}: heard is {heard}"


with Monitor(interval_ms=60_000, serve=False) as monitor:
    number, missed, database = 1, [], duckdb.connect()
    while True:
        connection = duckdb.connect() if SLOW else database.cursor()  # a database takes long to open
        connection.execute("create or replace table t (i int)")
        more = break_off_at(number, connection)
        try:
            check(number, connection)
            running = monitor.running()["operations"]
            assert not running, f"call {number}: {running} are taken to run"
        except AssertionError as wrong:
            missed.append(str(wrong))
        connection.close()
        if not more:
            break
        number += 1
print(number, "calls tried;", len(missed), "wrong", *missed[:20], sep="\n")  # noqa: T201 - a program
sys.exit(bool(missed))
