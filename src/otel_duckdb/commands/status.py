"""`otel-duckdb status`: what the monitors of this machine say."""

from __future__ import annotations

import os
from dataclasses import asdict
from shlex import quote
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from otel_duckdb.commands._console import console
from otel_duckdb.commands._group import CommandError, echo_json
from otel_duckdb.commands._monitors import monitored, monitors, one_monitor, statuses, tell, with_monitor
from otel_duckdb.commands._options import DatabaseFile
from otel_duckdb.files import is_database
from otel_duckdb.monitor.figures import bytes_text, duration_text, shown_time
from otel_duckdb.monitor.holders import holders
from otel_duckdb.text import printable

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from otel_duckdb.monitor.holders import Holder

_STYLES = {"healthy": "green", "warning": "yellow", "critical": "bold red", "emergency": "bold red"}


@click.command("status", short_help="Tell how the programs that run with a monitor are.")
@click.argument("file", required=False, type=DatabaseFile())
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one object, or a list of them where several run.")
@click.option("--token", is_flag=True, help="Print only the token that lets you act, on the page too.")
@with_monitor
def command(file: Path | None, as_json: bool, token: bool, pid: int | None) -> int:
    """Tell how each program of this machine and user is whose monitor runs; of FILE, which process has it open.

    Exit code 0 if all are healthy, 1 if one is not, or none runs.
    """
    if token:
        click.echo(one_monitor(pid).token)
        return 0
    if file is not None:
        return _of_file(file, as_json)
    told = statuses(monitors(pid))
    found = [each for each in told if not isinstance(each, CommandError)]
    failures = [each for each in told if isinstance(each, CommandError)]
    if not found:
        tell(failures[1:])
        raise failures[0]
    if as_json:
        echo_json(found[0] if len(found) == 1 else found)
    else:
        out = console()
        for status in found:
            draw(status, out)
    tell(failures)
    return 0 if all(map(_is_well, found)) and not failures else 1


def _is_well(status: dict[str, Any]) -> bool:
    return status["summary"]["status"] in {"healthy", "warning"}


def _of_file(file: Path, as_json: bool) -> int:
    """Tell who has a database file open, and what its monitor says."""
    known = monitored()
    told: list[tuple[Holder, dict[str, Any] | None, bool]] = []
    for holder in holders(file):
        monitor = known.get(holder.pid or 0)
        (answer,) = statuses([monitor]) if monitor else (None,)
        if isinstance(answer, CommandError):  # who holds the file is told all the same
            tell([answer])
        told.append((holder, None if isinstance(answer, CommandError) else answer, monitor is not None))
    if as_json:
        echo_json({"file": str(file), "held_by": [{**asdict(holder), "status": status} for holder, status, _ in told]})
    else:
        _draw_holders(file, told)
    return 0 if told and all(status is not None and _is_well(status) for _, status, _ in told) else 1


def _draw_holders(file: Path, told: list[tuple[Holder, dict[str, Any] | None, bool]]) -> None:
    name, out = printable(str(file)), console()
    if not told:
        way = f"`otel-duckdb monitor {printable(quote(str(file)))}` watches it"
        watchable = is_database(file) or not os.access(file, os.R_OK)
        click.echo(f"no process has {name} open; {way if watchable else 'it is no database of DuckDB'}")
    for holder, status, is_monitored in told:
        process = "" if holder.pid is None else f"process {holder.pid}: "
        way = "" if holder.writes else ", for reading alone"
        click.echo(f"{name} is open in {process}{holder.program}{way}")
        if status is not None:
            draw(status, out)
        elif not is_monitored:
            out.print(Text("  it has no monitor; OTEL_DUCKDB_MONITOR=true there starts one"))


def draw(status: dict[str, Any], out: Console) -> None:
    """Print one status."""
    summary, metrics, process = status["summary"], status["metrics"], status["process"]
    word = summary["status"]
    title = Text.assemble(f"{process['program']} (process {process['pid']}): ", (word, _STYLES.get(word, "")))
    if summary["since"] is not None:
        title.append(f", since {shown_time(summary['since'])}", style="dim")
    out.print(title)
    for reason in summary["reasons"]:
        out.print(Text(f"  {reason}"))
    if metrics["timestamp"] is None:
        out.print("  no sample was taken yet")
        return
    memory, queries, disk = metrics["memory"], metrics["queries"], metrics["disk"]
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    if len(status["databases"]) == 1:
        table.add_row("  database", Text(status["databases"][0]["name"]))
    where = " in the fullest database" if len(status["databases"]) > 1 else ""
    limit = f"{memory['duckdb_memory_percent']:.1f} % of the limit of {bytes_text(memory['duckdb_memory_limit_bytes'])}"
    used = f"{bytes_text(memory['duckdb_memory_bytes'])}, {limit}{where}"
    resident = bytes_text(memory["resident_bytes"])
    table.add_row("  memory", f"{used if status['databases'] else 'no database is known'}; process {resident}")
    table.add_row("  processors", f"{metrics['system']['cpu_usage_percent']:.0f} % of the machine")
    oldest = f", oldest {duration_text(queries['oldest_seconds'] * 1e3)}" if queries["active_queries"] else ""
    table.add_row("  queries", f"{queries['active_queries']} active{oldest}, {queries['per_second']:.1f} a second")
    spilled = f", temporary {bytes_text(disk['temporary_bytes'])}" if disk["temporary_bytes"] else ""
    if status["databases"]:
        table.add_row("  disk", f"{bytes_text(disk['used_bytes'])}, WAL {bytes_text(disk['wal_bytes'])}{spilled}")
    transactions = metrics["transactions"]
    table.add_row(
        "  connections",
        f"{metrics['connections']['open']} open; transactions: {transactions['succeeded']} kept,"
        f" {transactions['failed']} failed",
    )
    out.print(table)
    if len(status["databases"]) > 1:
        _draw_databases(status["databases"], out)


def _draw_databases(databases: list[dict[str, Any]], out: Console) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("  database")
    for name in ("memory", "disk", "WAL", "connections", "active"):
        table.add_column(name, justify="right")
    for each in databases:
        table.add_row(
            Text(f"  {each['name']}"),
            bytes_text(each["memory_bytes"]),
            bytes_text(each["disk_bytes"]),
            bytes_text(each["wal_bytes"]),
            str(each["connections"]),
            str(each["active_queries"]),
        )
    out.print(table)
