"""The dashboard of the sync to ClickHouse: how far behind, how fast, and what fails."""

from __future__ import annotations

from typing import Final

from otel_duckdb import contract
from otel_duckdb.rules.dashboards.grafana import Dashboard, Panel, Query, Row
from otel_duckdb.rules.dashboards.panels import lines, number
from otel_duckdb.rules.dashboards.promql import JOB, Filtered
from otel_duckdb.rules.dashboards.variables import ANNOTATIONS, DATABASE_NAMES, with_database
from otel_duckdb.rules.thresholds import Thresholds

_SEE: Final = Filtered(DATABASE_NAMES)
_LIMITS: Final = Thresholds()
_TABLE: Final = contract.TABLE_NAME
_LEGEND: Final = f"{{{{{_TABLE}}}}}"


def sync() -> Dashboard:
    """The dashboard of the sync."""
    return Dashboard(
        "otel-duckdb-sync",
        "DuckDB / Sync to ClickHouse",
        "How far the rows of DuckDB's buffer have come on their way to ClickHouse.",
        with_database(contract.SYNC_LAG),
        (
            Row("At a glance", _glance(), height=4),
            Row("Behind", _behind()),
            Row("Throughput", _throughput()),
            Row("Attempts", _attempts()),
        ),
        annotations=ANNOTATIONS,
    )


def _glance() -> tuple[Panel, ...]:
    return (
        number(
            "Lag",
            "The longest time since a table was last known to be wholly in ClickHouse.",
            Query(_SEE.worst(_SEE.series(contract.SYNC_LAG)), f"{_LEGEND} of {{{{{JOB}}}}}"),
            unit="s",
            width=6,
            named=True,
            limit=_LIMITS.sync_lag_seconds,
        ),
        number(
            "Rows waiting",
            "Rows of the buffer that ClickHouse has not acknowledged.",
            Query(_SEE.total(contract.SYNC_PENDING_ROWS)),
            unit="short",
            width=6,
        ),
        number(
            "Rows per second",
            "Rows that ClickHouse acknowledges per second.",
            Query(_SEE.rate(contract.SYNC_ROWS_SENT)),
            unit="rowsps",
            width=6,
        ),
        number(
            "Failed in ten minutes",
            "Sync attempts that failed in ten minutes; above the threshold, an alert fires.",
            Query(
                _SEE.worst(_SEE.grown(contract.SYNC_FAILURE, JOB, _TABLE, window="10m")), f"{_LEGEND} of {{{{{JOB}}}}}"
            ),
            unit="short",
            width=6,
            named=True,
            limit=_LIMITS.sync_failures,
        ),
    )


def _behind() -> tuple[Panel, ...]:
    return (
        lines(
            "Lag by table",
            "Time since a table was last known to be wholly in ClickHouse. The dashed line is the alert's.",
            Query(f"max by ({_TABLE}) ({_SEE.series(contract.SYNC_LAG)})", _LEGEND),
            unit="s",
            width=12,
            limit=_LIMITS.sync_lag_seconds,
        ),
        lines(
            "Rows waiting by table",
            "Rows that ClickHouse has not acknowledged. A line that only climbs: rows come faster than they go.",
            Query(_SEE.total(contract.SYNC_PENDING_ROWS, _TABLE), _LEGEND),
            unit="short",
            width=12,
            stacked=True,
        ),
    )


def _throughput() -> tuple[Panel, ...]:
    return (
        lines(
            "Rows by table",
            "Rows that ClickHouse acknowledges per second.",
            Query(_SEE.rate(contract.SYNC_ROWS_SENT, _TABLE), _LEGEND),
            unit="rowsps",
            stacked=True,
        ),
        lines(
            "Bytes by table",
            "Arrow bytes that ClickHouse acknowledges per second, before compression.",
            Query(_SEE.rate(contract.SYNC_BYTES_SENT, _TABLE), _LEGEND),
            unit="Bps",
            stacked=True,
        ),
        lines(
            "Latency of an attempt",
            "Average duration of the sync attempts in the last minute.",
            Query(f"max by ({_TABLE}) ({_SEE.series(contract.SYNC_LATENCY)})", _LEGEND),
            unit="ms",
        ),
    )


def _attempts() -> tuple[Panel, ...]:
    kinds = (
        ("Successes", "Sync attempts that succeeded, between two points.", contract.SYNC_SUCCESS),
        ("Failures", "Sync attempts that failed, between two points.", contract.SYNC_FAILURE),
        ("Retries", "Sync attempts that were retries, between two points.", contract.SYNC_RETRIES),
    )
    attempts = f"{_SEE.series(contract.SYNC_SUCCESS)}[10m]"
    stopped = lines(
        "Attempts in ten minutes",
        "Successful sync attempts in the last ten minutes, by table. None while rows wait: the sync has stopped.",
        Query(f"sum by ({JOB}, {_TABLE}) (changes({attempts}))", f"{_LEGEND} of {{{{{JOB}}}}}"),
        unit="short",
        width=24,
    )
    return stopped, *(
        lines(title, description, Query(_SEE.grown(metric, _TABLE), _LEGEND), unit="short", stacked=True)
        for title, description, metric in kinds
    )
