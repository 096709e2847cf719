"""An instrumented program lets go of a connection when it did before: by reference counting alone."""

from __future__ import annotations

import gc
import weakref

import duckdb
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

from otel_duckdb import DuckDBInstrumentor


@pytest.fixture(autouse=True)
def instrumented():
    instrumentor = DuckDBInstrumentor()
    instrumentor.instrument(tracer_provider=TracerProvider(), meter_provider=MeterProvider())
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    instrumentor.uninstrument()


def failing_call(con):
    con.execute("SELECT missing")


def failing_batch(con):
    con.execute("CREATE TABLE t (a INTEGER)")
    con.executemany("INSERT INTO t VALUES (?)", [["no number"]])


def failing_relation(con):
    con.sql("SELECT error('at the fetch') FROM range(3)").fetchall()


def failing_fetch(con):
    con.execute("SELECT CASE WHEN range = 999999 THEN error('late') END FROM range(1000000)").fetchall()


@pytest.mark.parametrize("fail", [failing_call, failing_batch, failing_relation, failing_fetch])
def test_a_failed_query_does_not_keep_its_connection_alive(fail):
    def program():
        con = duckdb.connect()
        with pytest.raises(duckdb.Error):
            fail(con)
        return weakref.ref(con)

    assert program()() is None
