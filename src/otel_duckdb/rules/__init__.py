"""Alerts and dashboards over the contract's metrics, from one table: what is deployed is generated from here."""

from otel_duckdb.rules.alert import Alert, Severity
from otel_duckdb.rules.alerts import alerts
from otel_duckdb.rules.condition import Condition, Measure
from otel_duckdb.rules.latency import ProgramLatency
from otel_duckdb.rules.links import Links
from otel_duckdb.rules.prometheus import prometheus_rules
from otel_duckdb.rules.thresholds import Thresholds

__all__ = [
    "Alert",
    "Condition",
    "Links",
    "Measure",
    "ProgramLatency",
    "Severity",
    "Thresholds",
    "alerts",
    "prometheus_rules",
]
