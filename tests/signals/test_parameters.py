"""What parameters do to the text that is told, and what is told of them."""

from __future__ import annotations

import contextlib
import decimal

import duckdb
import numpy as np
import pandas as pd
import pytest
import sqlalchemy

from otel_duckdb import contract

SECRET = "hunter2"
TEXT = "select 'Jane 4111-1111' as card"
EMPTY = {
    "a list": lambda con: con.execute(TEXT, []),
    "a tuple": lambda con: con.execute(TEXT, ()),
    "a dict": lambda con: con.execute(TEXT, {}),
    "a keyword": lambda con: con.execute(TEXT, parameters=[]),
    "an array": lambda con: con.execute(TEXT, np.array([])),
    "a cursor": lambda con: con.cursor().execute(TEXT, []),
    "sql": lambda con: con.sql(TEXT, params=[]),
    "a statement": lambda con: con.execute(duckdb.extract_statements(TEXT)[0], []),
    "the module": lambda con: duckdb.execute(TEXT, [], connection=con),
}


@pytest.mark.parametrize("option", [False, True])
@pytest.mark.parametrize("name", EMPTY)
def test_a_literal_is_hidden_where_the_parameters_are_given_but_empty(telemetry, name, option):
    telemetry.instrument(parameterized_query_text=option)
    con = duckdb.connect()
    EMPTY[name](con).fetchall()
    assert telemetry.span().attributes["db.query.text"] == "select ? as card"
    assert telemetry.faults() == 0


def test_a_literal_is_hidden_in_a_batch_of_empty_sets(telemetry):
    telemetry.instrument()
    con = duckdb.connect()
    con.execute("create table t (a varchar)")
    con.executemany("insert into t values ('hunter2')", [[], []])
    assert telemetry.spans()[-1].attributes["db.query.text"] == "insert into t values (?)"


def test_a_literal_is_hidden_in_a_text_of_sqlalchemy(telemetry):
    telemetry.instrument()
    with sqlalchemy.create_engine("duckdb:///:memory:").connect() as con:
        con.execute(sqlalchemy.text("select 'hunter2', :key"), {"key": 5}).fetchall()
        con.execute(sqlalchemy.text("select 'hunter2'")).fetchall()
    assert not [span for span in telemetry.spans() if SECRET in span.to_json()]


MIXED = "select * from t where card = '4111' and id = ? -- note"


def test_a_literal_beside_a_placeholder_is_hidden_unless_the_user_asks(telemetry):
    telemetry.instrument()
    con = duckdb.connect()
    con.execute("create table t (card varchar, id int)")
    con.execute(MIXED, [1]).fetchall()
    assert telemetry.spans()[-1].attributes["db.query.text"] == "select * from t where card = ? and id = ?"


def test_a_text_with_placeholders_keeps_its_literals_where_the_user_asks(telemetry):
    telemetry.instrument(parameterized_query_text=True)
    con = duckdb.connect()
    con.execute("create table t (card varchar, id int)")
    con.execute(MIXED, [1]).fetchall()
    con.execute(MIXED, np.array([1], dtype=object)).fetchall()
    con.execute("select * from t where card = '4111'", {}).fetchall()
    kept, kept_too, hidden = [span.attributes["db.query.text"] for span in telemetry.spans()[1:]]
    assert (kept, kept_too, hidden) == (MIXED, MIXED, "select * from t where card = ?")
    assert telemetry.faults() == 0


def parameters_told(telemetry):
    prefix = "db.query.parameter."
    attributes = telemetry.spans()[-1].attributes
    return {key.removeprefix(prefix): value for key, value in attributes.items() if key.startswith(prefix)}


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ([7, None, "x"], {"0": "7", "1": "None", "2": "x"}),
        ((7,), {"0": "7"}),
        ({"a": 7}, {"a": "7"}),
        ({7: 8}.values(), {"0": "8"}),
        (pd.DataFrame({"a": [7], "b": [8]}, dtype=object).iloc[0], {"0": "7", "1": "8"}),
        ([[1, 2]], {"0": "[1, 2]"}),
        ([b"ab"], {"0": "b'ab'"}),
        (["https://me:hunter2@host/x"], {"0": "?"}),
    ],
)
def test_parameters_of_any_form_are_captured_where_the_user_asks(telemetry, parameters, told):
    telemetry.instrument(capture_parameters=True)
    keys = [f"${key}" for key in parameters] if isinstance(parameters, dict) else ["?"] * len(parameters)
    duckdb.connect().execute("select " + ", ".join(keys), parameters).fetchall()
    assert parameters_told(telemetry) == told
    assert telemetry.faults() == 0


