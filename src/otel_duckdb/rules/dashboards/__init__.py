"""Grafana dashboards over the contract's metrics, and over what ClickHouse keeps."""

from __future__ import annotations

import json

from otel_duckdb.rules.dashboards.engine import engine
from otel_duckdb.rules.dashboards.history import history
from otel_duckdb.rules.dashboards.pipeline import pipeline
from otel_duckdb.rules.dashboards.queries import queries
from otel_duckdb.rules.dashboards.sync import sync


def dashboards() -> dict[str, str]:
    """The dashboards' JSON by file name."""
    made = {"queries": queries(), "engine": engine(), "sync": sync(), "history": history(), "pipeline": pipeline()}
    return {f"{name}.json": json.dumps(dashboard.json(), indent=2) + "\n" for name, dashboard in made.items()}
