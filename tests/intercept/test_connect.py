"""Opening a database is an operation like any other."""

import gc
import subprocess
import sys
import time

import duckdb
import pytest
import wrapt
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.trace import SpanKind, StatusCode

from otel_duckdb import contract
from otel_duckdb.core.location import Location
from otel_duckdb.core.methods import Methods
from otel_duckdb.intercept.locate import locate

LEAVES_A_LOG = """
import os, sys, duckdb
connection = duckdb.connect(sys.argv[1])
connection.execute("set wal_autocheckpoint = '1TB'; pragma disable_checkpoint_on_shutdown")
connection.execute("create table t (a bigint, b varchar)")
for _ in range(40):
    connection.execute("insert into t select range, 'row ' || range from range(10000)")
os._exit(0)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "trades.db"


def durations(telemetry):
    points = telemetry.points(contract.OPERATION_DURATION.name)
    return {point.attributes.get(contract.DB_OPERATION_NAME): point for point in points}


@pytest.mark.parametrize("database", ["text", "path", "keyword"])
def test_it_has_a_span_and_a_latency_like_any_operation(heard, path, database):
    given = {"text": str(path), "path": path}.get(database)
    connection = duckdb.connect(database=str(path)) if given is None else duckdb.connect(given)
    span = heard.opening()
    assert (span.name, span.kind, span.status.status_code) == ("connect trades", SpanKind.CLIENT, StatusCode.UNSET)
    assert span.attributes[contract.DB_SYSTEM_NAME] == "duckdb"
    assert span.attributes[contract.DB_NAMESPACE] == "trades"
    assert span.attributes[contract.DB_OPERATION_NAME] == "connect"
    assert span.attributes[contract.DUCKDB_QUERY_TYPE] == "CONNECT"
    assert span.attributes[contract.DUCKDB_EXECUTE_TIME] > 0
    assert contract.DB_QUERY_TEXT not in span.attributes
    assert contract.DB_QUERY_SUMMARY not in span.attributes
    assert durations(heard)["connect"].count == 1
    (latency,) = heard.points(contract.QUERY_LATENCY.name)
    assert latency.attributes == {contract.QUERY_TYPE: "CONNECT"}
    assert latency.sum == pytest.approx(span.attributes[contract.DUCKDB_EXECUTE_TIME])
    (rate,) = heard.points(contract.QUERIES_PER_SECOND.name)
    assert rate.attributes == {contract.QUERY_TYPE: "CONNECT"}
    connection.close()


def test_a_database_in_memory_is_made_and_not_opened_unless_that_fails(heard):
    duckdb.connect().close()
    duckdb.connect("").close()
    duckdb.connect(":memory:cache").close()
    assert heard.openings() == []
    with pytest.raises(duckdb.Error):
        duckdb.connect(config={"no_such_option": 1})
    (span,) = heard.openings()
    assert (span.name, span.status.status_code) == ("connect memory", StatusCode.ERROR)
    assert span.end_time > span.start_time


def test_the_time_of_replaying_a_log_is_told(heard, path):
    subprocess.run([sys.executable, "-c", LEAVES_A_LOG, path], check=True)
    assert path.with_name("trades.db.wal").stat().st_size > 1_000_000
    began = time.perf_counter()
    connection = duckdb.connect(path)
    took = (time.perf_counter() - began) * 1000
    span = heard.opening()
    assert 0.5 * took < span.attributes[contract.DUCKDB_EXECUTE_TIME] <= took
    assert (span.end_time - span.start_time) / 1e6 == pytest.approx(took, rel=0.5)
    connection.close()


def test_its_error_is_told_and_raised_as_before(heard, tmp_path):
    missing = tmp_path / "nowhere" / "trades.db"
    with pytest.raises(duckdb.IOException, match="nowhere"):
        duckdb.connect(missing)
    span = heard.opening()
    assert span.name == "connect trades"
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes[contract.ERROR_TYPE] == "IOException"
    assert str(tmp_path) not in span.status.description
    assert durations(heard)["connect"].attributes[contract.ERROR_TYPE] == "IOException"
    assert [point.value for point in heard.points(contract.FAILED_CONNECTIONS.name) if point.value] == [1]


def test_secrets_of_the_address_and_the_configuration_are_not_told(heard):
    with pytest.raises(duckdb.Error):
        duckdb.connect("md:trades?motherduck_token=s3cr3t", config={"nothing": "s3cr3t", "memory_limit": "s3cr3t"})
    span = heard.opening()
    assert "s3cr3t" not in span.to_json()


def test_cursors_duplicates_and_the_default_connection_open_nothing(heard):
    connection = duckdb.connect()
    heard.clear()
    connection.cursor().duplicate()
    duckdb.connect(":default:")
    duckdb.execute("select 1").fetchall()
    assert heard.openings() == []


def test_the_span_is_current_and_a_child_of_the_caller_s(heard, path):
    with heard.tracer().start_as_current_span("start"):
        duckdb.connect(path).close()
    assert heard.opening().parent is not None


def test_it_is_silent_where_that_is_asked_and_the_connection_is_heard_all_the_same(heard, path):
    with suppress_instrumentation():
        connection = duckdb.connect(path)
    connection.execute("select 1").fetchall()
    assert heard.openings() == []
    assert heard.names() == ["SELECT"]


def test_it_leaves_no_span_where_it_is_short_or_has_no_parent(telemetry, path):
    telemetry.instrument(min_duration_ms=10_000, require_parent=True)
    duckdb.connect(path).close()
    assert telemetry.openings() == []
    assert durations(telemetry)["connect"].count == 1


def test_a_slow_one_is_logged_with_its_caller(telemetry, path, caplog):
    telemetry.instrument(slow_threshold_ms=0)
    duckdb.connect(path).close()
    (record,) = [record for record in caplog.records if record.name == "otel_duckdb.slow_query"]
    assert record.getMessage().startswith("slow query: connect trades took")
    assert __file__ in record.getMessage()


@pytest.mark.slow
def test_names_of_spans_stay_few_however_many_databases_are_opened(telemetry, tmp_path):
    telemetry.instrument(metric_detail="high")
    for number in range(contract.TABLE_NAME_LIMIT + 3):
        duckdb.connect(tmp_path / f"job-{number}.db").close()
    names = [span.name for span in telemetry.openings()]
    assert names[-4:] == [f"connect job-{contract.TABLE_NAME_LIMIT - 1}", "connect", "connect", "connect"]
    namespaces = {
        point.attributes[contract.DB_NAMESPACE] for point in telemetry.points(contract.OPERATION_DURATION.name)
    }
    assert len(namespaces) == contract.TABLE_NAME_LIMIT + 1
    assert contract.OTHER in namespaces


def test_an_error_of_it_keeps_nothing_alive(heard, tmp_path):
    class Path(type(tmp_path)):
        pass

    missing = Path(tmp_path / "nowhere" / "trades.db")
    with pytest.raises(duckdb.IOException):
        duckdb.connect(missing)
    del missing
    gc.collect()
    assert not [found for found in gc.get_objects() if type(found) is Path]


@pytest.mark.parametrize("first", ["theirs", "ours"])
def test_a_proxy_that_another_instrumentation_makes_of_it_is_one_connection(telemetry, monkeypatch, first, path):
    def wrap():
        original = duckdb.connect
        monkeypatch.setattr(duckdb, "connect", lambda *given, **named: wrapt.ObjectProxy(original(*given, **named)))

    if first == "theirs":
        wrap()
    telemetry.instrument(engine_metrics=True)
    if first == "ours":
        wrap()
    connection = duckdb.connect(str(path))
    assert type(connection) is wrapt.ObjectProxy
    connection.execute("SELECT 1").fetchall()
    assert telemetry.opening().name == "connect trades"
    assert [span.name for span in telemetry.spans()] == ["SELECT"]
    assert telemetry.value("duckdb_active_connections", database="trades") == 1
    assert telemetry.value("duckdb_memory_used_bytes", database="trades") is not None
    assert telemetry.faults() == 0
    if first == "ours":
        monkeypatch.undo()  # else it would put back what is ours
    telemetry.instrumentor.uninstrument()
    monkeypatch.undo()


class Foreign:
    """What a wrapper of somebody's returns that is no proxy."""

    def __init__(self, connection):
        self.connection = connection


