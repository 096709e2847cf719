"""Every query of every dashboard is valid, and finds what an instrumented program sent."""

from __future__ import annotations

import json
import math
import re
import time

import pytest

from stack import eventually
from stack.panels import DASHBOARDS, as_prometheus_gets_it, that_ask


def targets(key: str) -> list[object]:
    """Each query of one kind, with the panel it is in as the name of its test."""
    return [
        pytest.param(target[key], id=f"{name}: {panel['title']} {number}")
        for name, dashboard in DASHBOARDS.items()
        for panel in dashboard["panels"]
        for number, target in enumerate(panel.get("targets", ()))
        if target.get(key)
    ]


def as_clickhouse_gets_it(query: str) -> str:
    """A query with the plugin's macros filled in, for the last hour."""
    query = re.sub(r"\$__timeFilter\((\w+)\)", r"\1 > now() - INTERVAL 1 HOUR", query)
    query = re.sub(r"\$__timeInterval\((\w+)\)", r"toStartOfInterval(toDateTime(\1), INTERVAL 1 SECOND)", query)
    query = re.sub(r"\$\{(\w+)(:\w+)?\}", ".*", query)
    return re.sub(r"\$(?!__)\w+", ".*", query)


TROUBLE = ("_enqueue_failed_", "_send_failed_", "_sender_limit_dropped_", 'error_type!=""}[', "_monitor_actions")
"""What is in an expression on what was lost, or on trouble that was acted on: without any it finds nothing."""


@pytest.mark.parametrize("expression", targets("expr"))
def test_an_expression_finds_numbers(stack, busy, expression):
    query = as_prometheus_gets_it(expression)
    assert "$" not in query
    if any(part in expression for part in TROUBLE) and "otel" in expression:
        assert stack.prometheus_probe.query(query) == []
        return

    def numbers() -> list[float]:
        return [
            float(value)
            for series in stack.prometheus_probe.range(query, time.time() - 600)
            for _, value in series["values"]
            if not math.isnan(float(value))
        ]

    eventually(numbers, within=30)


VARIABLES_OF = {
    name: [one["name"] for one in dashboard["templating"]["list"] if one["type"] == "query"]
    for name, dashboard in DASHBOARDS.items()
    if name not in ("history", "pipeline")
}


@pytest.mark.parametrize(
    ("name", "variable"), [(name, variable) for name, names in VARIABLES_OF.items() for variable in names]
)
def test_every_panel_still_shows_data_when_a_variable_chooses_one_value(stack, busy, name, variable):
    """The value of the series that has them all: of the busy program, its process, its DuckDB instance and database."""
    (chosen,) = eventually(
        lambda: stack.prometheus_probe.query(f'duckdb_sync_success_count{{job="{busy.name}"}}'),
        lambda seen: len(seen) == 1,
    )
    value = chosen["metric"][variable]

    def empty() -> list[str]:
        asked = [(title, as_prometheus_gets_it(each, {variable: value})) for title, each in that_ask(name, variable)]
        return [
            f"{title}: {query}" for title, query in asked if not stack.prometheus_probe.range(query, time.time() - 600)
        ]

    eventually(empty, lambda found: not found, within=40)


@pytest.mark.parametrize("query", targets("rawSql"))
def test_a_query_of_history_finds_rows(clickhouse, busy, query):
    eventually(lambda: clickhouse.query(as_clickhouse_gets_it(query)).result_rows, within=30)


def test_the_dashboards_ask_only_sources_that_are_provisioned():
    text = json.dumps(list(DASHBOARDS.values()))
    assert set(re.findall(r'"uid": "(\w+)"', text)) <= {"prometheus", "jaeger", "clickhouse", "grafana"}
