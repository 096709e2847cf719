"""`db.namespace` is the database that is the connection's current one when the operation begins, on every line."""

import duckdb
import pytest
from opentelemetry.instrumentation.utils import suppress_instrumentation

from otel_duckdb.core import current_database

NAMES = "attach ':memory:' as other; attach ':memory:' as \"We.ird\"; create schema mine; create schema other.theirs"
CURRENT = "select current_database()"
USES = [
    ["use other"],
    ["USE Other;"],
    ['use "other"'],
    ['use "We.ird"'],
    ["use 'other'"],
    ["use other.theirs"],
    ["use other.theirs", "use theirs"],
    ["use memory.mine"],
    ["use mine"],
    ["use other", "use memory"],
    ["use other", "use main"],
    ["set schema = 'other'"],
    ["set schema to 'other.theirs'"],
    ["set session schema = 'other'"],
    ["set search_path = 'other,memory'"],
    ["set search_path = 'memory.mine,other.theirs'"],
    ["pragma schema = 'other'"],
    ["use other", "reset schema"],
    ["use other", "reset search_path"],
    ["/* { */ use -- here\n other /* ; */"],
    ["use other; select 1; use memory"],
    ["attach ':memory:' as late; use late"],
    ["begin", "use other", "rollback"],
    ["attach if not exists ':memory:' as other", "use other"],
    ["attach ':memory:' as gone", "detach gone", "create schema gone", "use gone"],
]


@pytest.fixture
def con(heard):
    with duckdb.connect() as con:
        con.execute(NAMES)
        yield con


def current(con, heard):
    """What DuckDB says, and what the span says of the same statement."""
    ((name,),) = con.execute(CURRENT).fetchall()
    return name.lower(), heard.spans()[-1].attributes["db.namespace"].lower()


@pytest.mark.parametrize("way", ["execute", "sql"])
@pytest.mark.parametrize("statements", USES, ids="; ".join)
def test_a_use_is_followed(con, heard, statements, way):
    for statement in statements:
        getattr(con, way)(statement)
    said, told = current(con, heard)
    assert said == told


@pytest.mark.parametrize("statement", ["use nosuch", "use nosuch.main", "set schema = 'nosuch'", "use other.nosuch"])
def test_a_use_that_fails_is_not_followed(con, heard, statement):
    with pytest.raises(duckdb.Error):
        con.execute(statement)
    assert current(con, heard) == ("memory", "memory")


def test_the_next_use_is_followed_after_a_script_that_failed_beyond_its_own(con, heard):
    with pytest.raises(duckdb.Error):
        con.execute("select 1; use other; select nosuch")
    con.execute("use memory")
    assert current(con, heard) == ("memory", "memory")


@pytest.mark.parametrize("file", ["shop.db", ":memory:shop"])
def test_the_way_back_to_the_database_that_was_opened_is_followed(heard, tmp_path, file):
    own = "memory" if file.startswith(":") else "shop"
    with duckdb.connect(file if file.startswith(":") else tmp_path / file) as con:
        con.execute("attach ':memory:' as other")
        for name in ("other", own):
            con.execute(f"use {name}")
        con.execute("select 42").fetchall()
        assert heard.spans()[-1].attributes["db.namespace"] == "shop"


def test_a_database_whose_attaching_was_not_heard_is_followed_where_its_schema_is_named_too(heard):
    with duckdb.connect() as con:
        with suppress_instrumentation():
            con.execute("attach ':memory:' as unseen")
        con.execute("use unseen.main")
        assert current(con, heard) == ("unseen", "unseen")


def test_the_names_that_are_remembered_are_bounded(monkeypatch, con, heard):
    monkeypatch.setattr(current_database, "_MOST", 2)
    for number in range(3):
        con.execute(f"attach ':memory:' as late{number}")
    con.execute("use late2")
    assert current(con, heard) == ("late2", "late2")
    con.execute("use late0")  # forgotten, and it may be a schema
    assert current(con, heard) == ("late0", "late2")


def test_each_connection_and_cursor_has_its_own(con, heard):
    con.execute("use other")
    with con.cursor() as cursor:
        assert current(cursor, heard) == ("memory", "memory")
        cursor.execute('use "We.ird"')
        assert current(cursor, heard) == ("we.ird", "we.ird")
        assert current(con, heard) == ("other", "other")


def test_the_file_that_is_attached_without_a_name_has_that_of_its_file(con, heard, tmp_path):
    con.execute(f"attach '{tmp_path}/sales.v2.db'")
    con.execute("use sales")
    assert current(con, heard) == ("sales", "sales")


def test_the_points_of_metrics_follow_too(telemetry):
    telemetry.instrument(metric_detail="high")
    with duckdb.connect() as con:
        con.execute(NAMES)
        con.execute("use other")
        con.execute("select 42").fetchall()
        told = {
            point.attributes["db.namespace"]: point.attributes.get("db.query.summary")
            for point in telemetry.points("db.client.operation.duration")
            if point.attributes.get("db.query.summary") == "SELECT"
        }
    assert told == {"other": "SELECT"}


def test_a_name_that_may_be_one_of_a_schema_changes_nothing(heard):
    with duckdb.connect() as con:
        con.execute("create schema told")
        con.execute("use told")
        assert current(con, heard) == ("memory", "memory")