def test_an_object_of_somebody_else_s_that_holds_it_is_no_connection_and_no_fault(telemetry, monkeypatch, path):
    original = duckdb.connect
    monkeypatch.setattr(duckdb, "connect", lambda *given: Foreign(original(*given)))
    telemetry.instrument(engine_metrics=True)
    held = duckdb.connect(str(path))
    held.connection.execute("SELECT 1").fetchall()
    assert telemetry.value("duckdb_active_connections", database="trades") == 1
    assert telemetry.faults() == 0
    telemetry.instrumentor.uninstrument()
    monkeypatch.undo()


def test_asking_where_a_connection_is_open_is_in_no_checkpoint_s_way(tmp_path):
    bare = Methods.of(duckdb.DuckDBPyConnection)
    cursors = []

    def begun(connection):
        cursors.append(bare.cursor(connection))
        bare.execute(cursors[-1], "begin")
        return cursors[-1]

    with duckdb.connect(tmp_path / "x.db") as con:
        con.execute("create table t as select 1 as a")
        asking = Methods(begun, bare.execute, bare.fetchall, close=lambda _: None)
        assert locate(con, asking) == Location("x", str(tmp_path / "x.db"))
        con.execute("create or replace table t as select 1 as a")
        con.execute("checkpoint")
    cursors[0].close()
