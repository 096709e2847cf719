"""Every query of every dashboard is valid, and finds what an instrumented program sent."""

from __future__ import annotations

import json
import math
import re
import time

import pytest

from otel_duckdb import contract
from stack import eventually
from stack.pipeline import CONFIGURATION

DASHBOARDS = {
    file.stem: json.loads(file.read_text())
    for file in sorted((CONFIGURATION / "grafana" / "dashboards").glob("*.json"))
}
VARIABLES = {"$__rate_interval": "5s", "$__range": "5m", "$__interval": "1s"}
NOT_RECORDED = (
    contract.OPERATOR_TIME.prometheus_name,
    contract.OPERATOR_ROWS.prometheus_name,
    contract.SPILLED_BYTES.prometheus_name,
    contract.EVENT_SLOW_QUERY,
)
"""What no part of the package records yet; a test of it is expected to fail, and says so when it no longer does."""


def is_recorded(query: str) -> bool:
    return not any(name in query for name in NOT_RECORDED)


def expectation(query: str) -> list[pytest.MarkDecorator]:
    expected = pytest.mark.xfail(reason="nothing records it yet", raises=AssertionError)
    return [] if is_recorded(query) else [expected]


def patience(query: str) -> float:
    return 30.0 if is_recorded(query) else 2.0


def targets(key: str) -> list[object]:
    """Each query of one kind, with the panel it is in as the name of its test."""
    return [
        pytest.param(target[key], id=f"{name}: {panel['title']} {number}", marks=expectation(target[key]))
        for name, dashboard in DASHBOARDS.items()
        for panel in dashboard["panels"]
        for number, target in enumerate(panel.get("targets", ()))
        if target.get(key)
    ]


def as_prometheus_gets_it(expression: str) -> str:
    """An expression with Grafana's variables filled in, as "All" fills them."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return re.sub(r"\$\w+", ".*", expression)


def as_clickhouse_gets_it(query: str) -> str:
    """A query with the plugin's macros filled in, for the last hour."""
    query = re.sub(r"\$__timeFilter\((\w+)\)", r"\1 > now() - INTERVAL 1 HOUR", query)
    query = re.sub(r"\$__timeInterval\((\w+)\)", r"toStartOfInterval(toDateTime(\1), INTERVAL 1 SECOND)", query)
    query = re.sub(r"\$\{(\w+)(:\w+)?\}", ".*", query)
    return re.sub(r"\$(?!__)\w+", ".*", query)


@pytest.mark.parametrize("expression", targets("expr"))
def test_an_expression_finds_numbers(stack, busy, expression):
    query = as_prometheus_gets_it(expression)
    assert "$" not in query

    def numbers() -> list[float]:
        return [
            float(value)
            for series in stack.prometheus_probe.range(query, time.time() - 600)
            for _, value in series["values"]
            if not math.isnan(float(value))
        ]

    eventually(numbers, within=patience(expression))


@pytest.mark.parametrize("query", targets("rawSql"))
def test_a_query_of_history_finds_rows(clickhouse, busy, query):
    eventually(lambda: clickhouse.query(as_clickhouse_gets_it(query)).result_rows, within=patience(query))


def test_the_dashboards_ask_only_sources_that_are_provisioned():
    text = json.dumps(list(DASHBOARDS.values()))
    assert set(re.findall(r'"uid": "(\w+)"', text)) <= {"prometheus", "jaeger", "clickhouse", "grafana"}
