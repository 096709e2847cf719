"""Alerts and dashboards over the contract's metrics, from one table: what is deployed is generated from here."""

from otel_duckdb.rules.alerts import Alert, Severity, alerts
from otel_duckdb.rules.prometheus import prometheus_rules
from otel_duckdb.rules.thresholds import Thresholds

__all__ = ["Alert", "Severity", "Thresholds", "alerts", "prometheus_rules"]
