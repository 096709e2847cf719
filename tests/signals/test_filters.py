"""Operations that the user does not want recorded leave nothing, and what follows them stays right."""

import duckdb
import pytest

from otel_duckdb import SettingError, contract


def texts(telemetry):
    return [span.attributes.get("db.query.text", span.name) for span in telemetry.spans()]


@pytest.fixture
def connection():
    return duckdb.connect()


def counted(telemetry, metric):
    return sum(point.value for point in telemetry.points(metric.name))


@pytest.mark.parametrize("patterns", [r"^\s*pragma; from health$", ["^ *PRAGMA", "from Health$"]])
def test_a_statement_that_a_pattern_matches_leaves_no_span_and_no_latency(telemetry, connection, patterns):
    telemetry.instrument(excluded_statements=patterns)
    connection.execute("create table health as select 1 as ok")
    connection.execute("pragma database_list").fetchall()
    assert connection.execute("select ok from health").fetchall() == [(1,)]
    assert connection.sql("select ok from health").fetchall() == [(1,)]
    connection.execute("select 2").fetchall()
    assert texts(telemetry) == ["create table health as select ? as ok", "select ?"]
    assert sum(point.count for point in telemetry.points(contract.QUERY_LATENCY.name)) == 2
    assert telemetry.faults() == 0


def test_patterns_come_from_the_environment(telemetry, connection, monkeypatch):
    monkeypatch.setenv("OTEL_DUCKDB_EXCLUDED_STATEMENTS", "select 1;select 2")
    telemetry.instrument()
    for number in (1, 2, 3):
        connection.execute(f"select {number}").fetchall()
    assert len(telemetry.spans()) == 1


@pytest.mark.parametrize("value", ["(", ["("], 7])
def test_a_bad_pattern_is_told_with_its_name_and_value(telemetry, value):
    with pytest.raises(SettingError, match=r"excluded_statements is .*regular expressions"):
        telemetry.instrument(excluded_statements=value)


def test_a_transaction_is_followed_through_refused_statements(telemetry, connection):
    telemetry.instrument(excluded_statements="^(begin|commit)")
    connection.execute("begin")
    connection.execute("create table t (i int)")
    connection.execute("commit")
    assert [span.name for span in telemetry.spans()] == ["CREATE TABLE t"]
    assert counted(telemetry, contract.TRANSACTION_SUCCESS) == 1


def test_a_refused_statement_takes_the_open_result_from_the_one_before(telemetry, connection):
    telemetry.instrument(excluded_statements="^pragma")
    connection.execute("select * from range(10)").fetchone()
    connection.execute("pragma database_list")
    assert texts(telemetry) == ["select * from range(?)"]
    assert telemetry.span().attributes["db.response.returned_rows"] == 1


def test_a_function_of_the_users_decides_in_code(telemetry, connection):
    telemetry.instrument(operation_filter=lambda operation: operation.statement.kind != "SELECT")
    connection.execute("create table t (i int)")
    connection.execute("select i from t").fetchall()
    assert [span.name for span in telemetry.spans()] == ["CREATE TABLE t"]


def test_a_function_that_raises_refuses_nothing_and_is_counted(telemetry, connection):
    telemetry.instrument(operation_filter=lambda operation: operation.missing)
    assert connection.execute("select 1").fetchall() == [(1,)]
    assert len(telemetry.spans()) == 1
    (point,) = [point for point in telemetry.points(contract.INTERNAL_ERRORS.name) if point.value]
    assert point.attributes == {contract.COMPONENT: "filter"}


def test_a_refused_statement_is_neither_logged_as_slow_nor_profiled(telemetry, connection, caplog):
    telemetry.instrument(excluded_statements="range", slow_threshold_ms=0, profile="all")
    for _ in range(3):
        connection.execute("select max(range) from range(100000)").fetchall()
    assert not [record for record in caplog.records if record.name == "otel_duckdb.slow_query"]
    assert not telemetry.spans()
