"""The dashboard of the engine: memory, disk, connections, transactions, and the process around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_duckdb import contract
from otel_duckdb.rules.dashboards.grafana import Dashboard, Panel, Query, Row
from otel_duckdb.rules.dashboards.health import health
from otel_duckdb.rules.dashboards.panels import lines, number, part
from otel_duckdb.rules.dashboards.promql import INSTANCE, JOB, Filtered
from otel_duckdb.rules.dashboards.variables import ANNOTATIONS, DATABASE_NAMES, with_database
from otel_duckdb.rules.thresholds import Thresholds

if TYPE_CHECKING:
    from otel_duckdb.contract import Metric

_SEE: Final = Filtered(DATABASE_NAMES)
_LIMITS: Final = Thresholds()
_WHICH: Final = f"{{{{{contract.DATABASE}}}}} of {{{{{JOB}}}}} ({{{{{contract.INSTANCE_ID}}}}})"
_BY: Final = (JOB, INSTANCE, contract.INSTANCE_ID, contract.DATABASE)
_POOL: Final = contract.DB_POOL_NAME.replace(".", "_")
_STATE: Final = contract.DB_CONNECTION_STATE.replace(".", "_")


def engine() -> Dashboard:
    """The dashboard of the engine."""
    return Dashboard(
        "otel-duckdb-engine",
        "DuckDB / Engine",
        "What DuckDB holds: memory, disk, connections and transactions.",
        with_database(contract.MEMORY_USED),
        (
            health(_SEE),
            Row("At a glance", _glance(), height=5),
            Row("Memory", _memory()),
            Row("Disk", _disk()),
            Row("Connections", _connections()),
            Row("Pools", _pools()),
            Row("Transactions", _transactions()),
            Row("Process", _process()),
        ),
        annotations=ANNOTATIONS,
    )


def _gauge(title: str, description: str, metric: Metric, unit: str, width: int = 8) -> Panel:
    by = tuple(label for label in _BY if label == JOB or label in metric.labels)
    which = _WHICH if contract.DATABASE in by else _WHICH.partition(" of ")[2]
    return lines(title, description, Query(_SEE.total(metric, *by), which), unit=unit, width=width)


def _glance() -> tuple[Panel, ...]:
    failures = _SEE.rate(contract.TRANSACTION_FAILURE, *_BY)
    successes = _SEE.rate(contract.TRANSACTION_SUCCESS, *_BY)
    return (
        part(
            "Memory used",
            "The database that uses the largest part of its memory limit, cache and all.",
            Query(_SEE.worst(_SEE.ratio(contract.MEMORY_USED, contract.MEMORY_LIMIT)), _WHICH),
            limit=_LIMITS.memory_ratio,
        ),
        part(
            "Disk used",
            "The database that uses the largest part of the disk space it may use.",
            Query(_SEE.worst(_SEE.ratio(contract.DISK_USAGE, contract.MAX_DISK_USAGE)), _WHICH),
            limit=_LIMITS.disk_ratio,
        ),
        part(
            "Transactions failing",
            "The database of which the largest part of the transactions ended in an error, a conflict or a rollback.",
            Query(_SEE.worst(f"{failures} / ({failures} + {successes})"), _WHICH),
            limit=_LIMITS.transaction_failure_ratio,
        ),
        number(
            "Open now",
            "Open connections, with their cursors and duplicates.",
            Query(_SEE.total(contract.ACTIVE_CONNECTIONS)),
            unit="short",
        ),
        number(
            "Spilled now",
            "The database with the most data in temporary storage: queries that do not fit into memory.",
            Query(_SEE.worst(_SEE.total(contract.TEMPORARY_STORAGE, *_BY)), _WHICH),
            unit="bytes",
            named=True,
        ),
        number(
            "Failed connects",
            "Calls of duckdb.connect() that raised, in five minutes.",
            Query(f"topk(1, {_SEE.grown(contract.FAILED_CONNECTIONS, JOB, window='5m')})", f"{{{{{JOB}}}}}"),
            unit="short",
            limit=_LIMITS.failed_connections,
            named=True,
        ),
    )


def _memory() -> tuple[Panel, ...]:
    tag = contract.MEMORY_TAG
    return (
        lines(
            "Memory by tag",
            "What the buffer manager holds, by purpose: BASE_TABLE is cache, HASH_TABLE and ORDER_BY are queries.",
            Query(f"{_SEE.total(contract.MEMORY_BY_TAG, tag)} > 0", f"{{{{{tag}}}}}"),
            unit="bytes",
            stacked=True,
        ),
        lines(
            "Memory and its limit",
            "Memory that the buffer manager holds, below the limit at which it spills.",
            Query(_SEE.total(contract.MEMORY_USED, *_BY), f"used {_WHICH}"),
            Query(_SEE.total(contract.MEMORY_LIMIT, *_BY), f"limit {_WHICH}"),
            unit="bytes",
        ),
        lines(
            "Memory fragmentation",
            "Resident memory of the process divided by the memory DuckDB uses; the rest is Python and Arrow.",
            Query(_SEE.total(contract.MEMORY_FRAGMENTATION, JOB, INSTANCE), f"{{{{{JOB}}}}} {{{{{INSTANCE}}}}}"),
            unit="none",
        ),
    )


def _disk() -> tuple[Panel, ...]:
    spilled = _SEE.rate(contract.SPILLED_BYTES, *_BY)
    return (
        lines(
            "Disk and its limit",
            "Database file, write-ahead log and temporary files, below what they may take.",
            Query(_SEE.total(contract.DISK_USAGE, *_BY), f"used {_WHICH}"),
            Query(_SEE.total(contract.MAX_DISK_USAGE, *_BY), f"limit {_WHICH}"),
            unit="bytes",
        ),
        _gauge("Write-ahead log", "Changes that no checkpoint has yet put into the file.", contract.WAL_SIZE, "bytes"),
        _gauge(
            "Disk fragmentation",
            "Total blocks of the file divided by its used blocks; 1 is a file without holes.",
            contract.DISK_FRAGMENTATION,
            "none",
        ),
        _gauge("Temporary storage", "Data that the buffer manager has spilled.", contract.TEMPORARY_STORAGE, "bytes"),
        _gauge("Temporary files", "Size of the temporary files on disk.", contract.TEMPORARY_FILES, "bytes"),
        lines(
            "Spilled by queries",
            "Peak temporary storage of the queries that were profiled, per second.",
            Query(spilled, _WHICH),
            unit="Bps",
        ),
    )


def _connections() -> tuple[Panel, ...]:
    error = contract.ERROR_TYPE_LABEL
    return (
        _gauge(
            "Open connections",
            "With their cursors and duplicates. A line that only climbs is a leak.",
            contract.ACTIVE_CONNECTIONS,
            "short",
            width=12,
        ),
        lines(
            "Failed connects by error",
            "Calls of duckdb.connect() that raised, between two points; the first of an error shows too.",
            Query(_SEE.grown(contract.FAILED_CONNECTIONS, JOB, error), f"{{{{{JOB}}}}}: {{{{{error}}}}}"),
            unit="short",
            width=12,
            stacked=True,
        ),
    )


def _pools() -> tuple[Panel, ...]:
    pool = f"{{{{{_POOL}}}}}"
    times = (
        ("Wait for a connection", "Time a request waited for a connection.", contract.POOL_WAIT_TIME),
        ("Use of a connection", "Time between borrowing a connection and returning it.", contract.POOL_USE_TIME),
        ("Opening a connection", "Time it took to open a connection.", contract.POOL_CREATE_TIME),
    )
    return (
        lines(
            "Pool connections",
            "Connections by state, with the most there may be, and the most that are kept idle.",
            Query(_SEE.total(contract.POOL_CONNECTIONS, _POOL, _STATE), f"{pool} {{{{{_STATE}}}}}"),
            Query(_SEE.total(contract.POOL_MAX, _POOL), f"{pool} most"),
            Query(_SEE.total(contract.POOL_IDLE_MAX, _POOL), f"{pool} most idle"),
            unit="short",
            width=12,
        ),
        lines(
            "Requests that wait, and that timed out",
            "Waiting at this moment, and timed out per second. Any of them says that the pool is too small.",
            Query(_SEE.total(contract.POOL_PENDING, _POOL), f"{pool} waiting"),
            Query(_SEE.rate(contract.POOL_TIMEOUTS, _POOL), f"{pool} timeouts per second"),
            unit="short",
            width=12,
        ),
        *(
            lines(
                title,
                f"{text} 95 % are within this.",
                Query(_SEE.quantile(0.95, metric, _POOL), pool, exemplar=True),
                unit="s",
            )
            for title, text, metric in times
        ),
    )


def _transactions() -> tuple[Panel, ...]:
    return (
        lines(
            "Transactions per second",
            "Committed, and ended in an error, a conflict or a rollback, per second.",
            Query(_SEE.rate(contract.TRANSACTION_SUCCESS), "committed"),
            Query(_SEE.rate(contract.TRANSACTION_FAILURE), "failed"),
            unit="ops",
            width=12,
            stacked=True,
        ),
        _gauge(
            "Transaction latency",
            "Average duration of the transactions that ended in the last minute.",
            contract.TRANSACTION_LATENCY,
            "ms",
            width=12,
        ),
    )


def _process() -> tuple[Panel, ...]:
    mode = contract.CPU_MODE.replace(".", "_")
    return (
        lines(
            "CPU of the process",
            "Cores that the process keeps busy.",
            Query(_SEE.rate(contract.PROCESS_CPU_TIME, mode), f"{{{{{mode}}}}}"),
            unit="short",
            width=12,
            stacked=True,
        ),
        lines(
            "Resident memory of the process",
            "All that the process holds: DuckDB, Python, Arrow.",
            Query(_SEE.total(contract.PROCESS_MEMORY, "job", "instance"), "{{job}} {{instance}}"),
            unit="bytes",
            width=12,
        ),
    )
