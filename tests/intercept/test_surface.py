"""Every way a DuckDB program executes gives exactly one span, with the right name, parent, rows and end."""

from __future__ import annotations

import warnings

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind

LINE = tuple(int(part) for part in duckdb.__version__.split(".")[:2])
NEW, OLD = LINE >= (2, 0), LINE < (2, 0)
ROWS = 3000
ALL = f"select * from t where i < {ROWS}"


@pytest.fixture
def connection(heard):
    connection = duckdb.connect()
    connection.execute(f"create table t as select i from range({ROWS}) r(i); create table u (i int)")
    heard.clear()
    yield connection
    connection.close()
    duckdb.set_default_connection(duckdb.connect())


class Holder:
    def __init__(self, capsule):
        self.capsule = capsule

    def __arrow_c_stream__(self, requested_schema=None):
        return self.capsule


def executed(fetch):
    """The fetch, after an execute."""
    return lambda con: fetch(con.execute(ALL))


def asked(fetch):
    """The fetch, of a relation."""
    return lambda con: fetch(con.sql(ALL))


def drained(con):
    while con.fetchone() is not None:
        pass


def in_chunks(con):
    while con.fetchmany(700):
        pass


def in_frames(con):
    while len(con.fetch_df_chunk(1)):
        pass


def appended(con):
    with con.appender("u") as appender:
        for number in range(10):
            appender.append_row(number)


def query_appended(con):
    with con.query_appender("insert into u values (7)", {"i": "INTEGER"}) as appender:
        appender.append_row(1)


def prepared(con):
    return con.execute(con.extract_statements("select 42")[0]).fetchall()


def default(call):
    def run(con):
        duckdb.set_default_connection(con)
        return call(duckdb)

    return run


FETCHES = {
    "fetchall": lambda result: result.fetchall(),
    "fetchone": drained,
    "fetchmany": in_chunks,
    "fetchnumpy": lambda result: result.fetchnumpy(),
    "df": lambda result: result.df(),
    "fetchdf": lambda result: result.fetchdf(),
    "fetch_df_chunk": in_frames,
    "pl": lambda result: result.pl(),
    "arrow": lambda result: pa.table(result.arrow()),
    "fetch_arrow_table": lambda result: result.fetch_arrow_table(),
    "to_arrow_table": lambda result: result.to_arrow_table(),
    "fetch_record_batch": lambda result: result.fetch_record_batch().read_all(),
    "to_arrow_reader": lambda result: result.to_arrow_reader().read_all(),
    "fetch_arrow_reader": lambda result: result.fetch_arrow_reader(1000).read_all(),
    "record_batch": lambda result: result.record_batch().read_all(),
    "to_dicts": lambda result: result.to_dicts(),
    "iter_rows": lambda result: list(result.iter_rows()),
    "__arrow_c_stream__": lambda result: pa.table(Holder(result.__arrow_c_stream__())),
    "polars from the capsule": lambda result: pl.DataFrame(Holder(result.__arrow_c_stream__())),
}
WRITES = {
    "execute insert": (lambda con: con.execute("insert into u values (1)"), "INSERT u"),
    "execute update": (lambda con: con.execute("update u set i = 2"), "UPDATE u"),
    "execute delete": (lambda con: con.execute("delete from u"), "DELETE u"),
    "execute create": (lambda con: con.execute("create table made (i int)"), "CREATE TABLE made"),
    "execute script": (lambda con: con.execute("insert into u values (1); delete from u"), "BATCH"),
    "executemany": (lambda con: con.executemany("insert into u values (?)", [[1], [2]]), "BATCH INSERT u"),
    "sql insert": (lambda con: con.sql("insert into u values (1)"), "INSERT u"),
    "query create": (lambda con: con.query("create table made (i int)"), "CREATE TABLE made"),
    "from_query drop": (lambda con: con.from_query("drop table if exists made"), "DROP TABLE made"),
    "append": (lambda con: con.append("u", pd.DataFrame({"i": [1]})), "append u"),
    "appender": (appended, "appender u"),
    "begin": (lambda con: con.begin(), "BEGIN"),
    "checkpoint": (lambda con: con.checkpoint(), "CHECKPOINT"),
    "create": (lambda con: con.sql(ALL).create("made"), "CREATE TABLE made SELECT t"),
    "to_table": (lambda con: con.sql(ALL).to_table("made"), "CREATE TABLE made SELECT t"),
    "insert_into": (lambda con: con.sql("select i::int as i from t").insert_into("u"), "INSERT u SELECT t"),
    "insert": (lambda con: con.table("u").insert([5]), "INSERT u"),
    "update": (lambda con: con.table("u").update({"i": 3}), "UPDATE u"),
    "show": (lambda con: con.sql(ALL).show(), None),
    "repr": (lambda con: repr(con.sql(ALL)), None),
    "len": (lambda con: len(con.sql(ALL)), None),
    "shape": (lambda con: con.sql(ALL).shape, None),
    "explain": (lambda con: con.sql(ALL).explain(), None),
    "materialize": (lambda con: con.sql(ALL).materialize(), None),
    "preview": (lambda con: con.sql(ALL).preview(), None),
    "module execute": (default(lambda module: module.execute("insert into u values (1)")), "INSERT u"),
    "module sql": (default(lambda module: module.sql(ALL).fetchall()), "SELECT t"),
    "module query": (default(lambda module: module.query("insert into u values (1)")), "INSERT u"),
    "module executemany": (default(lambda module: module.executemany("insert into u values (?)", [[1]])), "INSERT u"),
    "module begin": (default(lambda module: module.begin()), "BEGIN"),
    "module checkpoint": (default(lambda module: module.checkpoint()), "CHECKPOINT"),
    "module append": (default(lambda module: module.append("u", pd.DataFrame({"i": [1]}))), "append u"),
    "module fetchall": (default(lambda module: module.execute(ALL).fetchall()), "SELECT t"),
    "module df": (default(lambda module: (module.execute(ALL), module.df())), "SELECT t"),
    "module connection": (lambda con: duckdb.execute("insert into u values (1)", connection=con), "INSERT u"),
    "statement object": (prepared, "SELECT"),
    "cursor": (lambda con: con.cursor().execute("insert into u values (1)"), "INSERT u"),
    "duplicate": (lambda con: con.duplicate().execute("insert into u values (1)"), "INSERT u"),
}
EXISTING = {
    name: case for name, case in WRITES.items() if " " in name or name in {"repr", "len", "cursor", "duplicate"}
}


