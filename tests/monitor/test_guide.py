"""Every name of the guide of DuckDB Resource Monitoring stands in the migration table, and what is the same exists."""

import re
from dataclasses import fields
from pathlib import Path

import click
import pytest

from otel_duckdb import Settings
from otel_duckdb.commands._group import group
from otel_duckdb.features import OTHER_NAMES
from otel_duckdb.monitor import Monitor, audit
from otel_duckdb.monitor.settings import MonitorSettings

TABLE = (Path(__file__).parents[2] / "docs/monitor.md").read_text(encoding="utf-8").partition("## From the guide")[2]
COMMANDS = {
    "status": ("json",),
    "monitor": ("interval", "web", "port"),
    "report": ("format", "period", "output"),
    "benchmark": ("test-type",),
    "cleanup": ("force",),
}
SCRIPTS = ("health-check.sh", "generate-report.sh", "monitor-duckdb.js", "feature-flags.yaml")
SAME_VARIABLES = (
    *("DUCKDB_MEMORY_LIMIT", "DUCKDB_MAX_CONNECTIONS", "DUCKDB_MONITORING_INTERVAL", "DUCKDB_WEB_DASHBOARD_PORT"),
    *("DUCKDB_ALERT_WEBHOOK_URL", "MONITORING_WEBHOOK"),
    *("SMTP_HOST", "SMTP_PORT", "SMTP_USER", "SMTP_PASSWORD", "SMTP_FROM", "ALERT_EMAIL"),
)
OTHER_VARIABLES = ("ALLOWED_ORIGINS", "NODE_ENV")
CLASSES = (
    *("DuckDBResourceMonitor", "DuckDBMonitoringDashboard", "DuckDBWrapper", "PerformanceProfiler"),
    *("EmailAlertHandler", "WebhookAlertHandler", "LightweightMonitoring", "HAMonitoring"),
)
OPTIONS = (
    *("memoryLimit", "maxConnections", "memoryWarningThreshold", "memoryCriticalThreshold", "monitoringInterval"),
    *("updateInterval", "enableWebDashboard", "dashboardPort", "alertThresholds", "queryTime", "alertingEnabled"),
    *("historyRetention", "enableDetailedMetrics", "alertBatchSize", "alertBatchInterval", "alertingCooldown"),
    *("enableApiAuth", "apiKeyHeader", "enableHttps", "corsOrigins", "encryptLogs", "rateLimitRequests"),
    "enableAuditLog",
)
METHODS = (
    *("startMonitoring", "start", "initialize", "performAutomaticCleanup", "performEmergencyCleanup"),
    *("exportMetrics", "registerAlertHandler", "isFeatureEnabled", "electLeader"),
)
EVENTS = ("alert", "monitoring:check", "dashboard:updated", "dashboard:performance_issues")
ISSUES = ("memory_high", "cpu_high", "query_backlog")
AUDITED = (
    *("monitoring_started", "resource_alert", "automatic_cleanup", "monitoring_stopped"),
    *("critical_resource_alert", "resource_usage_change"),
)
AUDIT_FIELDS = (
    *("operation", "alert_type", "alert_level", "memory_percent", "cpu_percent", "active_queries", "timestamp"),
    *("requires_investigation", "change_type"),
)
FIELDS = (
    *("summary.status", "metrics.timestamp", "metrics.memory.duckdb_memory_percent"),
    *("metrics.system.cpu_usage_percent", "metrics.queries.active_queries"),
)
ALERT = ("alert.name", "alert.level", "alert.message", "alert.timestamp", "alert.metrics")
ADDRESSES = ("/api/status", "/api/metrics", "/api/alerts", "/api/report", "X-Monitoring-Key")


@pytest.mark.parametrize(
    "names",
    [
        COMMANDS,
        [f"--{option}" for options in COMMANDS.values() for option in options],
        *(SCRIPTS, SAME_VARIABLES, OTHER_VARIABLES, CLASSES, OPTIONS, METHODS, EVENTS, ISSUES, AUDITED),
        *(AUDIT_FIELDS, FIELDS, ALERT, ADDRESSES, ["dashboard_critical_alert", "duckdb_monitoring", "instance-1"]),
    ],
    ids=str,
)
def test_every_name_of_the_guide_is_in_the_table(names):
    missing = [name for name in names if not re.search(rf"^\|[^|]*{re.escape(name)}(?![\w-])", TABLE, re.MULTILINE)]
    assert missing == []


def test_the_commands_of_the_guide_take_its_options():
    for name, options in COMMANDS.items():
        command = group.get_command(click.Context(group), name)
        known = {each for one in command.params for each in (*one.opts, *one.secondary_opts)}
        assert {f"--{option}" for option in options} <= known, name


def test_the_variables_of_the_guide_are_read():
    read = {each.metadata["environment"] for kind in (Settings, MonitorSettings) for each in fields(kind)}
    sources = Path(audit.__file__).parents[1]
    senders = (sources / "monitor/notification/senders.py").read_text() + (sources / "commands/report.py").read_text()
    assert [name for name in SAME_VARIABLES if name not in read and f'"{name}"' not in senders] == []


def test_the_events_fields_and_methods_of_the_guide_exist():
    assert set(AUDITED) <= audit.EVENTS.keys()
    assert len(OTHER_NAMES) == 5
    for method in ("start", "on", "clean_up", "emergency_clean_up", "export_metrics", "register_alert_handler"):
        assert callable(getattr(Monitor, method))
