"""The table of alerts: what is asked, when it is too much, what it means and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from otel_duckdb import contract
from otel_duckdb.rules.expressions import DATABASES, PROCESS, grown_by, quantile, rate, summed
from otel_duckdb.rules.thresholds import Thresholds

_MINUTE: Final = 60
_WHERE: Final = "{{ $labels.job }}{{ with $labels.database }} (database {{ . }}){{ end }}"


class Severity(Enum):
    """How soon a person must look: at once, or in working hours."""

    CRITICAL = "critical"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert; `summary` is a Prometheus template, the three texts after it are its runbook."""

    name: str
    severity: Severity
    expression: str
    lasting: str
    summary: str
    meaning: str
    check: str
    action: str


def alerts(thresholds: Thresholds | None = None) -> tuple[Alert, ...]:
    """All alerts, at the user's thresholds."""
    limits = thresholds or Thresholds()
    return (
        _latency(limits),
        _memory(limits),
        _disk(limits),
        _transactions(limits),
        _connections(limits),
        _sync_failures(limits),
        _sync_lag(limits),
        _collector_down(limits),
        _target_absent(limits),
    )


def _latency(limits: Thresholds) -> Alert:
    window = limits.duration(5 * _MINUTE)
    by = ("job", "instance", contract.QUERY_TYPE)
    return Alert(
        "DuckDBQueryLatencyHigh",
        Severity.WARNING,
        f"{quantile(0.95, contract.QUERY_LATENCY, window, by)} > {limits.latency_ms:g}",
        # As long as the window: a single slow query has left the window before the alert can fire.
        window,
        f"{_WHERE}: 95 % of the {{{{ $labels.query_type }}}} operations take up to {{{{ $value | humanize }}}} ms",
        f"More than 5 % of the operations of one type took over {limits.latency_ms:g} ms inside DuckDB,"
        f" for {window} on end.",
        "On the queries dashboard, the slowest tables and the heatmap's exemplars, which lead to traces; on the engine"
        " dashboard, whether DuckDB spills at the same time; in the logs, duckdb.slow_query.",
        "Read the plan on a slow trace. Give the query a filter or fewer columns, the table a better order, DuckDB more"
        " memory or threads; or, if such queries are meant to be slow, a higher threshold.",
    )


def _memory(limits: Thresholds) -> Alert:
    used, limit = contract.MEMORY_USED.prometheus_name, contract.MEMORY_LIMIT.prometheus_name
    return Alert(
        "DuckDBMemoryHigh",
        Severity.WARNING,
        f"{used} / {limit} > {limits.memory_ratio:g}",
        limits.duration(5 * _MINUTE),
        f"{_WHERE}: DuckDB uses {{{{ $value | humanizePercentage }}}} of its memory limit",
        f"DuckDB's buffer manager holds over {limits.memory_ratio:.0%} of memory_limit. Cached blocks of tables may be"
        " dropped at need; what queries hold may not, and is spilled to disk or ends in an OutOfMemoryException.",
        "On the engine dashboard, memory by tag (BASE_TABLE is cache, HASH_TABLE and ORDER_BY are queries at work) and"
        " the temporary storage.",
        "If it is cache and nothing spills, raise the threshold. Else run fewer heavy queries at once, lower threads,"
        " set preserve_insertion_order to false, or raise memory_limit, within what the machine has.",
    )


def _disk(limits: Thresholds) -> Alert:
    used, limit = contract.DISK_USAGE.prometheus_name, contract.MAX_DISK_USAGE.prometheus_name
    return Alert(
        "DuckDBDiskHigh",
        Severity.CRITICAL,
        f"{used} / {limit} > {limits.disk_ratio:g}",
        limits.duration(5 * _MINUTE),
        f"{_WHERE}: DuckDB uses {{{{ $value | humanizePercentage }}}} of the disk space it may use",
        f"Database file, write-ahead log and temporary files take over {limits.disk_ratio:.0%} of the configured"
        " maximum, or of what the file system can give. When it is full, writes and spilling queries fail.",
        "On the engine dashboard, which of the three grows, and the disk fragmentation.",
        "Log growing: CHECKPOINT, and end transactions that stay open. Temporary files: see to the query that spills."
        " Fragmented file: copy it with COPY FROM DATABASE. Else delete or move data, or give more disk.",
    )


