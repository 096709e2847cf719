"""The dashboard of history: spans, logs and metrics that ClickHouse keeps for longer than Prometheus does."""

from __future__ import annotations

import json
from typing import Final

from otel_duckdb import contract
from otel_duckdb.rules.dashboards.grafana import Dashboard, Panel, Row, Sql, sql_variable
from otel_duckdb.rules.dashboards.panels import lines, table

_PROGRAMS: Final = "match(ServiceName, '^(${service:pipe})$')"
_TIME: Final = "$__timeInterval(Timestamp) AS time"
_TYPE: Final = f"SpanAttributes['{contract.DUCKDB_QUERY_TYPE}']"
INSIDE: Final = (
    f"(toFloat64OrZero(SpanAttributes['{contract.DUCKDB_EXECUTE_TIME}'])"
    f" + toFloat64OrZero(SpanAttributes['{contract.DUCKDB_FETCH_TIME}']))"
)
_EXPLORED: Final = {
    "trace": {
        "datasource": "jaeger",
        "queries": [{"refId": "A", "datasource": {"type": "jaeger", "uid": "jaeger"}, "query": "${__value.raw}"}],
        "range": {"from": "now-7d", "to": "now"},
    }
}
TRACE: Final = (
    "Show the trace in Jaeger",
    f"/explore?schemaVersion=1&panes={json.dumps(_EXPLORED, separators=(',', ':'))}",
)
"""Leads to Grafana's own view of a trace, wherever Jaeger is."""


def history() -> Dashboard:
    """The dashboard of history."""
    return Dashboard(
        "otel-duckdb-history",
        "DuckDB / History",
        "What the spans, logs and metrics in ClickHouse tell of weeks, operation by operation.",
        (sql_variable("service", "Program", "SELECT DISTINCT ServiceName FROM otel_traces ORDER BY ServiceName"),),
        (
            Row("Operations", _operations()),
            Row("Statements", _statements(), height=10),
            Row("Slow and repeated", _events(), height=9),
            Row("Engine and sync", _engine()),
        ),
        since="now-7d",
        refresh="",
    )


def select(columns: str, source: str, conditions: tuple[str, ...], tail: str) -> str:
    """A query of ClickHouse; all of its parts are ours."""
    return " ".join(("SELECT", columns, "FROM", source, "WHERE", " AND ".join(conditions), tail))


def _spans(columns: str, tail: str, *conditions: str) -> str:
    ours = (f"ScopeName = '{contract.SCOPE}'", f"SpanAttributes['{contract.DB_SYSTEM_NAME}'] = '{contract.SYSTEM}'")
    return select(columns, "otel_traces", ("$__timeFilter(Timestamp)", *ours, _PROGRAMS, *conditions), tail)


def _metric(columns: str, source: str, name: str, tail: str = "") -> str:
    return select(columns, source, ("$__timeFilter(TimeUnix)", f"MetricName = '{name}'", _PROGRAMS), tail)


def _operations() -> tuple[Panel, ...]:
    error = f"SpanAttributes['{contract.ERROR_TYPE}'] AS error_type"
    return (
        lines(
            "Operations by type",
            "Spans of DuckDB operations. Where traces are sampled, these are the sampled ones.",
            Sql(
                _spans(
                    f"{_TIME}, {_TYPE} AS query_type, count() AS operations", "GROUP BY time, query_type ORDER BY time"
                )
            ),
            unit="short",
            stacked=True,
        ),
        lines(
            "Time inside DuckDB",
            "Exact percentiles of the sampled operations; Prometheus' are estimates from buckets.",
            Sql(
                _spans(
                    f"{_TIME}, quantile(0.5)({INSIDE}) AS median, quantile(0.95)({INSIDE}) AS p95,"
                    f" quantile(0.99)({INSIDE}) AS p99",
                    "GROUP BY time ORDER BY time",
                )
            ),
            unit="ms",
        ),
        lines(
            "Errors by type",
            "Operations that ended in an error, by DuckDB's exception.",
            Sql(
                _spans(
                    f"{_TIME}, {error}, count() AS errors",
                    "GROUP BY time, error_type ORDER BY time",
                    "StatusCode = 'Error'",
                )
            ),
            unit="short",
            stacked=True,
        ),
    )


