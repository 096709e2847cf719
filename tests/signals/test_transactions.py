"""Successes, failures and the latency of transactions, as programs and SQLAlchemy make them."""

import gc
import subprocess
import sys
import time

import duckdb
import pytest
import sqlalchemy
import sqlalchemy.exc

from otel_duckdb import contract


@pytest.fixture
def connection(instrumented, path):
    with duckdb.connect(path) as connection:
        connection.execute("create table kept (key integer primary key)")
        yield connection


@pytest.fixture
def transactions(instrumented, connection):
    """What the transactions of a block were counted as: successes and failures."""
    before = counted(instrumented)

    def since():
        return tuple(now - then for now, then in zip(counted(instrumented), before, strict=True))

    return since


def counted(instrumented):
    metrics = contract.TRANSACTION_SUCCESS, contract.TRANSACTION_FAILURE
    return tuple(instrumented.read(metric, database="trades") for metric in metrics)


def test_a_database_starts_with_no_transactions(instrumented, path):
    with duckdb.connect(path):
        assert counted(instrumented) == (0, 0)


@pytest.mark.slow
def test_transactions_of_more_databases_than_a_label_may_name_are_all_counted(instrumented):
    def told():
        points = instrumented.by_labels(contract.TRANSACTION_SUCCESS)
        return {dict(labels)[contract.DATABASE]: point.value for labels, point in points.items()}

    extra = 5
    for number in range(contract.TABLE_NAME_LIMIT + extra):
        with duckdb.connect(f":memory:job-{number}") as connection:
            connection.execute("create table t (a int)")
    found = told()
    assert found.pop(contract.OTHER) == extra
    assert found == {f"job-{number}": 1 for number in range(extra, contract.TABLE_NAME_LIMIT + extra)}
    with duckdb.connect(":memory:last") as connection:
        connection.execute("create table t (a int)")
    found = told()
    assert found.pop(contract.OTHER) == extra  # what was told before is not told again
    assert "last" in found
    assert f"job-{extra}" not in found


def test_transactions_are_counted_by_method_and_by_text(connection, transactions):
    connection.begin()
    connection.execute("insert into kept values (1)")
    connection.commit()
    connection.execute("/* a script */ BEGIN TRANSACTION; insert into kept values (2); -- more\n End;")
    connection.sql("begin")
    connection.sql("abort")
    assert transactions() == (2, 0)


def test_read_only_units_of_work_are_neither_successes_nor_failures_and_have_a_latency(
    instrumented, connection, transactions
):
    for _ in range(20):
        connection.begin()
        connection.execute("select * from kept").fetchall()
        connection.rollback()
    cursor = connection.cursor()
    cursor.begin()
    cursor.sql("from kept").fetchall()
    cursor.close()
    assert transactions() == (0, 0)
    assert instrumented.read(contract.TRANSACTION_LATENCY, database="trades") > 0


def test_units_of_work_of_sqlalchemy_fail_only_where_changes_are_lost(instrumented, path):
    engine = sqlalchemy.create_engine(f"duckdb:///{path}")
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("create table kept (key integer primary key)"))
    before = counted(instrumented)
    for _ in range(20):
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("select * from kept")).fetchall()
    assert counted(instrumented) == before
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("insert into kept values (1)"))
    with pytest.raises(sqlalchemy.exc.SQLAlchemyError), engine.begin() as connection:
        connection.execute(sqlalchemy.text("insert into kept values (2), (2)"))
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("select * from kept")).fetchall()
    assert counted(instrumented) == (before[0] + 1, before[1] + 2)
    engine.dispose()


def test_autocommitted_writes_are_counted_however_they_are_made(connection, transactions, tmp_path):
    connection.execute("insert into kept values (1)")
    connection.executemany("insert into kept values (?)", [[2], [3], [4]])
    connection.sql("select 5 as key").insert_into("kept")
    connection.execute("insert into kept values (6) returning key").fetchall()
    connection.execute("insert into kept values (7); delete from kept where key = 7")
    connection.execute(f"copy kept to '{tmp_path / 'kept.csv'}'")
    connection.execute("delete from kept")
    connection.execute(f"copy kept from '{tmp_path / 'kept.csv'}'")
    connection.sql("select count(*) from kept").fetchall()
    assert connection.execute("select count(*) from kept").fetchone() == (6,)
    assert transactions() == (10, 0)


def test_a_commit_of_an_aborted_transaction_is_a_failure(connection, transactions):
    connection.begin()
    connection.execute("insert into kept values (1)")
    with pytest.raises(duckdb.ConstraintException):
        connection.execute("insert into kept values (1)")
    connection.commit()
    assert transactions() == (0, 1)
    assert connection.execute("select count(*) from kept").fetchone() == (0,)


def test_a_query_that_cannot_be_bound_by_sql_aborts_nothing(connection, transactions):
    connection.begin()
    connection.execute("insert into kept values (1)")
    with pytest.raises(duckdb.BinderException):
        connection.sql("select nothing from kept")
    connection.commit()
    assert transactions() == (1, 0)
    assert connection.execute("select count(*) from kept").fetchone() == (1,)


def test_a_conflict_is_a_failure(connection, transactions):
    with connection.cursor() as rival:
        connection.begin()
        rival.begin()
        connection.execute("insert into kept values (1)")
        rival.execute("insert into kept values (1)")
        rival.commit()
        with pytest.raises(duckdb.TransactionException):
            connection.commit()
    assert transactions() == (1, 1)


@pytest.mark.parametrize("how", ["close", "del", "parent"])
def test_an_open_transaction_that_is_dropped_is_a_failure(connection, transactions, how):
    cursor = connection.cursor()
    other = cursor.cursor() if how == "parent" else cursor
    other.begin()
    other.execute("insert into kept values (1)")
    if how != "del":
        cursor.close()
    del cursor, other
    gc.collect()
    connection.execute("select 1")
    assert transactions() == (0, 1)


def test_the_latency_of_transactions_is_their_average(instrumented, connection):
    connection.begin()
    connection.execute("insert into kept values (1)")
    time.sleep(0.2)
    connection.commit()
    created, explicit = 2, instrumented.read(contract.TRANSACTION_LATENCY, database="trades")
    assert 200 / created < explicit < 2000


def test_the_end_of_the_instrumentation_is_not_the_end_of_a_transaction(instrument, path):
    instrumented = instrument()
    connection = duckdb.connect(path)
    connection.begin()
    instrumented.uninstrument()
    instrumented.instrument()
    connection.commit()  # of a transaction whose beginning was not heard
    assert counted(instrumented) == (0, 0)
    connection.close()


def test_a_transaction_open_at_the_end_of_the_process_is_a_failure(path):
    program = f"""
import atexit, duckdb
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
reader = InMemoryMetricReader()
def tell():
    for resource in reader.get_metrics_data().resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                if metric.name == {contract.TRANSACTION_FAILURE.name!r}:
                    print([point.value for point in metric.data.data_points])
atexit.register(tell)
from otel_duckdb.instrumentor import DuckDBInstrumentor
DuckDBInstrumentor().instrument(meter_provider=MeterProvider([reader]))
connection = duckdb.connect({str(path)!r})
connection.begin()
connection.execute("create table lost (a int)")
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[1]"