def exists(name):
    return name in EXISTING or hasattr(duckdb.DuckDBPyConnection, name) or hasattr(duckdb.DuckDBPyRelation, name)


def run(heard, connection, call):
    """Run a call inside a span of the program, which is current again afterwards; returns DuckDB's only span."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with heard.tracer().start_as_current_span("program") as program:
            result = call(connection)
            assert trace.get_current_span() is program
    del result
    (span,) = heard.spans()
    assert span.parent.span_id == program.get_span_context().span_id
    assert span.kind is SpanKind.CLIENT
    assert span.end_time >= span.start_time
    return span


@pytest.mark.parametrize(
    "name", [name for name in FETCHES if hasattr(duckdb.DuckDBPyRelation, name) or (" " in name and OLD)]
)
def test_a_relation_drained_in_any_form_is_one_span_with_all_rows(heard, connection, name):
    span = run(heard, connection, asked(FETCHES[name]))
    assert span.name == "SELECT t"
    assert span.attributes["db.response.returned_rows"] == ROWS


@pytest.mark.parametrize("name", [name for name in FETCHES if hasattr(duckdb.DuckDBPyConnection, name)])
def test_an_executed_query_drained_in_any_form_is_one_span_with_all_rows(heard, connection, name):
    span = run(heard, connection, executed(FETCHES[name]))
    assert span.name == "SELECT t"
    assert span.attributes["db.namespace"] == "memory"
    assert span.attributes["db.response.returned_rows"] == ROWS
    assert span.attributes["duckdb.query.type"] == "SELECT"
    assert span.attributes["db.query.text"] == "select * from t where i < ?"


@pytest.mark.parametrize("name", [name for name in WRITES if exists(name)])
def test_any_other_execution_is_one_span(heard, connection, name):
    call, expected = WRITES[name]
    span = run(heard, connection, call)
    if expected is not None:
        # DuckDB names tables in its own way in the SQL it makes of a relation.
        name = span.name.replace('"', "").replace("main.", "").replace("SELECT SELECT", "SELECT")
        assert name == expected
    assert "error.type" not in span.attributes


@pytest.mark.skipif(OLD, reason="DuckDB 1 has no query_appender")
def test_a_query_appender_is_one_span(heard, connection):
    assert run(heard, connection, query_appended).name.startswith("INSERT u")


@pytest.mark.parametrize(
    "call",
    [
        lambda con: con.sql(ALL),
        lambda con: con.sql(ALL).filter("i > 3").limit(5).columns,
        lambda con: con.sql(ALL).types,
        lambda con: con.table("t"),
        lambda con: con.cursor().close(),
        lambda con: con.extract_statements("select 1"),
        lambda con: con.description,
        lambda con: con.sql(ALL).create_view("seen"),
    ],
)
def test_what_executes_nothing_is_no_span(heard, connection, call):
    call(connection)
    assert heard.spans() == []


def test_a_transaction_is_a_span_for_each_of_its_calls(heard, connection):
    connection.begin()
    connection.execute("insert into u values (1)")
    connection.commit()
    connection.begin()
    connection.rollback()
    assert heard.names() == ["BEGIN", "INSERT u", "COMMIT", "BEGIN", "ROLLBACK"]


def test_a_batch_carries_its_size(heard, connection):
    connection.executemany("insert into u values (?)", [[1], [2], [3]])
    assert heard.span().attributes["db.operation.batch.size"] == 3
    assert heard.span().name == heard.span().attributes["db.query.summary"] == "BATCH INSERT u"


def test_a_batch_that_cannot_be_counted_carries_no_size(heard, connection):
    connection.executemany("insert into u values (?)", ([number] for number in range(5)))
    assert "db.operation.batch.size" not in heard.span().attributes
    assert heard.span().name == "BATCH INSERT u"


def test_a_batch_of_one_is_an_operation_like_any(heard, connection):
    connection.executemany("insert into u values (?)", [[1]])
    connection.execute("insert into u values (1)")
    assert heard.names() == ["INSERT u", "INSERT u"]
    assert all("db.operation.batch.size" not in span.attributes for span in heard.spans())


def test_a_batch_without_any_set_carries_no_size(heard, connection):
    with pytest.raises(duckdb.InvalidInputException):
        connection.executemany("insert into u values (?)", [])
    assert "db.operation.batch.size" not in heard.span().attributes


def test_a_script_is_a_batch_of_its_statements(heard, connection):
    connection.execute("insert into u values (1); insert into u values (2); select 1").fetchall()
    assert heard.span().attributes["db.operation.batch.size"] == 3
    assert heard.span().name == "BATCH"


AFFECTED = [
    ("insert into u values (1), (2)", 2),
    ("update u set i = 5", 3),
    ("delete from u where false", 0),
    ("create table w as from range(4)", 4),
    ("create table w (i int)", None),
    ("insert into u values (1) returning i", None),
    ("select 1", None),
    ("begin", None),
]


@pytest.mark.parametrize(("text", "affected"), AFFECTED)
def test_rows_that_were_changed_are_told_where_duckdb_tells_them(heard, connection, text, affected):
    connection.execute("insert into u values (1), (2), (3)")
    heard.clear()
    connection.execute(text).fetchall()
    tells = not duckdb.__version__.startswith("1.")
    assert heard.span().attributes.get("duckdb.affected_rows") == (affected if tells else None)


def test_rows_that_a_batch_changed_are_told_where_duckdb_tells_them(heard, connection):
    connection.executemany("insert into u values (?)", [[1], [2], [3]])
    assert heard.span().attributes.get("duckdb.affected_rows") == (None if duckdb.__version__.startswith("1.") else 3)


def test_each_cursor_of_one_connection_has_an_operation_of_its_own(heard, connection):
    first, second = connection.cursor(), connection.cursor()
    first.execute("select 1 from t")
    second.execute("select i from t limit 2")
    first.fetchmany(3)
    second.fetchall()
    first.close()
    assert sorted(span.attributes["db.response.returned_rows"] for span in heard.spans()) == [2, 3]


def test_a_relation_run_twice_is_two_spans_where_it_runs_twice(heard, connection):
    relation = connection.sql(ALL)
    relation.fetchall()
    relation.df()
    assert len(heard.spans()) == 2
