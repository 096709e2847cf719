"""What an instrumented program did arrives everywhere, under one name, and leads from one place to the other."""

from __future__ import annotations

import re
from typing import Any

import pytest

from otel_duckdb import contract
from stack import eventually

STATEMENTS = [
    "DELETE symbols",
    "INSERT symbols",
    "BATCH INSERT trades",
    "UPDATE trades",
    "SELECT trades symbols",
    "DELETE trades",
]


@pytest.fixture(scope="module")
def spans(stack, gateway):
    """The spans of the gateway's request, read back from Jaeger."""
    identity = gateway.request["trace_id"]
    found = eventually(lambda: stack.jaeger_probe.spans(identity), lambda seen: len(seen) > len(STATEMENTS))
    return sorted(found, key=lambda span: int(span["startTimeUnixNano"]))


def test_the_trace_in_jaeger_tells_what_the_program_did(spans, gateway):
    root, *statements = spans
    assert root["name"] == "POST /trades"
    assert [span["name"] for span in statements] == STATEMENTS
    assert {span["parentSpanId"] for span in statements} == {root["spanId"]}
    assert {span["attributes"][contract.DB_SYSTEM_NAME] for span in statements} == {contract.SYSTEM}
    assert {span["kind"] for span in statements} == {3}  # CLIENT
    select = statements[STATEMENTS.index("SELECT trades symbols")]
    assert select["attributes"][contract.DB_RESPONSE_RETURNED_ROWS] == gateway.request["rows"] == 2
    assert select["attributes"][contract.DB_NAMESPACE] == "trades"
    assert int(root["startTimeUnixNano"]) <= int(statements[0]["startTimeUnixNano"])
    assert int(statements[-1]["endTimeUnixNano"]) <= int(root["endTimeUnixNano"])


def test_the_same_spans_are_in_clickhouse(clickhouse, spans, gateway):
    query = """
        SELECT lower(hex(unhex(SpanId))), SpanName, Duration, SpanAttributes FROM otel_traces
        WHERE TraceId = {trace:String} ORDER BY Timestamp, SpanId"""
    trace = {"trace": gateway.request["trace_id"]}
    rows = eventually(lambda: clickhouse.query(query, trace).result_rows, lambda seen: len(seen) == len(spans))
    assert {(row[0], row[1], row[2]) for row in rows} == {
        (span["spanId"], span["name"], int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"])) for span in spans
    }
    attributes = next(row[3] for row in rows if row[1] == "BATCH INSERT trades")
    assert attributes[contract.DB_QUERY_TEXT] == "INSERT INTO trades VALUES (?, ?, ?)"


def test_an_exemplar_leads_from_a_latency_to_its_trace(stack, gateway):
    expression = f'{contract.QUERY_LATENCY.prometheus_name}_bucket{{job="{gateway.name}"}}'

    def exemplars_under_load() -> list[dict[str, Any]]:
        gateway.do("requests", count=5)  # the SDK sends an exemplar once, after the interval in which it was taken
        return stack.prometheus_probe.exemplars(expression)

    exemplars = eventually(exemplars_under_load)
    exemplar = exemplars[-1]["labels"]
    spans = eventually(lambda: stack.jaeger_probe.spans(exemplar["trace_id"]))
    assert exemplar["span_id"] in {span["spanId"] for span in spans}


def test_metrics_are_in_clickhouse_under_the_same_names(clickhouse, gateway):
    query = """
        SELECT Count, BucketCounts, ExplicitBounds FROM otel_metrics_histogram
        WHERE MetricName = {name:String} AND ServiceName = {service:String}"""
    select = {"name": contract.SELECT_LATENCY.name, "service": gateway.name}
    rows = eventually(lambda: clickhouse.query(query, select).result_rows)
    for count, buckets, bounds in rows:
        assert sum(buckets) == count > 0
        assert tuple(bounds) == contract.TABLE_LATENCY_MS_BUCKETS


def test_prometheus_has_every_metric_under_its_exact_name(stack, busy):
    def missing() -> set[str]:
        names = stack.prometheus_probe.names()
        told = set(contract.METRICS) - {contract.MONITOR_ACTIONS}  # only of a program whose monitor acts
        return {metric.name for metric in told if series(metric) not in names}

    eventually(missing, lambda names: not names)


def series(metric: contract.Metric) -> str:
    """The name of a series that a metric makes."""
    return metric.prometheus_name + ("_bucket" if metric.kind is contract.Kind.HISTOGRAM else "")


def test_nothing_is_appended_to_a_name(stack, busy):
    """A unit or `_total` behind the name would mean that rules and dashboards see nothing."""
    known = {metric.prometheus_name for metric in contract.METRICS}
    seen = {name for name in stack.prometheus_probe.names() if name.startswith("duckdb_")}
    assert {
        name for name in seen if re.sub("_(bucket|count|sum)$", "", name) not in known and name not in known
    } == set()


def test_no_fault_of_ours_was_counted(stack, busy):
    name = contract.INTERNAL_ERRORS.prometheus_name
    assert eventually(lambda: stack.prometheus_probe.query(name))
    assert stack.prometheus_probe.query(f"{name} > 0") == []
