"""The alerts on what programs ask of DuckDB: latency, long queries, errors, connections, pools, transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_duckdb import contract
from otel_duckdb.rules.alert import DURATION, FIGURE, MINUTE, SHARE, WHERE, Alert, Culprit, Severity
from otel_duckdb.rules.condition import Condition, Measure
from otel_duckdb.rules.expressions import DATABASES, PROGRAM, grown_by, quantile, rate, summed
from otel_duckdb.rules.latency import ASKED, ProgramLatency, latencies

if TYPE_CHECKING:
    from otel_duckdb.rules.thresholds import Thresholds

_BUCKETS: Final = f"{contract.QUERY_LATENCY.prometheus_name}_bucket"
_OPERATIONS: Final = f"{contract.OPERATION_DURATION.prometheus_name}_count"
_ERROR: Final = contract.ERROR_TYPE.replace(".", "_")
_SUMMARY: Final = contract.DB_QUERY_SUMMARY.replace(".", "_")
_POOL: Final = contract.DB_POOL_NAME.replace(".", "_")
_HERE: Final = "job={{ $labels.job }}"
_BY_TABLE: Final = (contract.SELECT_LATENCY, contract.INSERT_LATENCY, contract.UPDATE_LATENCY, contract.DELETE_LATENCY)


def latency(limits: Thresholds, special: tuple[ProgramLatency, ...]) -> Alert:
    """Operations that take too long, all the time."""
    window = limits.duration(5 * MINUTE)
    by = ("job", "instance", contract.QUERY_TYPE)

    def asked(matchers: tuple[str, ...], threshold: float) -> str:
        chosen = ", ".join(matchers)
        often = summed(f'rate({_BUCKETS}{{{chosen}, le="+Inf"}}[{window}])', by)
        slow = quantile(0.95, f"{_BUCKETS}{{{chosen}}}", window, by)
        return f"({slow} > {threshold:.15g}\n  and {often} >= {limits.latency_min_per_second:g}) / 1000"

    slowest = " or ".join(
        f"topk(1, sum by ({contract.TABLE_NAME}) (rate({one.prometheus_name}_sum{{{_HERE}}}[{window}])) > 0)"
        for one in _BY_TABLE
    )
    return Alert(
        "DuckDBQueryLatencyHigh",
        Severity.WARNING,
        "\nor ".join(asked(*one) for one in latencies(limits.latency_ms, special)),
        # As long as the window: a single slow query has left the window before the alert can fire.
        window,
        f"{WHERE}: 95 % of the {{{{ $labels.{contract.QUERY_TYPE} }}}} operations take up to {DURATION}",
        f"More than 5 % of the operations of one type ({ASKED.replace('|', ', ')}) took over {limits.latency_ms:g} ms"
        " inside"
        f" DuckDB, for {window} on end. Programs with fewer than {limits.latency_min_per_second:g} such operations a"
        " second"
        " are not asked: a batch job or a notebook is not slow because its few statements take their time.",
        "The culprit names the tables on which most time is spent. On the queries dashboard, the slowest tables and the"
        " heatmap's exemplars, which lead to traces; on the engine dashboard, whether DuckDB spills at the same time;"
        " in the"
        " logs, duckdb.slow_query.",
        "Read the plan on a slow trace. Give the query a filter or fewer columns, the table a better order, DuckDB more"
        " memory (SET memory_limit, within what the machine has) or threads. A batch job that is meant to be slow:"
        " give it a"
        " threshold of its own (otel-duckdb rules --latency-ms-of nightly=60000, or =off), or silence it (amtool"
        " --alertmanager.url=http://localhost:9093 silence add alertname=DuckDBQueryLatencyHigh job=nightly"
        " --duration=8h --comment=nightly).",
        ("queries", "95th percentile by type"),
        Culprit(slowest, contract.TABLE_NAME),
        traced=True,
    )


def running(limits: Thresholds) -> Alert:
    """An operation that does not end."""
    age = contract.OLDEST_QUERY.prometheus_name
    return Alert(
        "DuckDBQueryRunningLong",
        Severity.WARNING,
        f"{age} > {limits.running_query_seconds:g}",
        "0s",  # the age has waited already
        f"{WHERE}: a query has been running for {DURATION}",
        f"An operation has been at work inside DuckDB for more than {limits.running_query_seconds:g} s and has not"
        " ended:"
        " one that hangs, waits for a lock, or is far larger than was thought. Latency says nothing of it before it"
        " ends.",
        "On the queries dashboard, the oldest running query and the operations at work; on the engine dashboard,"
        " whether it"
        " spills. Its span is sent when it ends.",
        "Stop it where it is not wanted: on the page of the program's monitor; with kill -INT and the process' number,"
        " which breaks off what its main thread runs; by connection.interrupt() from another of its threads; else end"
        " the program. Where such work is meant to take that long: otel-duckdb rules --running-query-seconds 3600.",
        ("queries", "Oldest running query"),
        condition=Condition(
            Measure.VALUE, contract.OLDEST_QUERY, limits.running_query_seconds, by=(contract.DATABASE,), unit="s"
        ),
    )


def out_of_memory(limits: Thresholds) -> Alert:
    """Operations that DuckDB gave up for want of memory."""
    window = limits.duration(5 * MINUTE)
    series = f'{_OPERATIONS}{{{_ERROR}="OutOfMemoryException"}}'
    return Alert(
        "DuckDBOutOfMemory",
        Severity.CRITICAL,
        f"{summed(grown_by(series, 5 * MINUTE, limits), PROGRAM)} > {limits.out_of_memory_errors:g}",
        "0s",
        f"{WHERE}: {FIGURE} operations failed within {window} because DuckDB had no memory left",
        f"More than {limits.out_of_memory_errors:g} operations ended in an OutOfMemoryException within {window}: what"
        " they"
        " needed did not fit into memory_limit and could not be spilled.",
        "The culprit names the statements. On the engine dashboard, memory by tag, the limit, and the temporary"
        " storage.",
        "Raise memory_limit within what the machine has; lower threads; SET preserve_insertion_order = false; give"
        " DuckDB a"
        " temp_directory with room, so that it can spill; run fewer heavy queries at once.",
        ("queries", "Errors by type"),
        Culprit(f'topk(3, sum by ({_SUMMARY}) ({_OPERATIONS}{{{_HERE}, {_ERROR}="OutOfMemoryException"}}))', _SUMMARY),
        traced=True,
        condition=Condition(
            Measure.ERRORS,
            contract.OPERATION_DURATION,
            limits.out_of_memory_errors,
            window=limits.seconds(5 * MINUTE),
            by=(contract.DATABASE,),
            error="OutOfMemoryException",
        ),
    )


def transactions(limits: Thresholds) -> Alert:
    """Transactions that fail."""
    window = limits.duration(5 * MINUTE)
    failed = summed(rate(contract.TRANSACTION_FAILURE, window), DATABASES)
    succeeded = summed(rate(contract.TRANSACTION_SUCCESS, window), DATABASES)
    return Alert(
        "DuckDBTransactionFailuresHigh",
        Severity.WARNING,
        # Where no transaction has ever succeeded there is no series to add, and all attempts are failures.
        f"{failed}\n/ (({failed} + {succeeded})\n  or {failed})\n> {limits.transaction_failure_ratio:g}",
        window,
        f"{WHERE}: {SHARE} of the transactions fail",
        f"Over {limits.transaction_failure_ratio:.0%} of the transactions ended in an error, a conflict or a rollback"
        " of"
        f" changes, for {window} on end.",
        "The culprit names the errors. On the queries dashboard, the errors by type and by statement; in Jaeger,"
        " spans with"
        " the error TransactionException.",
        "Conflicts: let one connection write a table, or try again after a conflict. Constraint errors: see to the"
        " data. A transaction that failed must be ended by ROLLBACK in the program. Rollbacks that the program wants:"
        " otel-duckdb rules --transaction-failure-ratio 0.5.",
        ("engine", "Transactions per second"),
        Culprit(
            f'topk(3, sum by ({_ERROR}) (rate({_OPERATIONS}{{{_HERE}, {_ERROR}!=""}}[{window}])) > 0)',
            _ERROR,
        ),
        traced=True,
        condition=Condition(
            Measure.GROWTH_SHARE,
            contract.TRANSACTION_FAILURE,
            limits.transaction_failure_ratio,
            limits.seconds(5 * MINUTE),
            contract.TRANSACTION_SUCCESS,
            window=limits.seconds(5 * MINUTE),
            by=(contract.DATABASE,),
            unit="share",
        ),
    )


def connections(limits: Thresholds) -> Alert:
    """Connects that fail, over all lives of a program."""
    window = limits.duration(5 * MINUTE)
    name, error = contract.FAILED_CONNECTIONS.prometheus_name, contract.ERROR_TYPE_LABEL
    return Alert(
        "DuckDBConnectionsFailing",
        Severity.CRITICAL,
        f"{summed(grown_by(name, 5 * MINUTE, limits), PROGRAM)} > {limits.failed_connections:g}",
        "0s",  # the window has waited already
        f"{WHERE}: {FIGURE} calls of duckdb.connect() failed within {window}",
        f"More than {limits.failed_connections:g} calls of duckdb.connect() raised within {window}, counted over all"
        " processes and restarts of the program: it cannot reach its data.",
        "The culprit names the errors. On the engine dashboard, the failed connects by error; the program's own log"
        " has the"
        " messages.",
        "IOException: another process holds the file's lock (one writes, or all read), or the path or its rights are"
        " wrong. SerializationException: the file is damaged; restore it. ConnectionException: the process has the"
        " file open with another configuration.",
        ("engine", "Failed connects by error"),
        Culprit(f"topk(3, sum by ({error}) (last_over_time({name}{{{_HERE}}}[{window}])) > 0)", error),
        condition=Condition(
            Measure.GROWTH, contract.FAILED_CONNECTIONS, limits.failed_connections, window=limits.seconds(5 * MINUTE)
        ),
    )


def pool(limits: Thresholds) -> Alert:
    """Requests that waited for a connection of a pool in vain."""
    window = limits.duration(5 * MINUTE)
    name = contract.POOL_TIMEOUTS.prometheus_name
    return Alert(
        "DuckDBPoolTimeouts",
        Severity.WARNING,
        f"{summed(grown_by(name, 5 * MINUTE, limits), ('job', _POOL))} > {limits.pool_timeouts:g}",
        "0s",
        f"{WHERE}: {FIGURE} requests for a connection of the pool {{{{ $labels.{_POOL} }}}} timed out within {window}",
        f"More than {limits.pool_timeouts:g} requests waited for a connection of a pool until they gave up, within"
        f" {window}: their work was not done.",
        "On the engine dashboard, the pool's connections in use against the most there may be, and how long they are"
        " used.",
        "Connections that are kept too long: give them back sooner, look for one that is never given back, see to the"
        " slow"
        " queries. Else a larger pool, or fewer workers.",
        ("engine", "Requests that wait, and that timed out"),
        condition=Condition(
            Measure.GROWTH,
            contract.POOL_TIMEOUTS,
            limits.pool_timeouts,
            window=limits.seconds(5 * MINUTE),
            by=(contract.DB_POOL_NAME,),
        ),
    )
