"""One instrumentation at a time, whoever begins one beside another."""

import threading

import duckdb
import pytest

from otel_duckdb import DuckDBInstrumentor
from otel_duckdb.settings import SettingError

ORIGINALS = duckdb.connect, duckdb.execute, duckdb.DuckDBPyConnection.execute


def originals():
    return duckdb.connect, duckdb.execute, duckdb.DuckDBPyConnection.execute


def test_instrument_after_instrument_connection_records_each_operation_once(telemetry):
    instrumentor, connection = DuckDBInstrumentor(), duckdb.connect()
    instrumentor.instrument_connection(connection, tracer_provider=telemetry.tracer_provider)
    open_result = connection.execute("SELECT 1 FROM range(10)")
    open_result.fetchone()
    telemetry.instrument()
    open_result.fetchall()
    assert telemetry.names() == ["SELECT"]
    connection.execute("SELECT 2").fetchall()
    duckdb.execute("SELECT 3").fetchall()
    assert telemetry.names() == ["SELECT"] * 3
    instrumentor.uninstrument()
    connection.execute("SELECT 4").fetchall()
    assert telemetry.names() == ["SELECT"] * 3
    assert originals() == ORIGINALS


def test_a_refused_option_of_instrument_leaves_an_instrumented_connection_as_it_is(telemetry):
    instrumentor, connection = DuckDBInstrumentor(), duckdb.connect()
    instrumentor.instrument_connection(connection, tracer_provider=telemetry.tracer_provider)
    with pytest.raises(SettingError):
        instrumentor.instrument(query_text_limit=-1)
    connection.execute("SELECT 1").fetchall()
    assert telemetry.names() == ["SELECT"]
    instrumentor.uninstrument_connection(connection)
    assert originals() == ORIGINALS


def test_threads_that_instrument_and_uninstrument_at_once_leave_nothing_behind(telemetry):
    instrumentor, connection, faults = DuckDBInstrumentor(), duckdb.connect(), []

    def work():
        try:
            for _ in range(10):
                telemetry.instrument()
                instrumentor.instrument_connection(connection)
                connection.cursor().execute("SELECT 1").fetchall()
                instrumentor.uninstrument_connection(connection)
                instrumentor.uninstrument()
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()
    instrumentor.uninstrument_connection(connection)
    assert faults == []
    assert originals() == ORIGINALS
    assert telemetry.faults() == 0
