"""The kinds of statements that have metrics of their own by table."""

from __future__ import annotations

from typing import Final, NamedTuple

from otel_duckdb import contract


class MetricsByTable(NamedTuple):
    """The metrics of one kind of statement, split by table."""

    latency: contract.Metric
    per_second: contract.Metric


BY_TABLE: Final = {
    "SELECT": MetricsByTable(contract.SELECT_LATENCY, contract.SELECT_PER_SECOND),
    "INSERT": MetricsByTable(contract.INSERT_LATENCY, contract.INSERT_PER_SECOND),
    "UPDATE": MetricsByTable(contract.UPDATE_LATENCY, contract.UPDATE_PER_SECOND),
    "DELETE": MetricsByTable(contract.DELETE_LATENCY, contract.DELETE_PER_SECOND),
}
