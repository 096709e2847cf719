"""The alerts on the sync to ClickHouse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_duckdb import contract
from otel_duckdb.rules.alert import DURATION, FIGURE, MINUTE, WHERE, Alert, Culprit, Severity
from otel_duckdb.rules.condition import Condition, Measure
from otel_duckdb.rules.expressions import DATABASES, PROGRAM, grown_by, summed

if TYPE_CHECKING:
    from otel_duckdb.rules.thresholds import Thresholds

_TABLES: Final = (*DATABASES, contract.TABLE_NAME)


def failing(limits: Thresholds) -> Alert:
    """Attempts that fail, over all lives of a program."""
    window = limits.duration(10 * MINUTE)
    name, table = contract.SYNC_FAILURE.prometheus_name, contract.TABLE_NAME
    return Alert(
        "DuckDBSyncFailing",
        Severity.WARNING,
        f"{summed(grown_by(name, 10 * MINUTE, limits), (*PROGRAM, contract.DATABASE))} > {limits.sync_failures:g}",
        "0s",  # the window has waited already
        f"{WHERE}: {FIGURE} sync attempts to ClickHouse failed within {window}",
        f"More than {limits.sync_failures:g} sync attempts failed within {window}, counted over all restarts of the"
        " program."
        " Nothing is lost: rows wait in the buffer.",
        "The culprit names the tables. On the sync dashboard, which fail and how many rows wait; the sync's traces"
        " name each"
        " retry's error.",
        "ClickHouse down or refusing: bring it back, the sync goes on by itself. What the buffer or the target has"
        " become: docs/sync.md, When it stops, says for each message what to do. Wrong password: set it anew and start"
        " the program again.",
        ("sync", "Failures"),
        Culprit(
            f"topk(3, sum by ({table}) (last_over_time({name}{{job={{{{ $labels.job }}}}}}[{window}])) > 0)", table
        ),
        traced=True,
        condition=Condition(
            Measure.GROWTH,
            contract.SYNC_FAILURE,
            limits.sync_failures,
            window=limits.seconds(10 * MINUTE),
            by=(contract.DATABASE,),
        ),
    )


def lag(limits: Thresholds) -> Alert:
    """Rows that wait for too long."""
    return Alert(
        "DuckDBSyncLagHigh",
        Severity.WARNING,
        f"max by ({', '.join(_TABLES)}) ({contract.SYNC_LAG.prometheus_name}) > {limits.sync_lag_seconds:g}",
        limits.duration(5 * MINUTE),
        f"{WHERE}: {{{{ $labels.table_name }}}} is {DURATION} behind in ClickHouse",
        f"For over {limits.sync_lag_seconds:g} s the rows of a table were not wholly acknowledged by ClickHouse.",
        "On the sync dashboard, whether attempts fail, or whether rows come faster than they are sent.",
        "Failing attempts: see DuckDBSyncFailing. No attempts: see DuckDBSyncStopped. Else send larger batches, sync"
        " more often,"
        " or write fewer rows.",
        ("sync", "Lag by table"),
        traced=True,
        condition=Condition(
            Measure.VALUE,
            contract.SYNC_LAG,
            limits.sync_lag_seconds,
            limits.seconds(5 * MINUTE),
            by=(contract.DATABASE, contract.TABLE_NAME),
            unit="s",
        ),
    )


def stopped(limits: Thresholds) -> Alert:
    """Rows wait, and nobody tries to send any of their database.

    Who ends with rows that wait is not alerted on: the gauge must still be there, for what it was stays in its window
    for longer than the alert waits. A sync is judged once it is older than the window, in which a first pass that takes
    long has sent nothing yet. All tables of a database are sent by one sync, a few at a time: one that waits for
    its turn behind a large one has not stopped.
    """
    window = limits.duration(limits.sync_stopped_seconds)
    attempts = " or ".join(
        f"sum by ({', '.join(DATABASES)}) (changes({one.prometheus_name}[{window}])) > 0"
        for one in (contract.SYNC_SUCCESS, contract.SYNC_FAILURE, contract.SYNC_RETRIES)
    )
    pending = contract.SYNC_PENDING_ROWS.prometheus_name
    return Alert(
        "DuckDBSyncStopped",
        Severity.CRITICAL,
        f"sum by ({', '.join(_TABLES)}) (min_over_time({pending}[{window}]) and {pending}"
        f" and last_over_time({pending}[{window}] offset {window})) > 0\n"
        f"unless on ({', '.join(DATABASES)}) ({attempts})",
        window,
        f"{WHERE}: the sync of {{{{ $labels.table_name }}}} has stopped, and {FIGURE} rows or more wait",
        f"Rows of a table wait to be sent to ClickHouse, and for {window} nobody tried to send any of its database: the"
        " sync was stopped, its thread has"
        " ended, or the program does not call it any more. Nothing is lost: rows wait in the buffer.",
        "On the sync dashboard, the rows that wait and the attempts; in the program's log, why its loop ended. How far"
        " each table is, the program itself can tell (Sync.status(), or the page of its monitor); where none has the"
        " buffer open, otel-duckdb sync sync.toml --status.",
        "Start again the program that syncs. Where none has the buffer open, otel-duckdb sync sync.toml sends what"
        " waits, with --watch from then on. A sync that is meant to run seldom:"
        " otel-duckdb rules --sync-stopped-seconds 7200. Else silence this alert.",
        ("sync", "Rows waiting by table"),
    )
