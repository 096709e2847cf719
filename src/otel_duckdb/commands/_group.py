"""The group of commands: names come from the folder, modules are imported when their command is called."""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
from typing import TYPE_CHECKING, Any

import click

from otel_duckdb import commands
from otel_duckdb.installation import install_command, version

if TYPE_CHECKING:
    from collections.abc import Sequence


class CommandError(click.ClickException):
    """The thing asked about failed: one line on stderr, and exit code 1."""

    exit_code = 1

    def show(self, file: Any = None) -> None:
        """Print the error as one line."""
        click.echo(f"otel-duckdb: {' '.join(self.message.split())}", file=file or sys.stderr)


class Commands(click.Group):
    """Finds commands by the names of modules."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the modules that hold commands."""
        del ctx
        return sorted(module.name for module in pkgutil.iter_modules(commands.__path__) if module.name[0] != "_")

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command."""
        if cmd_name not in self.list_commands(ctx):
            return None
        try:
            module = importlib.import_module(f"{commands.__name__}.{cmd_name}")
        except ModuleNotFoundError as error:
            if error.name and error.name.startswith("otel_duckdb"):
                raise
            raise CommandError(
                f"{cmd_name} needs {error.name}, which is not installed; run: {install_command('all')}"
            ) from error
        command: click.Command = module.command
        return command


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Watch DuckDB from the command line, and sync it to ClickHouse.",
)
@click.version_option(version(), prog_name="otel-duckdb")
def group() -> None:
    """The group itself does nothing."""


def echo_json(value: Any) -> None:
    """Print a value as JSON, for a machine to read."""
    click.echo(json.dumps(value, indent=2, default=str))


def run(arguments: Sequence[str]) -> int:
    """Run one command, and return the exit code."""
    try:
        result = group.main(list(arguments) or ["--help"], prog_name="otel-duckdb", standalone_mode=False)
    except CommandError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        click.echo(f"otel-duckdb: {' '.join(error.format_message().split())}", err=True)
        return error.exit_code
    except click.exceptions.Exit as end:
        return end.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("otel-duckdb: interrupted", err=True)
        return 1
    return result if isinstance(result, int) else 0
