"""`otel-duckdb cleanup`: do by hand what a monitor's clean-up does, or say what it would do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click
from rich.cells import cell_len
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from otel_duckdb.commands._console import console
from otel_duckdb.commands._group import CommandError, echo_json
from otel_duckdb.commands._monitors import monitors, statuses, tell, with_monitor
from otel_duckdb.monitor.client import MonitorError, act
from otel_duckdb.monitor.figures import bytes_text, duration_text
from otel_duckdb.text import printable

if TYPE_CHECKING:
    from otel_duckdb.monitor.discovery import Announcement

_DETAIL: Final = 20
"""Columns for what was done; where fewer are left, it stands below its action."""


@click.command("cleanup", short_help="Give memory and disk back, as far as it is switched on.")
@click.option("--force", is_flag=True, help="The clean-up of an emergency: also raise the limit and empty the cache.")
@click.option("--dry-run", is_flag=True, help="Do nothing; say what each action would do.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_monitor
def command(force: bool, dry_run: bool, as_json: bool, pid: int | None) -> int:
    """Do what the clean-up of each monitor may do: OTEL_DUCKDB_MONITOR_ACTIONS of its program switches actions on.

    No statement that runs is ended, and no data is lost, also with --force. Exit code 1 if an action failed, or none is
    switched on.
    """
    code = 0
    results, failures = [], []
    for monitor in monitors(pid):
        try:
            answer = act(monitor, "/api/cleanup", {"emergency": force, "dry_run": dry_run})
        except MonitorError as error:  # the others are cleaned up all the same
            failures.append(CommandError(str(error)))
            continue
        title = f"{printable(monitor.program)} (process {monitor.pid})"
        results.append({"pid": monitor.pid, "dry_run": dry_run, **answer})
        code = max(code, _code(answer["results"]))
        if as_json:
            continue
        if answer["results"]:
            _draw(title, answer["results"], dry_run=dry_run)
        else:
            click.echo(f"{title}: nothing was done; {_why_nothing(monitor)}")
    if as_json:
        echo_json(results)
    tell(failures)
    return 1 if failures else code


def _code(actions: list[dict[str, Any]]) -> int:
    return 1 if not actions or any(action["outcome"] == "failed" for action in actions) else 0


def _why_nothing(monitor: Announcement) -> str:
    (status,) = statuses([monitor])
    if not isinstance(status, CommandError) and not status["databases"]:
        return "no database is known"
    return "no action is switched on, by OTEL_DUCKDB_MONITOR_ACTIONS of the program; --dry-run says what each would do"


def _draw(title: str, actions: list[dict[str, Any]], *, dry_run: bool) -> None:
    rows = [
        [printable(cell) for cell in (one["action"], one["database"], one["outcome"], one["detail"] + _figures(one))]
        for one in actions
    ]
    out = console()
    if out.width - sum(max(cell_len(row[column]) + 2 for row in rows) for column in range(3)) < _DETAIL:
        click.echo(title)
        for action, database, outcome, detail in rows:
            out.print(Text(f"{action} {database}: {outcome}"), Padding(Text(detail), (0, 0, 0, 2)))
    else:
        table = Table(title=title, title_justify="left", title_style="", box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for name in ("action", "database", "outcome", "detail"):
            table.add_column(name, no_wrap=name in {"action", "outcome"}, overflow="fold")
        for row in rows:
            table.add_row(*map(Text, row))
        out.print(table)
    if not dry_run:
        click.echo(f"freed: {bytes_text(sum(action['freed_bytes'] for action in actions))}")


def _figures(action: dict[str, Any]) -> str:
    """What the process held before and after, and how long it took; nothing of what was not done."""
    before, after = action["before"].get("resident"), action["after"].get("resident")
    if after is None:
        return ""
    return f" ({bytes_text(before)} to {bytes_text(after)} resident, {duration_text(action['seconds'] * 1e3)})"
