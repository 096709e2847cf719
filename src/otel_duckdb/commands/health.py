"""`otel-duckdb health`: one line and an exit code, for Docker, systemd and cron."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from otel_duckdb.commands._group import CommandError, echo_json
from otel_duckdb.commands._monitors import asked, monitors, statuses, with_monitor
from otel_duckdb.commands._options import Number
from otel_duckdb.monitor.client import MonitorError, act
from otel_duckdb.monitor.figures import bytes_text
from otel_duckdb.text import printable

if TYPE_CHECKING:
    from otel_duckdb.monitor.discovery import Announcement

_SEVERE: Final = ("critical", "emergency")


@click.command("health", short_help="Exit 0 if all is well, 1 if not, with one line.")
@click.option(
    "--memory-percent",
    type=Number(0, 100),
    default=85.0,
    show_default=True,
    help="Part of DuckDB's memory limit that may be used; 100 does not ask.",
)
@click.option(
    "--oldest-seconds",
    type=Number(0),
    default=0.0,
    help="Seconds that the oldest query may have run; 0 does not ask.",
)
@click.option(
    "--critical-hours",
    type=Number(0, 24),
    default=0.0,
    help="Hours in which no alert may have been critical, though it is over; 0 asks for open ones alone.",
)
@click.option(
    "--clean-up",
    is_flag=True,
    help="Where memory is over its limit, do of the automatic clean-up what is switched on in that program.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_monitor
def command(
    memory_percent: float,
    oldest_seconds: float,
    critical_hours: float,
    clean_up: bool,
    as_json: bool,
    pid: int | None,
) -> int:
    """Tell whether a monitor runs, and whether each program that has one is well.

    A program is well while no alert of the level critical or emergency is open, and what is asked by an option stays
    below its limit.
    """
    try:
        found = monitors(pid)
    except CommandError as error:
        if as_json:
            echo_json({"healthy": False, "reasons": [error.format_message()]})
            return 1
        raise
    reasons = []
    for monitor, status in zip(found, statuses(found), strict=True):
        if isinstance(status, CommandError):
            reasons.append(status.format_message())
            continue
        told = _reasons(status, memory_percent, oldest_seconds)
        if critical_hours:
            told += _past(asked(monitor, "/api/alerts")["resolved"], critical_hours)
        if clean_up and status["metrics"].get("memory", {}).get("duckdb_memory_percent", 0.0) > memory_percent:
            told.append(_cleaned_up(monitor))
        reasons += [f"{printable(monitor.program)} ({monitor.pid}): {reason}" for reason in told]
    if as_json:
        echo_json({"healthy": not reasons, "reasons": reasons})
    elif reasons:
        click.echo(f"unhealthy: {'; '.join(reasons)}")
    else:
        names = dict.fromkeys(f"{printable(each.program)} ({each.pid})" for each in found)  # one may have two monitors
        click.echo(f"healthy: {', '.join(names)}")
    return 1 if reasons else 0


def _reasons(status: dict[str, Any], memory_percent: float, oldest_seconds: float) -> list[str]:
    summary, metrics = status["summary"], status["metrics"]
    if metrics["timestamp"] is None:
        return ["no sample was taken yet"]
    reasons = []
    if summary["status"] in _SEVERE:
        reasons.append(f"{summary['status']}: {'; '.join(map(printable, summary['reasons']))}")
    used = metrics["memory"]["duckdb_memory_percent"]
    if used > memory_percent:
        reasons.append(f"DuckDB uses {used:.1f} % of its memory limit, over {memory_percent:g} %")
    oldest = metrics["queries"]["oldest_seconds"]
    if oldest_seconds and oldest > oldest_seconds:
        reasons.append(f"a query has run for {oldest:.0f} s, over {oldest_seconds:g} s")
    return reasons


def _past(resolved: list[dict[str, Any]], hours: float) -> list[str]:
    since = datetime.now(UTC) - timedelta(hours=hours)
    past = [
        alert
        for alert in resolved
        if alert["worst_level"] in _SEVERE and datetime.fromisoformat(alert["ended"]) >= since
    ]
    return [f"{len(past)} critical in {hours:g} h, at last {printable(past[0]['message'])}"] if past else []


def _cleaned_up(monitor: Announcement) -> str:
    try:
        results = act(monitor, "/api/cleanup")["results"]
    except MonitorError as error:
        return f"no clean-up: {error}"
    freed = bytes_text(sum(each["freed_bytes"] for each in results))
    return f"cleaned up, freed {freed}" if results else "no clean-up: OTEL_DUCKDB_MONITOR_ACTIONS switches no action on"
