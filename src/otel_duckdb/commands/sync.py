"""`otel-duckdb sync`: copies the tables that a TOML file names to ClickHouse, or tells how far they are."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from otel_duckdb import sync
from otel_duckdb.commands._group import CommandError, echo_json, missing_package
from otel_duckdb.sync.config import Config, load
from otel_duckdb.sync.errors import SyncConfigError, SyncError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from otel_duckdb.sync import Plan, Sync, TableReport, TableStatus

Row = TypeVar("Row", "TableStatus", "Plan")


@click.command("sync", short_help="Copy DuckDB tables to ClickHouse, each row once.")
@click.argument("configuration", type=click.Path(path_type=Path), default="sync.toml")
@click.option("--watch", is_flag=True, help="Go on until interrupted, with the pause that `interval` says.")
@click.option("--status", "show", is_flag=True, help="Tell what is stored, waiting and failing; send nothing.")
@click.option("--dry-run", is_flag=True, help="Check tables, types and target; tell what would be sent and run.")
@click.option("--reset", metavar="TABLE", help="Forget what was sent of a table, so that all its rows are sent anew.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(configuration: Path, *, watch: bool, show: bool, dry_run: bool, reset: str | None, as_json: bool) -> int:
    """Copy the tables that CONFIGURATION (a TOML file, sync.toml if left out) names to ClickHouse."""
    try:
        config = load(configuration)
    except SyncConfigError as error:
        raise click.UsageError(str(error)) from error
    try:
        if show:
            return _status(config, as_json)
        if dry_run:
            return _dry_run(config, as_json)
        if reset is not None:
            return _reset(config, reset)
        return _sync(config, watch, as_json)
    except SyncConfigError as error:
        raise click.UsageError(str(error)) from error
    except SyncError as error:
        raise CommandError(str(error)) from error
    except ModuleNotFoundError as error:
        raise missing_package("sync", error.name or "a package") from error


def _open(config: Config, progress: Callable[[str, int], None]) -> Sync:
    return sync.Sync(
        config.database,
        config.tables,
        config.target,
        batch=config.batch,
        retry=config.retry,
        parallel_tables=config.parallel_tables,
        progress=progress,
    )


def _require_database(config: Config) -> None:
    if not Path(config.database).exists():
        raise SyncConfigError(f"database is {config.database!r}, which does not exist")


def _status(config: Config, as_json: bool) -> int:
    _require_database(config)
    rows = sync.read_status(config.database, config.tables)
    _show(rows, as_json, lambda row: [_line(row)])
    return 0 if all(row.healthy for row in rows) else 1


def _dry_run(config: Config, as_json: bool) -> int:
    _require_database(config)
    plans = sync.read_plan(config)
    _show(plans, as_json, _plan_lines)
    return 0 if all(one.refusal is None for one in plans) else 1


def _show(rows: Sequence[Row], as_json: bool, lines: Callable[[Row], list[str]]) -> None:
    if as_json:
        echo_json([row.as_dict() for row in rows])
        return
    for row in rows:
        for line in lines(row):
            click.echo(line)


def _plan_lines(plan: Plan) -> list[str]:
    if plan.refusal is not None:
        return [f"{plan.name} -> {plan.target}: REFUSED: {plan.refusal}"]
    return [
        f"{plan.name} -> {plan.target}: {plan.rows} rows would be sent" + (", after" if plan.statements else ""),
        *(f"    {statement}" for statement in plan.statements),
    ]


def _line(row: TableStatus) -> str:
    parts = [f"{row.name} -> {row.target}: {row.acknowledged_rows} rows stored, {row.pending_rows} waiting"]
    if row.batch_on_its_way is not None:
        parts.append(f"batch {row.batch_on_its_way} on its way since {row.on_its_way_since}")
    if row.deleted_rows or row.dropped_rows:
        parts.append(f"{row.deleted_rows} deleted from the buffer after, {row.dropped_rows} dropped before")
    if row.caught_up:
        parts.append(f"caught up {row.caught_up}")
    if row.full:
        parts.append("FULL")
    if row.failing_since:
        parts.append(f"FAILING since {row.failing_since}: {row.failure}")
    return "; ".join(parts)


def _reset(config: Config, name: str) -> int:
    _require_database(config)
    if name not in [table.name for table in config.tables]:
        raise SyncConfigError(f"--reset is {name!r}; allowed is a table the configuration names")
    with _open(config, lambda _name, _rows: None) as opened:
        opened.reset(name)
    click.echo(f"{name}: all rows in the buffer will be sent anew; what the target holds of them stays")
    return 0


def _sync(config: Config, watch: bool, as_json: bool) -> int:
    _require_database(config)
    with ExitStack() as stack:
        progress, advance = _progress(config, hidden=as_json or watch)
        if progress is not None:
            stack.enter_context(progress)
        opened = stack.enter_context(_open(config, advance))
        if watch:
            return _watch(config, opened)
        reports = opened.run_once()
    if as_json:
        echo_json([{"table": one.name, "rows": one.rows, "error": _text(one)} for one in reports])
    for line in () if as_json else _lines(reports):
        click.echo(line)
    failures = [str(one.error) for one in reports if one.error]
    if failures:
        raise CommandError("; ".join(failures))
    return 0


def _text(report: TableReport) -> str | None:
    return None if report.error is None else str(report.error)


def _lines(reports: list[TableReport]) -> Iterator[str]:
    for report in reports:
        yield f"{report.name}: {report.rows} rows sent" + ("" if report.error is None else ", then it failed")


def _watch(config: Config, opened: Sync) -> int:
    ending = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.set())
    opened.start(config.interval)
    ending.wait()
    opened.stop()
    return int(any(report.error for report in opened.reports.values()))


def _progress(config: Config, hidden: bool) -> tuple[Any, Callable[[str, int], None]]:
    """A progress bar for each table on a terminal, and what moves it."""
    console = Console(stderr=True)
    if hidden or not console.is_terminal:
        return None, lambda _name, _rows: None
    bars = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
    )
    waiting = {row.name: row.pending_rows for row in sync.read_status(config.database, config.tables)}
    tasks = {name: bars.add_task(name, total=rows) for name, rows in waiting.items()}
    return bars, lambda name, rows: bars.advance(tasks[name], rows)
