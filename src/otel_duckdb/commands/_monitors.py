"""What the commands that ask a monitor have in common: which one, and figures as a person reads them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from otel_duckdb.commands._group import CommandError
from otel_duckdb.monitor.client import MonitorError, ask
from otel_duckdb.monitor.discovery import Announcement, FolderError, running
from otel_duckdb.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_STATUS_SECONDS: Final = 3.0
"""Less than what Docker and systemd give a check of health."""
_NONE: Final = (
    "no monitor runs; start one in your program with OTEL_DUCKDB_MONITOR=true, or for a file with"
    " `otel-duckdb monitor FILE`"
)


def with_monitor(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option that chooses a monitor."""
    return click.option("--pid", type=int, help="The process whose monitor is asked, where several run.")(function)


def monitors(pid: int | None = None) -> list[Announcement]:
    """Return the monitors that run, or the one of that process.

    Raises:
        CommandError: there is none.
    """
    found = [each for each in running() if pid in (None, each.pid)]
    if not found:
        raise CommandError(
            _NONE if pid is None else f"no monitor runs in process {pid}; `otel-duckdb status` lists them"
        )
    return found


def one_monitor(pid: int | None = None) -> Announcement:
    """Return the monitor that runs, or the one of that process; of several in one process the oldest, which knows most.

    Raises:
        CommandError: there is none, or several processes have one.
    """
    found = sorted(monitors(pid), key=lambda each: each.started)
    if len({each.pid for each in found}) > 1:
        told = ", ".join(dict.fromkeys(f"{each.pid} ({printable(each.program)})" for each in found))
        raise CommandError(f"several monitors run; choose one with --pid: {told}")
    return found[0]


def asked(monitor: Announcement, path: str, **query: Any) -> dict[str, Any]:
    """Return what a monitor answers.

    Raises:
        CommandError: it gives no answer, or refuses.
    """
    try:
        return ask(monitor, path, **query)
    except MonitorError as error:
        raise CommandError(str(error)) from error


def monitored() -> dict[int, Announcement]:
    """The monitors that run, by their process; none where that cannot be known, for a file can be told of without."""
    try:
        return {monitor.pid: monitor for monitor in running()}
    except FolderError:
        return {}


def statuses(found: Sequence[Announcement]) -> list[dict[str, Any] | CommandError]:
    """What each monitor says of its program, or why it says nothing; all are asked at once, and none for long."""
    with ThreadPoolExecutor(max_workers=len(found) or 1) as pool:
        return list(pool.map(_status, found))


def _status(monitor: Announcement) -> dict[str, Any] | CommandError:
    try:
        return asked(monitor, "/api/status", within=_STATUS_SECONDS)
    except CommandError as error:
        return error


def tell(failures: Iterable[CommandError]) -> None:
    """Print a line on stderr for each."""
    for failure in failures:
        click.echo(f"otel-duckdb: {failure.format_message()}", err=True)


def same_file(path: str | None, wanted: Path) -> bool:
    """Whether a database's path is that file."""
    return path is not None and Path(path) == wanted.resolve()
