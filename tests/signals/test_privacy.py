"""What the user's values are never leaves the process, unless the user asks."""

from __future__ import annotations

import contextlib
import logging

import duckdb
import pandas as pd
import pytest

from otel_duckdb.core.errors import safe_message

SECRET = "hunter2"


def told(telemetry):
    """All the text that was exported."""
    spans = " ".join(span.to_json() for span in telemetry.exporter.get_finished_spans())
    data = telemetry.reader.get_metrics_data()
    return spans + ("" if data is None else data.to_json())


PROGRAMS = {
    "a literal": lambda con: con.execute(f"select '{SECRET}' as one").fetchall(),
    "a parameter": lambda con: con.execute("select ? as one", [SECRET]).fetchall(),
    "a named parameter": lambda con: con.execute("select $a as one", {"a": SECRET}).fetchall(),
    "a parameter of sql": lambda con: con.sql("select $a as one", params={"a": SECRET}).fetchall(),
    "a batch": lambda con: con.executemany("insert into u values (?)", [[SECRET], [SECRET]]),
    "a relation's filter": lambda con: con.sql("select * from u").filter(f"s = '{SECRET}'").fetchall(),
    "a relation's values": lambda con: con.table("u").insert([SECRET]),
    "a relation's update": lambda con: con.table("u").update({"s": duckdb.ConstantExpression(SECRET)}),
    "a comment": lambda con: con.execute(f"select 1 /* {SECRET} */").fetchall(),
    "a dollar quote": lambda con: con.execute(f"select $x${SECRET}$x$ as one").fetchall(),
    "a syntax error": lambda con: con.execute(f"selec '{SECRET}'"),
    "an unterminated string": lambda con: con.execute(f"select '{SECRET}"),
    "a conversion error": lambda con: con.execute(f"select '{SECRET}'::int").fetchall(),
    "a conversion error of data": lambda con: con.execute("select s::int from u").fetchall(),
    "a conversion error of a parameter": lambda con: con.execute("select ?::int", [SECRET]).fetchall(),
    "a constraint error": lambda con: con.execute("insert into p values (?)", [SECRET]),
    "a function error": lambda con: con.execute(f"select error('{SECRET}')").fetchall(),
    "a file name": lambda con: con.execute(f"select * from read_csv('/none/{SECRET}.csv')").fetchall(),
    "a reader's error": lambda con: con.sql("select s::int from u").arrow().read_all(),
    "attach": lambda con: con.execute(f"attach 'postgres:password={SECRET}' as other"),
    "an address": lambda con: con.execute(f"attach 'https://me:{SECRET}@127.0.0.1:1/x.db' as other"),
    "set": lambda con: con.execute(f"set s3_secret_access_key = '{SECRET}'"),
    "create secret": lambda con: con.execute(f"create secret given (type s3, secret '{SECRET}')"),
    "connect": lambda con: duckdb.connect(f"/none/{SECRET}/file.db"),
}
PASSWORDS = ("attach", "an address", "set", "create secret")


def run(telemetry, name):
    connection = duckdb.connect()
    connection.execute("set autoinstall_known_extensions = false; set autoload_known_extensions = false")
    connection.execute("create table u (s varchar); create table p (k varchar primary key)")
    connection.execute("insert into u values (?)", [SECRET])
    connection.execute("insert into p values (?)", [SECRET])
    telemetry.clear()
    with contextlib.suppress(duckdb.Error, OSError, RuntimeError):
        PROGRAMS[name](connection)
    connection.close()
    return told(telemetry)


@pytest.mark.parametrize("name", PROGRAMS)
def test_no_value_of_the_user_is_told(telemetry, name):
    telemetry.instrument()
    assert SECRET not in run(telemetry, name)


@pytest.mark.parametrize("name", PASSWORDS)
def test_no_password_is_told_even_with_raw_text_and_parameters(telemetry, name):
    telemetry.instrument(raw_query_text=True, capture_parameters=True)
    assert SECRET not in run(telemetry, name)


def test_parameters_are_told_where_the_user_asks(telemetry):
    telemetry.instrument(capture_parameters=True)
    duckdb.connect().execute("select ?, ?", [SECRET, 5]).fetchall()
    duckdb.connect().execute("select $key", {"key": SECRET}).fetchall()
    first, second = telemetry.spans()
    assert first.attributes["db.query.parameter.0"] == SECRET
    assert first.attributes["db.query.parameter.1"] == "5"
    assert second.attributes["db.query.parameter.key"] == SECRET


def test_the_raw_text_is_told_where_the_user_asks(telemetry):
    telemetry.instrument(raw_query_text=True)
    duckdb.connect().execute(f"select '{SECRET}'").fetchall()
    assert telemetry.span().attributes["db.query.text"] == f"select '{SECRET}'"


