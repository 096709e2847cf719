"""`otel-duckdb monitor`: a monitor for a file that no other process has open."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from otel_duckdb.commands._group import CommandError, echo_json
from otel_duckdb.commands._monitors import console
from otel_duckdb.commands.status import draw
from otel_duckdb.text import printable

if TYPE_CHECKING:
    from types import FrameType

    from otel_duckdb.monitor import Monitor


@click.command("monitor", short_help="Watch a database file that no other process has open.")
@click.argument("database", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--interval", type=click.FloatRange(0.1, 3600), default=30.0, show_default=True, help="Seconds between two looks."
)
@click.option("--web/--no-web", "serve", default=True, show_default=True, help="Serve the API.")
@click.option("--port", type=click.IntRange(0, 65_535), help="Port of the API; else 3001, or the next free one.")
@click.option("--read-only", is_flag=True, help="Open the file so that others may read it, too.")
@click.option("--json", "as_json", is_flag=True, help="Print each status as JSON.")
def command(database: Path, interval: float, serve: bool, port: int | None, read_only: bool, as_json: bool) -> int:
    """Open DATABASE, and tell its status at each interval until Ctrl-C or SIGTERM.

    A file that a program has open is watched inside that program: set OTEL_DUCKDB_MONITOR=true there.
    """
    import duckdb  # noqa: PLC0415 - a wrong option is told without it

    from otel_duckdb.instrumentor import DuckDBInstrumentor  # noqa: PLC0415 - a wrong option is told without it
    from otel_duckdb.monitor import Monitor  # noqa: PLC0415 - a wrong option is told without it

    ending = threading.Event()
    _end_by_signal(ending)
    DuckDBInstrumentor().instrument()
    try:
        connection = duckdb.connect(str(database), read_only=read_only)
    except duckdb.Error as error:
        raise CommandError(_opening(database, error)) from error
    with connection, Monitor(interval_ms=interval * 1e3, serve=serve, port=port) as monitor:
        if monitor.port is not None and not as_json:
            click.echo(f"the page is at {monitor.address}, the API at {monitor.address}api/status")
            if sys.stdout.isatty():  # a file or a journal may be read by others
                click.echo(f"who acts there enters this token: {monitor.token}")
        _watch(monitor, interval, ending, as_json=as_json)
    return 0


def _watch(monitor: Monitor, interval: float, ending: threading.Event, *, as_json: bool) -> None:
    out = console()
    while monitor.status()["metrics"]["timestamp"] is None:
        if ending.wait(0.05):
            return
    while True:
        status = monitor.status()
        if as_json:
            echo_json(status)
        else:
            draw(status, out)
        if ending.wait(interval):
            return


def _end_by_signal(ending: threading.Event) -> None:
    def end(_number: int, _frame: FrameType | None) -> None:
        ending.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


def _opening(database: Path, error: Any) -> str:
    text = printable(str(error))
    if "Conflicting lock" in text or "being used by another process" in text:
        holder = text.partition("held in ")[2].partition(". See")[0]
        where = f"process {holder}" if holder else "another process"
        return f"{database} is open in {where}; set OTEL_DUCKDB_MONITOR=true there, then run otel-duckdb status"
    return f"{database} cannot be opened: {text}"
