"""What is an error of the program, and what only looks like one."""

import duckdb
import pytest
import sqlalchemy
from opentelemetry.trace import StatusCode

from otel_duckdb import contract

ROLLBACKS = {
    "method": lambda connection: connection.rollback(),
    "text": lambda connection: connection.execute("ROLLBACK"),
    "other word": lambda connection: connection.execute("abort transaction;"),
    "relation": lambda connection: connection.sql("rollback"),
    "cursor": lambda connection: connection.cursor().execute("/* to be sure */ rollback"),
}


def errors(telemetry):
    points = telemetry.points(contract.OPERATION_DURATION.name)
    return [point.attributes[contract.ERROR_TYPE] for point in points if contract.ERROR_TYPE in point.attributes]


@pytest.fixture
def connection(heard):
    with duckdb.connect() as connection:
        yield connection


@pytest.mark.parametrize("how", ROLLBACKS)
def test_a_rollback_without_a_transaction_raises_and_is_no_failure(heard, connection, how):
    with pytest.raises(duckdb.TransactionException, match="no transaction is active"):
        ROLLBACKS[how](connection)
    span = heard.span()
    assert span.status.status_code is StatusCode.UNSET
    assert span.events == ()
    assert contract.ERROR_TYPE not in span.attributes
    assert span.attributes[contract.DUCKDB_NO_TRANSACTION] is True
    assert errors(heard) == []


@pytest.mark.parametrize("text", ["commit", "rollback; select 1", "select nothing"])
def test_every_other_error_is_a_failure(heard, connection, text):
    with pytest.raises(duckdb.Error) as raised:
        connection.execute(text)
    assert heard.span().status.status_code is StatusCode.ERROR
    assert contract.DUCKDB_NO_TRANSACTION not in heard.span().attributes
    assert errors(heard) == [type(raised.value).__name__]


def test_a_rollback_of_a_closed_connection_is_a_failure(heard):
    connection = duckdb.connect()
    connection.close()
    with pytest.raises(duckdb.ConnectionException):
        connection.execute("rollback")
    assert errors(heard) == ["ConnectionException"]


def test_a_rollback_without_a_transaction_is_too_quick_for_a_span_where_those_are_left_out(telemetry):
    telemetry.instrument(min_duration_ms=10_000)
    with pytest.raises(duckdb.TransactionException):
        duckdb.connect().rollback()
    assert telemetry.spans() == []


def test_hooks_see_what_duckdb_raised(telemetry):
    seen = []
    telemetry.instrument(response_hook=lambda _span, operation: seen.append((operation.error, operation.failure)))
    with pytest.raises(duckdb.TransactionException) as raised:
        duckdb.connect().rollback()
    assert seen[-1] == (raised.value, None)


def test_a_healthy_program_of_sqlalchemy_has_no_errors(heard, tmp_path):
    engine = sqlalchemy.create_engine(f"duckdb:///{tmp_path / 'orders.db'}")
    for _ in range(3):
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("create or replace table orders as select 1 as id"))
        with engine.connect() as connection:
            assert connection.execute(sqlalchemy.text("select * from orders")).fetchall() == [(1,)]
    engine.dispose()
    assert [span.name for span in heard.spans() if span.status.status_code is StatusCode.ERROR] == []
    assert errors(heard) == []


SETS = "insert into t values (?)"
MIDWAY = {
    "executemany": (lambda con: con.executemany(SETS, [[1], [2], [1], [3]]), "BATCH INSERT t", 4, [1, 2]),
    "a script": (lambda con: con.execute("insert into t values (1); from nosuch; drop table t"), "BATCH", 3, [1]),
    "a script by sql": (lambda con: con.sql("insert into t values (1); from nosuch; drop table t"), "BATCH", 3, [1]),
}


@pytest.mark.parametrize("how", MIDWAY)
def test_what_fails_midway_is_one_operation_that_failed_once_and_what_came_before_it_stays(heard, connection, how):
    run, name, size, kept = MIDWAY[how]
    connection.execute("create table t (i integer primary key)")
    before = transactions(heard)
    heard.clear()
    with pytest.raises(duckdb.Error) as raised:
        run(connection)
    span = heard.span()
    assert (span.name, span.attributes[contract.DB_OPERATION_BATCH_SIZE]) == (name, size)
    assert errors(heard) == [span.attributes[contract.ERROR_TYPE]] == [type(raised.value).__name__]
    assert [count - known for count, known in zip(transactions(heard), before, strict=True)] == [0, 1]
    assert [row for (row,) in connection.execute("from t order by i").fetchall()] == kept


def transactions(telemetry):
    return [telemetry.value(f"duckdb_transaction_{end}_count") for end in ("success", "failure")]