def _statements() -> tuple[Panel, ...]:
    rows = f"toUInt64OrZero(SpanAttributes['{contract.DB_RESPONSE_RETURNED_ROWS}'])"
    return (
        table(
            "Where the time goes",
            "Statements by the time they spent inside DuckDB altogether.",
            Sql(
                _spans(
                    f"SpanName AS Statement, count() AS Operations, sum({INSIDE}) AS Total,"
                    f" quantile(0.5)({INSIDE}) AS Median, quantile(0.95)({INSIDE}) AS P95, max({INSIDE}) AS Longest,"
                    f" sum({rows}) AS Rows, countIf(StatusCode = 'Error') AS Errors",
                    "GROUP BY Statement ORDER BY Total DESC LIMIT 50",
                ),
                table=True,
            ),
            units={"Total": "ms", "Median": "ms", "P95": "ms", "Longest": "ms"},
            width=12,
            sort="Total",
        ),
        table(
            "Slowest operations",
            "The longest single operations; a trace's id leads to Jaeger.",
            Sql(
                _spans(
                    f"Timestamp AS Time, TraceId AS Trace, SpanName AS Statement, {INSIDE} AS Inside, {rows} AS Rows,"
                    " ServiceName AS Program",
                    "ORDER BY Inside DESC LIMIT 50",
                ),
                table=True,
            ),
            units={"Inside": "ms"},
            width=12,
            sort="Inside",
            links={"Trace": TRACE},
        ),
    )


def _events() -> tuple[Panel, ...]:
    logged = f"EventName IN ('{contract.EVENT_SLOW_QUERY}', '{contract.EVENT_REPEATED_QUERY}')"
    return (
        table(
            "Slow and repeated queries",
            "What the instrumentation logged: operations over the slow threshold, and statements repeated in one span.",
            Sql(
                select(
                    "Timestamp AS Time, EventName AS Event, Body AS Message, TraceId AS Trace, ServiceName AS Program",
                    "otel_logs",
                    ("$__timeFilter(Timestamp)", logged, _PROGRAMS),
                    "ORDER BY Timestamp DESC LIMIT 200",
                ),
                table=True,
            ),
            units={},
            sort="Time",
            links={"Trace": TRACE},
        ),
    )


def _engine() -> tuple[Panel, ...]:
    return (
        lines(
            "Memory used",
            "The most memory that DuckDB's buffer manager held, by program and database.",
            Sql(_most(contract.MEMORY_USED.name)),
            unit="bytes",
        ),
        lines(
            "Disk used",
            "The most disk space that database, log and temporary files took, by program and database.",
            Sql(_most(contract.DISK_USAGE.name)),
            unit="bytes",
        ),
        lines(
            "Rows synced",
            "Rows that ClickHouse acknowledged, by table.",
            Sql(_growth(contract.SYNC_ROWS_SENT.name)),
            unit="short",
            stacked=True,
        ),
    )


def _most(gauge: str) -> str:
    program = f"concat(ServiceName, ' ', Attributes['{contract.DATABASE}']) AS program"
    return _metric(
        f"$__timeInterval(TimeUnix) AS time, {program}, max(Value) AS value",
        "otel_metrics_gauge",
        gauge,
        "GROUP BY time, program ORDER BY time",
    )


def _growth(counter: str) -> str:
    """What a cumulative counter grew by, by table; a process's counters begin anew, and are a series of their own."""
    series = "PARTITION BY ServiceName, StartTimeUnix, toString(ResourceAttributes), toString(Attributes)"
    before = f"lagInFrame(Value, 1, Value) OVER ({series} ORDER BY TimeUnix ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)"
    steps = _metric(
        f"TimeUnix, Attributes['{contract.TABLE_NAME}'] AS table_name, Value - {before} AS grown",
        "otel_metrics_sum",
        counter,
    )
    columns = "$__timeInterval(TimeUnix) AS time, table_name, sum(grown) AS rows"
    return " ".join(("SELECT", columns, "FROM", f"({steps.strip()})", "GROUP BY time, table_name ORDER BY time"))