def _transactions(limits: Thresholds) -> Alert:
    window = limits.duration(5 * _MINUTE)
    failed = summed(rate(contract.TRANSACTION_FAILURE, window), DATABASES)
    succeeded = summed(rate(contract.TRANSACTION_SUCCESS, window), DATABASES)
    return Alert(
        "DuckDBTransactionFailuresHigh",
        Severity.WARNING,
        # Where no transaction has ever succeeded there is no series to add, and all attempts are failures.
        f"{failed}\n/ (({failed} + {succeeded})\n  or {failed})\n> {limits.transaction_failure_ratio:g}",
        window,
        f"{_WHERE}: {{{{ $value | humanizePercentage }}}} of the transactions fail",
        f"Over {limits.transaction_failure_ratio:.0%} of the transactions ended in an error, a conflict or a rollback,"
        f" for {window} on end.",
        "On the queries dashboard, the errors by type; in Jaeger, spans with the error TransactionException.",
        "Conflicts: let one connection write a table, or try again after a conflict. Constraint errors: see to the"
        " data. Rollbacks that the program wants: raise the threshold.",
    )


def _connections(limits: Thresholds) -> Alert:
    window = limits.duration(5 * _MINUTE)
    return Alert(
        "DuckDBConnectionsFailing",
        Severity.CRITICAL,
        f"{summed(grown_by(contract.FAILED_CONNECTIONS, window), PROCESS)} > {limits.failed_connections:g}",
        "0s",  # the window has waited already
        f"{{{{ $labels.job }}}}: {{{{ $value }}}} calls of duckdb.connect() failed within {window}",
        f"More than {limits.failed_connections:g} calls of duckdb.connect() raised within {window}: the program cannot"
        " reach its data.",
        "On the engine dashboard, the failed connections by error type; the program's own log has the messages.",
        "IOException: another process holds the file's lock (one writes, or all read), or the path or its rights are"
        " wrong. SerializationException: the file is damaged; restore it. ConnectionException: the process has the"
        " file open with another configuration.",
    )


def _sync_failures(limits: Thresholds) -> Alert:
    window = limits.duration(10 * _MINUTE)
    return Alert(
        "DuckDBSyncFailing",
        Severity.WARNING,
        f"{summed(grown_by(contract.SYNC_FAILURE, window), DATABASES)} > {limits.sync_failures:g}",
        "0s",  # the window has waited already
        f"{_WHERE}: {{{{ $value }}}} sync attempts to ClickHouse failed within {window}",
        f"More than {limits.sync_failures:g} sync attempts failed within {window}. Nothing is lost: rows wait in the"
        " buffer.",
        "On the sync dashboard, which tables fail and how many rows wait; the sync's traces name each retry's error.",
        "ClickHouse down or refusing: bring it back, the sync goes on by itself. A type or a column that does not"
        " match: change the target table. Wrong password: set it anew and start the sync again.",
    )


def _sync_lag(limits: Thresholds) -> Alert:
    lasting = limits.duration(5 * _MINUTE)
    return Alert(
        "DuckDBSyncLagHigh",
        Severity.WARNING,
        f"max by ({', '.join((*DATABASES, contract.TABLE_NAME))}) ({contract.SYNC_LAG.prometheus_name})"
        f" > {limits.sync_lag_seconds:g}",
        lasting,
        f"{_WHERE}: {{{{ $labels.table_name }}}} is {{{{ $value | humanizeDuration }}}} behind in ClickHouse",
        f"For over {limits.sync_lag_seconds:g} s the rows of a table were not wholly acknowledged by ClickHouse.",
        "On the sync dashboard, whether attempts fail, or whether rows come faster than they are sent.",
        "Failing attempts: see DuckDBSyncFailing. Else send larger batches, sync more often, or write fewer rows.",
    )


def _collector_down(limits: Thresholds) -> Alert:
    return Alert(
        "DuckDBCollectorDown",
        Severity.CRITICAL,
        'up{job="collector"} == 0',
        limits.duration(_MINUTE),
        "The OpenTelemetry Collector at {{ $labels.instance }} does not answer",
        "Prometheus cannot read the collector's own metrics. Telemetry of all programs is delayed, and lost once their"
        " queues are full; the programs themselves run on.",
        "The collector's log and its health endpoint (port 13133).",
        "Start it again; what its storage queue holds is then delivered. If it was killed for memory, raise the limit"
        " of its memory_limiter and of its container together.",
    )


def _target_absent(limits: Thresholds) -> Alert:
    lasting = limits.duration(5 * _MINUTE)
    return Alert(
        "DuckDBTargetAbsent",
        Severity.CRITICAL,
        'absent({__name__=~"duckdb_.+"})',
        lasting,
        "No DuckDB metric has arrived",
        f"For {lasting} no program has reported any DuckDB metric: none runs, none is instrumented, or the way to"
        " Prometheus is cut. The other alerts see nothing meanwhile.",
        "Prometheus' page of targets; then whether the program runs, under opentelemetry-instrument or with"
        " instrument() called, and where its OTEL_EXPORTER_OTLP_ENDPOINT leads.",
        "Start what is missing. If no program is meant to run, silence this alert for that time.",
    )
