"""The dashboard of queries: how many, how slow, on which tables, and what fails."""

from __future__ import annotations

from typing import Final

from otel_duckdb import contract
from otel_duckdb.rules.dashboards.grafana import Dashboard, Panel, Query, Row
from otel_duckdb.rules.dashboards.health import health
from otel_duckdb.rules.dashboards.panels import heatmap, joined, lines, number, table
from otel_duckdb.rules.dashboards.promql import INSTANCE, JOB, Filtered
from otel_duckdb.rules.dashboards.statements import statements
from otel_duckdb.rules.dashboards.variables import ANNOTATIONS, PROGRAM, PROGRAM_NAMES
from otel_duckdb.rules.thresholds import Thresholds

_SEE: Final = Filtered(PROGRAM_NAMES)
_LIMIT: Final = Thresholds().latency_ms
_ERROR: Final = contract.ERROR_TYPE.replace(".", "_")
_SUMMARY: Final = contract.DB_QUERY_SUMMARY.replace(".", "_")
_BY_STATEMENT: Final = (
    ("SELECT", contract.SELECT_LATENCY, contract.SELECT_PER_SECOND),
    ("INSERT", contract.INSERT_LATENCY, contract.INSERT_PER_SECOND),
    ("UPDATE", contract.UPDATE_LATENCY, contract.UPDATE_PER_SECOND),
    ("DELETE", contract.DELETE_LATENCY, contract.DELETE_PER_SECOND),
)


def queries() -> Dashboard:
    """The dashboard of queries."""
    return Dashboard(
        "otel-duckdb-queries",
        "DuckDB / Queries",
        "Rate, latency, tables and errors of what programs ask DuckDB.",
        PROGRAM,
        (
            health(_SEE),
            Row("At a glance", _glance(), height=4),
            Row("Rate and latency", _rate_and_latency(), height=9),
            Row("By table", _tables(), height=9),
            Row("By statement", statements(), height=9),
            Row("Errors", _errors()),
            Row("Inside the queries", _inside()),
        ),
        annotations=ANNOTATIONS,
    )


def _glance() -> tuple[Panel, ...]:
    duration = contract.OPERATION_DURATION
    failed = _SEE.rate(duration, suffix="_count", matchers=(f'{_ERROR}!=""',))
    return (
        number(
            "Operations per second",
            "Operations that DuckDB finished, per second.",
            Query(_SEE.rate(contract.QUERY_LATENCY, suffix="_count")),
            unit="ops",
        ),
        number(
            "Median latency",
            "Half of the operations were inside DuckDB for no longer than this.",
            Query(_SEE.quantile(0.5, contract.QUERY_LATENCY)),
            unit="ms",
        ),
        number(
            "95 % within",
            "The slowest program and type: the time that 95 % of its operations stayed within. The latency alert asks"
            " this.",
            Query(
                _SEE.worst(f"{_SEE.quantile(0.95, contract.QUERY_LATENCY, JOB, contract.QUERY_TYPE)} >= 0"),
                f"{{{{{JOB}}}}} {{{{{contract.QUERY_TYPE}}}}}",
            ),
            unit="ms",
            limit=_LIMIT,
            named=True,
        ),
        number(
            "At work now",
            "Operations that DuckDB is working on at this moment.",
            Query(_SEE.total(contract.ACTIVE_QUERIES)),
            unit="short",
        ),
        number(
            "Failing",
            "Part of the operations that ended in an error.",
            Query(f"({failed} or vector(0)) / {_SEE.rate(duration, suffix='_count')}"),
            unit="percentunit",
            limit=0.01,
        ),
        number(
            "Faults of the instrumentation",
            "Faults inside the instrumentation in the last hour; none of them reached the program. Please report them.",
            Query(_SEE.grown(contract.INTERNAL_ERRORS, window="1h")),
            unit="short",
            limit=1,
        ),
    )


