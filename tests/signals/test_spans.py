"""What a span says beyond its name: the text as far as it may be long, sampled fetches, and files that were written."""

import duckdb
import pytest

from otel_duckdb import contract

LONG_LOOP = 5_000
"""Rows, of which most pass unmeasured in a loop of `fetchone`."""


def drained(connection):
    connection.execute(f"select * from range({LONG_LOOP})")
    rows = 0
    while connection.fetchone() is not None:
        rows += 1
    return rows


@pytest.mark.parametrize(
    ("limit", "shown"),
    [(0, None), (1, "…"), (12, "select i, i…"), (39, "select i, i + i, i * i from range(?) r(i)"[:38] + "…")],
)
def test_the_text_is_cut_at_the_limit_and_says_so(telemetry, limit, shown):
    telemetry.instrument(query_text_limit=limit)
    duckdb.connect().execute("select i, i + i, i * i from range(7) r(i)").fetchall()
    assert telemetry.span().attributes.get(contract.DB_QUERY_TEXT) == shown


def test_a_text_that_is_as_long_as_the_limit_is_whole(telemetry):
    text = "select i from range(?) r(i)"
    telemetry.instrument(query_text_limit=len(text))
    duckdb.connect().execute("select i from range(7) r(i)").fetchall()
    assert telemetry.span().attributes[contract.DB_QUERY_TEXT] == text


def test_a_long_loop_of_fetchone_says_that_its_time_is_sampled_and_counts_every_row(heard):
    assert drained(duckdb.connect()) == LONG_LOOP
    attributes = heard.span().attributes
    assert attributes[contract.DUCKDB_FETCH_SAMPLED] is True
    assert attributes[contract.DB_RESPONSE_RETURNED_ROWS] == LONG_LOOP


def test_a_short_loop_of_fetchone_is_measured_whole(heard):
    connection = duckdb.connect()
    connection.execute("select * from range(60)")
    while connection.fetchone() is not None:
        pass
    assert contract.DUCKDB_FETCH_SAMPLED not in heard.span().attributes


def a_function(connection):
    connection.create_function("twice", lambda number: 2 * number, ["BIGINT"], "BIGINT")


def a_file_system(connection):
    with pytest.raises(Exception):  # noqa: B017, PT011 - which error, is DuckDB's: the call alone counts
        connection.register_filesystem(None)


@pytest.mark.parametrize("register", [a_function, a_file_system])
def test_where_python_code_runs_inside_duckdb_every_fetch_is_measured(heard, register):
    connection = duckdb.connect()
    register(connection)
    heard.clear()
    assert drained(connection) == LONG_LOOP
    assert contract.DUCKDB_FETCH_SAMPLED not in heard.spans()[-1].attributes


@pytest.mark.parametrize("method", ["write_csv", "to_csv", "write_parquet", "to_parquet"])
def test_a_relation_that_writes_a_file_is_one_span_of_a_copy(heard, tmp_path, method):
    connection = duckdb.connect()
    connection.execute("create table t as select range as i from range(10)")
    heard.clear()
    getattr(connection.sql("select i from t"), method)(str(tmp_path / "file"))
    span = heard.span()
    assert span.attributes[contract.DUCKDB_QUERY_TYPE] == "COPY"
    assert span.name.endswith("t")
    assert str(tmp_path) not in str(dict(span.attributes))
