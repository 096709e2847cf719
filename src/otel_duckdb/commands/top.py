"""`otel-duckdb top`: the statements that take the time, live."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from otel_duckdb.commands._console import console, cut_off
from otel_duckdb.commands._group import CommandError, echo_json
from otel_duckdb.commands._monitors import asked, one_monitor, with_monitor
from otel_duckdb.commands._options import Number
from otel_duckdb.commands._signals import ending_in_order
from otel_duckdb.monitor.figures import bytes_text, duration_text, shown_time
from otel_duckdb.monitor.statements.statistics import SORTS
from otel_duckdb.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rich.console import JustifyMethod, RenderableType

    from otel_duckdb.monitor.discovery import Announcement

_MOST = 1000
_STATEMENT = 20
"""Columns that a statement has at least."""
_LESS = ("rows", "p95", "share", "mean", "calls")
"""Figures that are left out where it has not, the least first."""


@click.command("top", short_help="Show live which statements take the time.")
@click.option("--sort", type=click.Choice(list(SORTS)), default="total", show_default=True, help="What comes first.")
@click.option("--filter", "word", help="Only statements that have this text in them.")
@click.option("--database", help="Only statements of this database, by its name in the metrics.")
@click.option(
    "--limit", type=click.IntRange(1, _MOST), default=20, show_default=True, help="Statements that are shown."
)
@click.option("--interval", type=Number(0.2), default=2.0, show_default=True, help="Seconds between two looks.")
@click.option("--once", is_flag=True, help="Print one table, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, and end.")
@with_monitor
@ending_in_order()
def command(
    sort: str,
    word: str | None,
    database: str | None,
    limit: int,
    interval: float,
    once: bool,
    as_json: bool,
    pid: int | None,
) -> int:
    """Show what pg_stat_statements is to PostgreSQL: statement shapes, without their literals, and what they took.

    Ctrl-C ends it.
    """
    monitor = one_monitor(pid)
    asking = {"sort": sort, "limit": _MOST if word else limit, "database": database}
    found = _look(monitor, asking, word, limit)
    if as_json:
        echo_json(found)
        return 0
    out = console()
    if once or not out.is_terminal or out.is_dumb_terminal:
        out.print(_table(found, sort, out.width))
        return 0
    try:
        with Live(console=out, auto_refresh=False, screen=True) as live:
            while True:
                live.update(_screen(monitor, found, asked(monitor, "/api/running"), sort, out.width), refresh=True)
                time.sleep(interval)
                found = _look(monitor, asking, word, limit)
    except KeyboardInterrupt:
        return 0
    except CommandError as error:
        told = error.format_message()
        raise CommandError(told if " is stopped" in told else f"{told}; the program may have ended") from None


def _look(monitor: Announcement, asking: dict[str, Any], word: str | None, limit: int) -> dict[str, Any]:
    found = asked(monitor, "/api/statements", **asking)
    if word:
        wanted = word.lower()
        found["statements"] = [each for each in found["statements"] if wanted in each["text"].lower()][:limit]
    return found


def _screen(
    monitor: Announcement, found: dict[str, Any], running: dict[str, Any], sort: str, width: int
) -> RenderableType:
    title = Text(
        f"{printable(monitor.program)} (process {monitor.pid}), since {shown_time(found['since'])}; Ctrl-C ends",
        style="dim",
    )
    parts: list[RenderableType] = [title]
    if running["operations"]:
        parts += [Text(), Text("Running now", style="bold"), _running(running["operations"], width)]
    for each in running["pool_requests"][:5]:
        waited = duration_text(each["seconds"] * 1e3)
        parts.append(Text(f"{printable(each['thread'])} waits for a connection of the pool {each['pool']}, {waited}"))
    return Group(*parts, Text(), _table(found, sort, width))


def _running(operations: list[dict[str, Any]], width: int) -> Table:
    shown = operations[:5]
    figures = {
        "id": [str(each["id"]) for each in shown],
        "elapsed": [duration_text(each["elapsed_seconds"] * 1e3) for each in shown],
        "phase": [each["phase"] for each in shown],
        "rows": ["-" if each["rows"] is None else f"{each['rows']:,}" for each in shown],
    }
    return _fitting(figures, [Text(printable(each["text"])) for each in shown], width, ("rows", "phase"))


def _table(found: dict[str, Any], sort: str, width: int) -> Table:
    columns: dict[str, Callable[[dict[str, Any]], str]] = {
        "total": lambda each: duration_text(each["total_ms"]),
        "share": lambda each: f"{each['share']:.1%}",
        "calls": lambda each: f"{each['calls']:,}",
        "mean": lambda each: duration_text(each["mean_ms"]),
        "p95": lambda each: duration_text(each["p95_ms"]),
        "rows": lambda each: f"{each['rows']:,}",
    }
    further: dict[str, Callable[[dict[str, Any]], str]] = {
        "max": lambda each: duration_text(each["max_ms"]),
        "errors": lambda each: f"{each['errors']:,}",
        "spilled": lambda each: bytes_text(each["spilled_bytes"]),
        "memory": lambda each: bytes_text(each["peak_memory_bytes"]),
        "last": lambda each: each["last_seen"][11:19],
    }
    if sort in further:
        columns[sort] = further[sort]
    statements = [_statement(each) for each in found["statements"]]
    rows = list(found["statements"])
    if found["remainder"] is not None:
        rows.append(found["remainder"])
        statements.append(Text(f"{found['dropped']} other statements"))
    figures = {name: [tell(each) for each in rows] for name, tell in columns.items()}
    return _fitting(figures, statements, width, [name for name in _LESS if name != sort], sort)


def _statement(each: dict[str, Any]) -> Text:
    marks = "plan got slower: " if each["plan_regression"] else ""
    failed = f"{each['errors']:,} failed: " if each["errors"] else ""
    return Text.assemble((marks + failed, "red"), printable(each["text"]))


def _fitting(
    figures: dict[str, list[str]], statements: list[Text], width: int, less: Iterable[str], bold: str = ""
) -> Table:
    """Figures and statements; where it is narrow, `less` are left out one by one, for the sake of the statement."""
    widths = {name: max(map(len, (name, *cells))) + 2 for name, cells in figures.items()}
    for name in less:
        if sum(widths.values()) > width - _STATEMENT:
            del widths[name]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=True)
    for name in widths:
        justify: JustifyMethod = "left" if name == "phase" else "right"
        table.add_column(name, justify=justify, no_wrap=True, style="bold" if name == bold else None)
    table.add_column("statement", no_wrap=True, overflow=cut_off(), ratio=1)
    for number, statement in enumerate(statements):
        table.add_row(*(figures[name][number] for name in widths), statement)
    return table
