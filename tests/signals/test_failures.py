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
