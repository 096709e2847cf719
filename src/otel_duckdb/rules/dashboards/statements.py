"""The panels on statements: from the spans and the slow log in ClickHouse, where a statement costs no series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_duckdb import contract
from otel_duckdb.rules.dashboards.grafana import Sql
from otel_duckdb.rules.dashboards.history import INSIDE, TRACE, select
from otel_duckdb.rules.dashboards.panels import table

if TYPE_CHECKING:
    from otel_duckdb.rules.dashboards.grafana import Panel

_PROGRAMS: Final = "match(ServiceName, '^(${job:pipe})$')"
_OURS: Final = f"ScopeName = '{contract.SCOPE}' AND SpanAttributes['{contract.DB_SYSTEM_NAME}'] = '{contract.SYSTEM}'"


def statements() -> tuple[Panel, ...]:
    """The slowest statements, each with the trace of its slowest operation, and the slow log."""
    return (
        table(
            "Slowest statements",
            "Statements by the time they spent inside DuckDB, from the spans in ClickHouse; the trace is that of the"
            " slowest.",
            Sql(
                select(
                    f"SpanName AS Statement, count() AS Operations, sum({INSIDE}) AS Total,"
                    f" quantile(0.95)({INSIDE}) AS P95, max({INSIDE}) AS Longest, argMax(TraceId, {INSIDE}) AS Trace,"
                    " countIf(StatusCode = 'Error') AS Errors",
                    "otel_traces",
                    ("$__timeFilter(Timestamp)", _OURS, _PROGRAMS),
                    "GROUP BY Statement ORDER BY Total DESC LIMIT 50",
                ),
                table=True,
            ),
            units={"Total": "ms", "P95": "ms", "Longest": "ms"},
            width=12,
            sort="Total",
            links={"Trace": TRACE},
        ),
        table(
            "Slow log",
            "Operations over the slow threshold of their program, newest first, as the instrumentation logged them.",
            Sql(
                select(
                    "Timestamp AS Time, ServiceName AS Program, Body AS Message, TraceId AS Trace",
                    "otel_logs",
                    ("$__timeFilter(Timestamp)", f"EventName = '{contract.EVENT_SLOW_QUERY}'", _PROGRAMS),
                    "ORDER BY Timestamp DESC LIMIT 100",
                ),
                table=True,
            ),
            units={},
            width=12,
            sort="Time",
            links={"Trace": TRACE},
        ),
    )
