"""`otel-duckdb sync`: copies the tables that a TOML file names to ClickHouse, or tells how far they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from otel_duckdb import sync
from otel_duckdb.commands import _sync_running as running
from otel_duckdb.commands._group import CommandError, echo_json, missing_package
from otel_duckdb.files import check_ordinary
from otel_duckdb.sync.config import load
from otel_duckdb.sync.errors import SyncConfigError, SyncError
from otel_duckdb.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_duckdb.sync import Plan, TableStatus
    from otel_duckdb.sync.config import Config

Row = TypeVar("Row", "TableStatus", "Plan")


@click.command("sync", short_help="Copy DuckDB tables to ClickHouse, each row once.")
@click.argument("configuration", type=click.Path(path_type=Path), default="sync.toml")
@click.option("--watch", is_flag=True, help="Go on until interrupted, with the pause that `interval` says.")
@click.option("--status", "show", is_flag=True, help="Tell what is stored, waiting and failing; send nothing.")
@click.option("--dry-run", is_flag=True, help="Check tables, types and target; tell what would be sent and run.")
@click.option(
    "--reset",
    "resets",
    metavar="TABLE",
    multiple=True,
    help="Forget what was sent of a table, so that all its rows are sent anew.",
)
@click.option("--delete-sent", is_flag=True, help="With --reset: delete what was sent before from the target.")
@click.option("--rename", metavar="OLD=NEW", help="Go on with a table under the name that it has now.")
@click.option("--yes", is_flag=True, help="With --reset: do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    configuration: Path,
    *,
    watch: bool,
    show: bool,
    dry_run: bool,
    resets: tuple[str, ...],
    delete_sent: bool,
    rename: str | None,
    yes: bool,
    as_json: bool,
) -> int:
    """Copy the tables that CONFIGURATION (a TOML file, sync.toml if left out) names to ClickHouse.

    Exit code 0: all is well; 1: a table failed, or is failing or full; 2: the command line or the file is wrong.
    """
    actions = {"--watch": watch, "--status": show, "--dry-run": dry_run, "--reset": resets, "--rename": rename}
    given = [name for name, value in actions.items() if value]
    _refuse_together(given, delete_sent=delete_sent, yes=yes, as_json=as_json)
    if len(resets) > 1:
        raise click.UsageError(f"--reset is given {len(resets)} times; reset one table after the other")
    try:
        config = _load(configuration)
        if show:
            return _status(config, as_json)
        if dry_run:
            return _dry_run(config, as_json)
        if resets:
            return _reset(config, resets[0], delete_sent=delete_sent, yes=yes)
        if rename is not None:
            return _rename(config, rename)
        return running.watch(config) if watch else running.once(config, as_json=as_json)
    except SyncConfigError as error:
        raise click.UsageError(str(error)) from error
    except SyncError as error:
        raise CommandError(str(error)) from error
    except ModuleNotFoundError as error:
        raise missing_package("sync", error.name or "a package") from error


def _load(path: Path) -> Config:
    config = load(path)
    if not Path(config.database).exists():
        raise SyncConfigError(f"database is {config.database!r}, which does not exist")
    try:
        check_ordinary(config.database)
    except OSError as error:
        raise SyncConfigError(f"database is {config.database!r}; {error.strerror}") from None
    return config


def _refuse_together(given: list[str], *, delete_sent: bool, yes: bool, as_json: bool) -> None:
    """Refuse options that mean nothing together."""
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} do not go together; give one")
    for name, value in (("--delete-sent", delete_sent), ("--yes", yes)):
        if value and given != ["--reset"]:
            raise click.UsageError(f"{name} goes with --reset only")
    if as_json and given and given[0] not in ("--status", "--dry-run"):
        raise click.UsageError(f"--json does not go with {given[0]}")


def _status(config: Config, as_json: bool) -> int:
    rows = sync.read_status(config.database, config.tables)
    _show(rows, as_json, lambda row: [_line(row)])
    return 0 if all(row.healthy for row in rows) else 1


def _dry_run(config: Config, as_json: bool) -> int:
    plans = sync.read_plan(config)
    _show(plans, as_json, _plan_lines)
    return 0 if all(one.refusal is None for one in plans) else 1


def _show(rows: Sequence[Row], as_json: bool, lines: Callable[[Row], list[str]]) -> None:
    if as_json:
        echo_json([row.as_dict() for row in rows])
        return
    for row in rows:
        for line in lines(row):
            click.echo(
                printable(line) if line.isprintable() else line[: len(line) - len(line.lstrip())] + printable(line)
            )


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
    if row.failure:
        parts.append(f"FAILING{f' since {row.failing_since}' if row.failing_since else ''}: {row.failure}")
    return "; ".join(parts)


def _reset(config: Config, name: str, *, delete_sent: bool, yes: bool) -> int:
    if name.lower() not in [table.name.lower() for table in config.tables]:
        raise SyncConfigError(f"--reset is {name!r}; allowed is a table the configuration names")
    with running.opened(config) as one:
        click.echo(printable(one.describe_reset(name, delete_sent=delete_sent)), err=not yes)
        if not yes:
            delete_sent = delete_sent or _asked(
                "Delete what was sent before from the target, too?", name, "--reset TABLE --delete-sent --yes"
            )
            if delete_sent:
                click.echo(printable(one.describe_reset(name, delete_sent=True)), err=True)
            if not _asked("Go on?", name, "--reset TABLE --yes"):
                raise CommandError("nothing was changed")
        one.reset(name, delete_sent=delete_sent)
    click.echo(f"{printable(name)}: forgotten; the next sync sends it anew")
    return 0


def _asked(question: str, name: str, otherwise: str) -> bool:
    """The answer of a person.

    Raises:
        UsageError: nobody is there.
    """
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        raise click.UsageError(
            f"--reset {name} asks, and there was no answer; a script says {otherwise.replace('TABLE', name)}"
        ) from None


def _rename(config: Config, names: str) -> int:
    old, equals, new = names.partition("=")
    if not (old and equals and new):
        raise SyncConfigError(f"--rename is {names!r}; allowed is OLD=NEW, as in ticks=ticks_2024")
    with running.opened(config) as one:
        one.rename(old, new)
    click.echo(printable(f"{new}: goes on where {old} was"))
    return 0
