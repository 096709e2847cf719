"""`otel_duckdb.testing`: what users test their own telemetry with."""

import duckdb
import pytest

from otel_duckdb import DuckDBInstrumentor, SettingError
from otel_duckdb.testing import record_telemetry


def report(connection):
    return connection.execute("select sum(amount) from sales where day = '2026-01-01'").fetchall()


@pytest.fixture
def connection():
    with duckdb.connect() as made:
        made.execute("create table sales (day date, amount int)")
        yield made


def test_a_block_records_what_happens_in_it_and_nothing_else(connection):
    report(connection)
    with record_telemetry() as telemetry:
        report(connection)
    report(connection)
    assert telemetry.names() == ["SELECT sales"]
    assert telemetry.span().attributes["db.query.text"] == "select sum(amount) from sales where day = ?"
    assert telemetry.value("duckdb_select_latency_ms", table_name="sales") == 1
    assert telemetry.internal_errors() == 0
    assert not DuckDBInstrumentor().is_instrumented_by_opentelemetry


def test_a_result_that_is_open_at_the_end_is_recorded_with_what_was_read(connection):
    with record_telemetry() as telemetry:
        connection.execute("select * from range(10)").fetchmany(3)
    assert telemetry.span().attributes["db.response.returned_rows"] == 3


def test_gauges_are_read_inside_the_block(connection):
    with record_telemetry() as telemetry:
        kept = duckdb.connect()
        kept.execute("select 1")
        assert telemetry.value("duckdb_active_connections", database="memory") == 1
        assert telemetry.value("duckdb_memory_used_bytes", database="elsewhere") is None


def test_spans_are_found_by_name_and_forgotten_when_asked(connection):
    with record_telemetry() as telemetry:
        connection.execute("insert into sales values ('2026-01-01', 7)")
        report(connection)
        assert telemetry.span("INSERT sales").attributes["duckdb.query.type"] == "INSERT"
        assert len(telemetry.spans("SELECT sales")) == 1
        with pytest.raises(AssertionError, match=r"expected one span; ended have \['INSERT sales', 'SELECT sales'\]"):
            telemetry.span()
        telemetry.clear()
        assert not telemetry.spans()


def test_several_points_are_no_value(connection):
    with record_telemetry() as telemetry:
        connection.execute("insert into sales values ('2026-01-01', 7)")
        report(connection)
    with pytest.raises(AssertionError, match="2 points of duckdb_query_latency_ms have the labels"):
        telemetry.value("duckdb_query_latency_ms")


def test_options_are_those_of_instrument(connection):
    with record_telemetry(raw_query_text=True, slow_threshold_ms=0) as telemetry:
        report(connection)
    assert "2026-01-01" in telemetry.span().attributes["db.query.text"]
    assert [record.severity_text for record in telemetry.records()] == ["WARN"]
    with pytest.raises(SettingError, match="unknown option"), record_telemetry(nonsense=1):
        pass
    assert not DuckDBInstrumentor().is_instrumented_by_opentelemetry