def _rate_and_latency() -> tuple[Panel, ...]:
    latency, kind = contract.QUERY_LATENCY, contract.QUERY_TYPE
    return (
        lines(
            "Operations by type",
            "Operations finished per second, on average over the last minute, as the program itself counts them.",
            Query(_SEE.total(contract.QUERIES_PER_SECOND, kind), f"{{{{{kind}}}}}"),
            unit="ops",
            stacked=True,
        ),
        lines(
            "Latency percentiles",
            "Time inside DuckDB. Dots are exemplars: click one to see its trace. The dashed line is the alert's.",
            *(
                Query(_SEE.quantile(share, latency), f"{share:.0%}", exemplar=share == 0.95)  # noqa: PLR2004 - as shown
                for share in (0.5, 0.9, 0.95, 0.99)
            ),
            unit="ms",
            limit=_LIMIT,
        ),
        lines(
            "95th percentile by type",
            "The time that 95 % of the operations of a type stayed within; the alert fires on each of these.",
            Query(_SEE.quantile(0.95, latency, kind), f"{{{{{kind}}}}}"),
            unit="ms",
            limit=_LIMIT,
        ),
        lines(
            "Oldest running query",
            "For how long DuckDB has been at work on the oldest call that has not returned. The dashed line is the"
            " alert's.",
            Query(
                f"max by ({JOB}, {INSTANCE}, {contract.DATABASE}) ({_SEE.series(contract.OLDEST_QUERY)})",
                f"{{{{{contract.DATABASE}}}}} of {{{{{JOB}}}}}",
            ),
            unit="s",
            limit=Thresholds().running_query_seconds,
        ),
        lines(
            "Operations at work",
            "Operations that DuckDB is working on at the moment, by program and database.",
            Query(
                _SEE.total(contract.ACTIVE_QUERIES, JOB, contract.DATABASE),
                f"{{{{{contract.DATABASE}}}}} of {{{{{JOB}}}}}",
            ),
            unit="short",
        ),
        lines(
            "Slowest programs",
            "The time that 95 % of a program's operations stayed within, by program.",
            Query(_SEE.quantile(0.95, latency, JOB), f"{{{{{JOB}}}}}", exemplar=True),
            unit="ms",
            limit=_LIMIT,
        ),
        heatmap(
            "Latency heatmap",
            "How many operations took how long. Two bands are two kinds of query. Dots lead to traces.",
            Query(_SEE.increase(latency, "le", suffix="_bucket"), "{{le}}", exemplar=True, format="heatmap"),
            unit="ms",
        ),
        heatmap(
            "Rows fetched heatmap",
            "How many rows the program fetched from one operation.",
            Query(
                _SEE.increase(contract.RETURNED_ROWS, "le", suffix="_bucket"), "{{le}}", exemplar=True, format="heatmap"
            ),
            unit="short",
        ),
    )


def _tables() -> tuple[Panel, ...]:
    name = contract.TABLE_NAME
    slowest = table(
        "Slowest tables",
        "Mean time inside DuckDB in the time shown, by table and statement: where an index or a filter would help.",
        *(
            Query(_SEE.mean(metric, name, window="$__range"), instant=True, format="table")
            for _, metric, _ in _BY_STATEMENT
        ),
        units={statement: "ms" for statement, _, _ in _BY_STATEMENT},
        width=12,
        sort="SELECT",
        transformations=joined(name, "Table", tuple(statement for statement, _, _ in _BY_STATEMENT)),
    )
    most = table(
        "Most time",
        "Seconds spent inside DuckDB over the time shown, by table and statement: where it pays to look first.",
        *(
            Query(
                f"{_SEE.increase(metric, name, suffix='_sum', window='$__range')} / 1000", instant=True, format="table"
            )
            for _, metric, _ in _BY_STATEMENT
        ),
        units={statement: "s" for statement, _, _ in _BY_STATEMENT},
        width=12,
        sort="SELECT",
        transformations=joined(name, "Table", tuple(statement for statement, _, _ in _BY_STATEMENT)),
    )
    latencies = (
        lines(
            f"{statement} latency by table",
            f"Mean time of the {statement} statements on a table inside DuckDB. Dots lead to traces: of each table one"
            " of at most 100 ms, one of at most a second, and one of more.",
            Query(_SEE.mean(metric, name), f"{{{{{name}}}}}", exemplar=True),
            unit="ms",
            width=6,
        )
        for statement, metric, _ in _BY_STATEMENT
    )
    rates = (
        lines(
            f"{statement} by table",
            f"{statement} statements finished per second, by table.",
            Query(_SEE.total(metric, name), f"{{{{{name}}}}}"),
            unit="ops",
            width=6,
            stacked=True,
        )
        for statement, _, metric in _BY_STATEMENT
    )
    return (slowest, most, *latencies, *rates)


def _errors() -> tuple[Panel, ...]:
    duration = contract.OPERATION_DURATION
    failed = _SEE.rate(duration, _ERROR, suffix="_count", matchers=(f'{_ERROR}!=""',))
    by_statement = _SEE.rate(duration, _SUMMARY, _ERROR, suffix="_count", matchers=(f'{_ERROR}!=""',))
    return (
        lines(
            "Errors by type",
            "Operations that ended in an error, per second, by DuckDB's exception.",
            Query(failed, f"{{{{{_ERROR}}}}}", exemplar=True),
            unit="ops",
            width=12,
            stacked=True,
        ),
        lines(
            "Errors by statement",
            "The ten statements that fail most often, with their exceptions.",
            Query(f"topk(10, {by_statement})", f"{{{{{_SUMMARY}}}}}: {{{{{_ERROR}}}}}"),
            unit="ops",
            width=12,
        ),
    )


def _inside() -> tuple[Panel, ...]:
    operator = contract.OPERATOR_TYPE
    return (
        lines(
            "Thread time by operator",
            "What profiled queries spend their threads on, in milliseconds per second: 1000 is one core.",
            Query(_SEE.rate(contract.OPERATOR_TIME, operator), f"{{{{{operator}}}}}"),
            unit="ms",
            stacked=True,
        ),
        lines(
            "Rows by operator",
            "Rows that the operators of profiled queries produce per second.",
            Query(_SEE.rate(contract.OPERATOR_ROWS, operator), f"{{{{{operator}}}}}"),
            unit="rowsps",
        ),
        lines(
            "Rows fetched per operation",
            "The mean of the rows that the program fetched from one operation.",
            Query(_SEE.mean(contract.RETURNED_ROWS), "rows"),
            unit="short",
        ),
    )
