"""The part of `otel-duckdb benchmark` that measures the sync: its options, and its target."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import click

from otel_duckdb.commands._group import CommandError, missing_package
from otel_duckdb.sync import SyncConfigError, SyncError, Target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_OPTIONS: Final = (
    click.option("--host", help="The ClickHouse server for the test sync."),
    click.option("--port", type=click.IntRange(1, 65_535), help="Its HTTP port; else 8123, or 8443 with --secure."),
    click.option("--username", help="The user there."),
    click.option("--password-environment", metavar="NAME", help="The environment variable that holds the password."),
    click.option("--secure", is_flag=True, help="Use TLS."),
    click.option("--cluster", help="Make the table ON CLUSTER."),
    click.option("--database", help="The database there; else `default`."),
    click.option("--chdb", is_flag=True, help="Measure the sync to an embedded chDB, in the place of a server."),
)
LEFT_OUT: Final = "sync is left out, for no target is named: --host names a ClickHouse server, --chdb embeds one"


def with_target(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that name a target."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def read_target(*, chdb: bool, **options: Any) -> Target | None:
    """The target that the options name, None where they name none.

    Raises:
        UsageError: they contradict each other.
    """
    given = {name: value for name, value in options.items() if value}
    if chdb and given:
        raise click.UsageError(f"--chdb and --{min(given).replace('_', '-')} do not go together; give one")
    if given and "host" not in given:
        raise click.UsageError(f"--{min(given).replace('_', '-')} is of a server; name it with --host")
    if not given and not chdb:
        return None
    try:
        return Target(**given)
    except SyncConfigError as error:
        raise click.UsageError(str(error)) from error


def run_sync(target: Target, folder: Path | None, rows: int) -> list[dict[str, Any]]:
    """Send rows to a new table five times, and nothing five times; return the figures.

    Raises:
        CommandError: the sync failed.
    """
    try:
        measured = import_module("otel_duckdb.commands._sync_measured")  # it needs the packages of the extra
        return [figure.as_json() for figure in measured.measured(target, folder, rows)]
    except SyncError as error:
        raise CommandError(f"sync: {error}") from error
    except ModuleNotFoundError as error:
        raise missing_package("benchmark --test-type sync", error.name or "a package") from error
