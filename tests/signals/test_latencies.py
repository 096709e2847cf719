"""Latencies are recorded with the attributes, buckets and exemplars that the contract names."""

from __future__ import annotations

import duckdb
import pytest

from otel_duckdb import DuckDBInstrumentor, contract
from otel_duckdb.settings import SettingError, Settings


@pytest.fixture
def connection(heard):
    connection = duckdb.connect()
    connection.execute("create table t (i int)")
    heard.clear()
    return connection


LATENCIES = (
    ("select * from t", contract.SELECT_LATENCY),
    ("insert into t values (1)", contract.INSERT_LATENCY),
    ("update t set i = 2", contract.UPDATE_LATENCY),
    ("delete from t", contract.DELETE_LATENCY),
)


@pytest.mark.parametrize(("text", "metric"), LATENCIES)
def test_each_statement_kind_has_a_latency_by_table(heard, connection, text, metric):
    connection.execute(text).fetchall()
    (point,) = heard.points(metric.name)
    assert point.attributes == {"table_name": "t"}
    assert point.explicit_bounds == metric.buckets
    assert point.count == 1
    kinds = {point.attributes["query_type"]: point for point in heard.points(contract.QUERY_LATENCY.name)}
    assert kinds[text.split()[0].upper()].sum == pytest.approx(point.sum)


def test_the_standard_duration_is_one_series_and_split_by_database_and_statement_where_asked(telemetry):
    for detail, split in (("low", {}), ("high", {"db.namespace": "memory", "db.query.summary": "SELECT t"})):
        telemetry.instrument(metric_detail=detail)
        connection = duckdb.connect()
        connection.execute("create table t (i int)")
        telemetry.clear()
        connection.execute("select * from t").fetchall()
        point = telemetry.points("db.client.operation.duration")[-1]
        assert point.attributes == {"db.system.name": "duckdb", **split}
        assert point.explicit_bounds == contract.OPERATION_DURATION.buckets
        rows = telemetry.points("db.client.response.returned_rows")[-1]
        assert rows.sum == 0
        assert rows.explicit_bounds == contract.RETURNED_ROWS.buckets
        DuckDBInstrumentor().uninstrument()


def test_a_failure_names_its_statement_whatever_the_detail(telemetry):
    telemetry.instrument()
    with pytest.raises(duckdb.CatalogException):
        duckdb.execute("select * from missing")
    (failed,) = (
        point for point in telemetry.points("db.client.operation.duration") if "error.type" in point.attributes
    )
    assert failed.attributes["db.query.summary"] == "SELECT missing"


def test_latencies_by_table_have_all_buckets_where_asked(telemetry):
    telemetry.instrument(metric_detail="high")
    duckdb.execute("select 1").fetchall()
    (point,) = telemetry.points(contract.SELECT_LATENCY.name)
    assert point.explicit_bounds == contract.LATENCY_MS_BUCKETS


def test_no_table_has_a_series_of_its_own_past_the_limit_that_is_set(telemetry):
    telemetry.instrument(metric_tables=1)
    for table in ("one", "two", "three"):
        with pytest.raises(duckdb.CatalogException):
            duckdb.execute(f"select * from {table}")
    names = {point.attributes["table_name"] for point in telemetry.points(contract.SELECT_LATENCY.name)}
    assert names == {"one", contract.OTHER}


def test_a_failure_is_recorded_with_its_class(heard, connection):
    with pytest.raises(duckdb.CatalogException):
        connection.execute("select * from missing")
    failed = [point for point in heard.points("db.client.operation.duration") if "error.type" in point.attributes]
    assert [point.attributes["error.type"] for point in failed] == ["CatalogException"]


def test_exemplars_lead_to_the_span(heard, connection):
    connection.execute("select * from t").fetchall()
    (point,) = heard.points(contract.SELECT_LATENCY.name)
    assert [exemplar.span_id for exemplar in point.exemplars] == [heard.span().context.span_id]


def test_tables_past_the_limit_are_one(heard, connection):
    for number in range(contract.TABLE_NAME_LIMIT + 5):
        with pytest.raises(duckdb.CatalogException):
            connection.execute(f"select * from absent_{number}")
    names = {point.attributes["table_name"] for point in heard.points(contract.SELECT_LATENCY.name)}
    assert len(names) <= contract.TABLE_NAME_LIMIT + 1
    assert contract.OTHER in names


def test_short_operations_leave_no_span_but_a_latency_and_failures_leave_both(telemetry):
    telemetry.instrument(min_duration_ms=60_000)
    connection = duckdb.connect()
    connection.execute("select 1").fetchall()
    with pytest.raises(duckdb.CatalogException):
        connection.execute("select * from missing")
    assert [span.attributes.get("error.type") for span in telemetry.spans()] == ["CatalogException"]
    assert sum(point.count for point in telemetry.points(contract.QUERY_LATENCY.name)) == 2


def test_long_operations_leave_a_span_of_their_true_time(telemetry):
    telemetry.instrument(min_duration_ms=0.001)
    with telemetry.tracer().start_as_current_span("program") as program:
        duckdb.connect().execute("select sum(i) from range(1000000) r(i)").fetchall()
    span = telemetry.span()
    assert span.parent.span_id == program.get_span_context().span_id
    assert program.start_time <= span.start_time < span.end_time <= program.end_time


def test_a_parent_can_be_required(telemetry):
    telemetry.instrument(require_parent=True)
    connection = duckdb.connect()
    connection.execute("select 1").fetchall()
    with telemetry.tracer().start_as_current_span("program"):
        connection.execute("select 2").fetchall()
    assert len(telemetry.spans()) == 1
    assert sum(point.count for point in telemetry.points(contract.QUERY_LATENCY.name)) == 2


FAMILIES = {
    "semconv": {"db.client.operation.duration"},
    "rows": {"db.client.response.returned_rows"},
    "duckdb": {contract.QUERY_LATENCY.name, contract.QUERIES_PER_SECOND.name},
    "tables": {contract.SELECT_LATENCY.name, contract.SELECT_PER_SECOND.name},
}


@pytest.mark.parametrize("kept", ["none", *FAMILIES, "semconv,tables", ",".join(FAMILIES)])
def test_only_the_families_of_metrics_that_are_asked_for_are_told_of_a_query(telemetry, kept):
    telemetry.instrument(query_metrics=kept)
    duckdb.sql("select 1").fetchall()
    duckdb.execute("select 1").fetchall()
    told = {name for names in FAMILIES.values() for name in names if telemetry.points(name)}
    assert told == set().union(*(FAMILIES[name] for name in kept.split(",") if name != "none"))
    assert "SELECT" in {span.attributes["duckdb.query.type"] for span in telemetry.spans()}


def test_a_failure_is_told_by_the_one_family_that_is_kept(telemetry):
    telemetry.instrument(query_metrics="semconv")
    with pytest.raises(duckdb.CatalogException):
        duckdb.execute("select * from missing")
    (point,) = (one for one in telemetry.points("db.client.operation.duration") if "error.type" in one.attributes)
    assert point.attributes["error.type"] == "CatalogException"


@pytest.mark.parametrize("value", ["everything", "semconv,latency", 1])
def test_a_family_of_metrics_that_is_not_known_is_refused(value):
    with pytest.raises(SettingError, match="semconv"):
        Settings.load({"query_metrics": value})