AWKWARD = {
    "an apostrophe": "O'Brien {}",
    "two apostrophes": "''{}",
    "a double quote": 'a "{}',
    "both quotes": "'\"' {} \"'\"",
    "lines": "a\n\n{}\n",
    "an excerpt": "a\n\nLINE 1: {}\n  ^",
    "an error": "x\nError: Binder Error: {} Error: {}",
    "a fixed word of a message": "' to INT32 when casting from source column {}",
    "an address": "https://{}:{}@host/{}?{}={}",
}
FAILING = {
    "a literal": lambda con, value: con.execute(f"select '{value.replace(chr(39), chr(39) * 2)}'::int").fetchall(),
    "a parameter": lambda con, value: con.execute("select ?::int", [value]).fetchall(),
    "a row": lambda con, value: con.execute("insert into n values (?)", [value]),
    "data": lambda con, value: con.execute("select v::date from (values (?)) t(v)", [value]).fetchall(),
    "a key": lambda con, value: con.execute("insert into p values (?), (?)", [value, value]),
    "JSON": lambda con, value: con.execute("select (chr(123) || ?)::json", [value]).fetchall(),
    "error()": lambda con, value: con.execute("select error(?)", [value]).fetchall(),
    "a function": lambda con, value: con.execute("select raises(?)", [value]).fetchall(),
    "a reader": lambda con, value: con.execute("select v::int from (values (?)) t(v)", [value]).fetch_df(),
    "a pivot": lambda con, value: con.execute("select hunte from (pivot u on s using count(*))").fetchall(),
    "a file": lambda con, value: con.execute("from read_csv(?)", [f"/none/{value}"]).fetchall(),
}
NAMES = (
    *(
        "select * from 'hunter2/file.parqet'",
        "pragma table_info('hunter2')",
        "select nextval('hunter2')",
        "set schema='hunter2'",
    ),
    *("select * from query_table('hunter2')", "select current_setting('hunter2')", "set default_collation='hunter2'"),
    *("select ({'a': 1})['hunter2']", "select columns('hunter2') from u", "select list_aggregate([1], 'hunter2')"),
    *("copy (select 1 a) to 'x' (format parquet, partition_by ('hunter2'))", "select from_json('{}', '[\"hunter2\"]')"),
    *(
        "select struct_extract({'hunter2': 1}, 'b')",
        "attach ':memory:' as u2; use 'hunter2'",
        "select 1 collate 'hunter2'",
    ),
)


def raises(value):
    raise ValueError(value)


class SpeechlessError(Exception):
    def __str__(self):
        raise RuntimeError


@contextlib.contextmanager
def prepared():
    """A database with what the failing statements name."""
    with duckdb.connect() as connection:
        connection.create_function("raises", raises, ["VARCHAR"], "VARCHAR")
        connection.execute("create table n (i int); create table u (s varchar); create table p (k varchar primary key)")
        connection.execute("insert into u values (?)", [f"{SECRET} patient"])
        yield connection


def failed(telemetry, database, run):
    """The span of what fails on a connection to that database."""
    telemetry.clear()
    with database.cursor() as connection, pytest.raises(duckdb.Error):
        run(connection)
    return telemetry.spans()[-1]


def failing(telemetry, run):
    with prepared() as database:
        return failed(telemetry, database, run)


@pytest.mark.parametrize("kind", AWKWARD)
def test_no_value_is_told_in_an_error_whatever_it_holds(heard, kind):
    value = AWKWARD[kind].replace("{}", SECRET)
    with prepared() as database:
        for name, fail in FAILING.items():
            span = failed(heard, database, lambda connection, fail=fail: fail(connection, value))
            assert span.status.description, name
            assert SECRET not in told(heard), name


@pytest.mark.parametrize("text", NAMES)
def test_a_string_that_duckdb_takes_for_a_name_is_a_value_in_its_error(heard, text):
    failing(heard, lambda connection: connection.execute(text).fetchall())
    assert SECRET not in told(heard)


def test_the_names_of_the_statement_stay_in_an_error(heard):
    span = failing(heard, lambda connection: connection.execute("select surname from u"))
    assert 'Referenced column "surname" not found in FROM clause!' in span.status.description
    span = failing(heard, lambda connection: connection.append("no_table", pd.DataFrame({"a": [1]})))
    assert "no_table" in span.status.description


def test_the_class_of_an_error_is_none_that_a_value_spells(heard):
    text = f"x\nError: {SECRET} Error: a"
    span = failing(heard, lambda connection: connection.execute("select error(?)", [text]).fetchall())
    assert span.attributes["error.type"] == "InvalidInputException"
    assert SECRET not in told(heard)


def test_raw_messages_are_bounded(telemetry):
    telemetry.instrument(raw_query_text=True)
    span = failing(
        telemetry, lambda connection: connection.execute("select repeat(chr(10) || 'a-', 500000)::int").fetchall()
    )
    assert len(span.status.description) <= 4096
    assert max(len(value) for value in span.events[0].attributes.values()) <= 32_768


def test_an_exception_that_has_no_text_is_told_by_its_class():
    assert safe_message(SpeechlessError()) == "SpeechlessError"


def test_no_message_of_a_failing_hook_is_logged(telemetry, caplog):
    def hook(span, operation):
        try:
            raises(operation.text)
        except ValueError as error:
            raise RuntimeError(SECRET) from error

    telemetry.instrument(request_hook=hook)
    with caplog.at_level(logging.DEBUG):
        duckdb.connect().execute(f"select '{SECRET}'").fetchall()
    assert "hook failed inside the instrumentation (RuntimeError)" in caplog.text
    assert f'File "{__file__}"' in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize("name", ["/home/hunter2/flights.parquet", "s3://bucket/hunter2", "hunter2.csv"])
def test_a_file_that_append_is_given_for_a_table_is_not_told(telemetry, name):
    telemetry.instrument()
    con = duckdb.connect()
    with contextlib.suppress(duckdb.Error):
        con.append(name, pd.DataFrame({"a": [1]}))
    assert telemetry.span().name == "append"
    assert SECRET not in told(telemetry)
