"""`otel-duckdb monitor`: a monitor for a file that no other process has open."""

from __future__ import annotations

import signal
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import click

from otel_duckdb.commands._console import console
from otel_duckdb.commands._group import CommandError, echo_json, flush_output
from otel_duckdb.commands._monitors import monitored
from otel_duckdb.commands._options import DatabaseFile, Number
from otel_duckdb.commands._systemd import ServiceManager
from otel_duckdb.commands.status import draw
from otel_duckdb.monitor.holders import holders
from otel_duckdb.telemetry.locks import make_event
from otel_duckdb.text import printable

if TYPE_CHECKING:
    import threading
    from pathlib import Path
    from types import FrameType

    from otel_duckdb.monitor import Monitor

_THERE: Final = "set OTEL_DUCKDB_MONITOR=true there, then run otel-duckdb status"
_MISSED: Final = 3
"""Samples that may be missing before a monitor is taken to hang."""


@click.command("monitor", short_help="Watch a database file that no other process has open.")
@click.argument("database", type=DatabaseFile())
@click.option("--interval", type=Number(0.1, 3600), default=30.0, show_default=True, help="Seconds between two looks.")
@click.option("--web/--no-web", "serve", default=True, show_default=True, help="Serve the API.")
@click.option("--port", type=click.IntRange(0, 65_535), help="Port of the API; else 3001, or the next free one.")
@click.option("--read-only", is_flag=True, help="Open the file so that others may read it, too.")
@click.option("--json", "as_json", is_flag=True, help="Print each status as JSON.")
def command(database: Path, interval: float, serve: bool, port: int | None, read_only: bool, as_json: bool) -> int:
    """Open DATABASE, and tell its status at each interval until Ctrl-C or SIGTERM.

    A file that a program has open is watched inside that program: set OTEL_DUCKDB_MONITOR=true there.
    """
    _refuse_what_is_held(database, reading=read_only)
    import duckdb  # noqa: PLC0415 - a wrong option is told without it

    from otel_duckdb.instrumentor import DuckDBInstrumentor  # noqa: PLC0415 - a wrong option is told without it
    from otel_duckdb.monitor import Monitor  # noqa: PLC0415 - a wrong option is told without it

    ending, manager = make_event(), ServiceManager()
    _end_by_signal(ending)
    monitor = Monitor(interval_ms=interval * 1e3, serve=None if serve else False, port=port)
    if not monitor.settings.monitoring:
        raise click.UsageError("the feature monitoring is off, by OTEL_DUCKDB_FEATURES or OTEL_DUCKDB_FEATURES_FILE")
    # This process has one monitor, the one made here.
    DuckDBInstrumentor().instrument(monitor=False, features={}, features_file="")
    try:
        connection = duckdb.connect(str(database), read_only=read_only)
    except duckdb.Error as error:
        raise CommandError(_opening(database, error)) from error
    with connection, monitor:
        if monitor.port is not None and not as_json:
            click.echo(f"the page is at {monitor.address}, the API at {monitor.address}api/status")
            if sys.stdout.isatty():  # a file or a journal may be read by others
                click.echo(f"who acts there enters this token: {monitor.token}")
        _watch(monitor, interval, ending, manager, as_json=as_json)
        manager.stopping()
    return 0


def _watch(
    monitor: Monitor, interval: float, ending: threading.Event, manager: ServiceManager, *, as_json: bool
) -> None:
    out = console()
    while monitor.status()["metrics"]["timestamp"] is None:
        if ending.wait(0.05):
            return
    manager.ready(_word(monitor.status()))
    due = seen_at = time.monotonic()
    seen = ""
    while True:
        status = monitor.status()
        if status["metrics"]["timestamp"] != seen:
            seen, seen_at = status["metrics"]["timestamp"], time.monotonic()
        if time.monotonic() >= due:
            due = time.monotonic() + interval
            if as_json:
                echo_json(status)
            else:
                draw(status, out)
            flush_output()
        if time.monotonic() - seen_at < _MISSED * interval + 1:  # else it hangs, and gives no sign of life
            manager.alive(_word(status))
        pause = due - time.monotonic()
        if manager.watchdog_seconds is not None:
            pause = min(pause, manager.watchdog_seconds / 2)
        if ending.wait(max(0.0, pause)):
            return


def _word(status: dict[str, Any]) -> str:
    summary = status["summary"]
    return "; ".join([summary["status"], *summary["reasons"]])


def _end_by_signal(ending: threading.Event) -> None:
    def end(_number: int, _frame: FrameType | None) -> None:
        ending.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


def _refuse_what_is_held(database: Path, *, reading: bool) -> None:
    """Say who has the file open, before DuckDB is imported to be told the same."""
    if sys.platform != "linux":  # DuckDB itself is asked there
        return
    known = monitored()
    for holder in holders(database):
        if holder.writes or not reading:
            process = "" if holder.pid is None else f"process {holder.pid}: "
            way = f"its monitor runs: otel-duckdb status --pid {holder.pid}" if holder.pid in known else _THERE
            raise CommandError(f"{printable(str(database))} is open in {process}{holder.program}; {way}")


def _opening(database: Path, error: Any) -> str:
    text, name = printable(str(error)), printable(str(database))
    if "Conflicting lock" in text or "being used by another process" in text:
        holder = text.partition("held in ")[2].partition(". See")[0]
        where = f"process {holder}" if holder else "another process"
        return f"{name} is open in {where}; {_THERE}"
    if "encrypted database" in text:
        return f"{name} is encrypted, and its key is not known here; watch it in the program that has it: {_THERE}"
    return f"{name} cannot be opened: {text}"