class Unspeakable(int):
    """DuckDB takes it for a number; its text cannot be had."""

    def __str__(self):
        raise RuntimeError

    __repr__ = __str__


@pytest.mark.parametrize(
    "value",
    [
        b"x" * 5_000_000,
        "x" * 5_000_000,
        ["x" * 50_000] * 1000,
        [[[[1] * 100] * 100] * 10],
        {"a": "x" * 5_000_000},
        bytearray(b"\x00" * 100_000),
        10**5000,
        Unspeakable(5),
        decimal.Decimal(10) ** 5000,
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_captured_parameter_is_bounded(telemetry, value):
    telemetry.instrument(capture_parameters=True)
    with contextlib.suppress(Exception):  # some are no value to DuckDB
        duckdb.connect().execute("select ?", [value]).fetchall()
    (text,) = parameters_told(telemetry).values()
    assert 0 < len(text) <= contract.PARAMETER_LENGTH_LIMIT
    assert telemetry.faults() == 0


def test_as_many_parameters_are_captured_as_a_span_can_hold(telemetry):
    telemetry.instrument(capture_parameters=True)
    duckdb.connect().execute("select " + ", ".join("?" * 1000), range(1000)).fetchall()
    told = parameters_told(telemetry)
    assert len(told) == contract.PARAMETER_LIMIT
    assert telemetry.span().attributes["db.system.name"] == "duckdb"


@pytest.mark.parametrize("sets", [[[7]], ([7],), [(7,)], [{"a": 7}]])
def test_parameters_of_a_batch_of_one_are_its_values(telemetry, sets):
    telemetry.instrument(capture_parameters=True)
    con = duckdb.connect()
    con.execute("create table t (a int)")
    named = isinstance(sets[0], dict)
    con.executemany(f"insert into t values ({'$a' if named else '?'})", sets)
    assert parameters_told(telemetry) == {"a" if named else "0": "7"}
    con.executemany("insert into t values (?)", [[1], [2]])
    assert parameters_told(telemetry) == {}


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("select * from u where s = ? and 'password' = 'x'", [SECRET]),
        ("set variable token = ?", [SECRET]),
        ("attach ? as other", [f"postgres:password={SECRET}"]),
        ("select ?", [f"Bearer {SECRET}"]),
        ("select ?", [f"host=h password={SECRET}"]),
        ("select ?", [{"password": SECRET}]),
        ("select $a", {"a": ["a", f"token={SECRET}"]}),
        ("select $a", {"a": {"login": {"api_key": SECRET}}}),
    ],
)
def test_a_parameter_that_may_be_a_secret_is_never_captured(telemetry, text, parameters):
    telemetry.instrument(capture_parameters=True, raw_query_text=True)
    con = duckdb.connect()
    con.execute("set autoinstall_known_extensions = false; set autoload_known_extensions = false")
    con.execute("create table u (s varchar)")
    with contextlib.suppress(duckdb.Error):
        con.execute(text, parameters).fetchall()
    assert SECRET not in " ".join(parameters_told(telemetry).values())


def test_every_attribute_is_bounded_and_can_be_encoded(telemetry):
    telemetry.instrument(capture_parameters=True)
    con = duckdb.connect()
    name = "t" * 10_000
    con.execute(f"create table {name} (a int)")
    con.append(name, pd.DataFrame({"a": [1]}))
    con.execute(f"insert into {name} values (1)")
    with contextlib.suppress(Exception):
        con.append("half \ud800 a character", pd.DataFrame({"a": [1]}))
    with contextlib.suppress(Exception):
        con.execute(f"select ${'k' * 5000}", {"k" * 5000: "half \ud800"})
    for span in telemetry.spans():
        for key, value in {**span.attributes, "name": span.name}.items():
            assert len(key) < 300
            assert len(str(value).encode()) <= 4096 + 2
    for metric in (contract.INSERT_LATENCY, contract.OPERATION_DURATION):
        for point in telemetry.points(metric.name):
            assert all(len(str(value).encode()) < 300 for value in point.attributes.values())
