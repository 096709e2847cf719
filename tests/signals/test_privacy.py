"""What the user's values are never leaves the process, unless the user asks."""

from __future__ import annotations

import contextlib

import duckdb
import pytest

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
