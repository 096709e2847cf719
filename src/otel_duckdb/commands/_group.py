"""The group of commands: names come from the folder, modules are imported when their command is called."""

from __future__ import annotations

import importlib
import io
import json
import logging
import os
import pkgutil
import shutil
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from otel_duckdb import commands
from otel_duckdb.installation import advice, version
from otel_duckdb.settings import SettingError
from otel_duckdb.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

_WRONG_USAGE: Final = 2
_CLICKS_LEAST: Final = 52
_DUCKDB_INTERRUPTED: Final = "Query interrupted"
"""What DuckDB says in a RuntimeError where Ctrl-C comes in the middle of a query."""
_LIBRARIES: Final = ("clickhouse_connect", "urllib3", "opentelemetry")
"""What they log of an error is told by the error itself, in our words."""


class CommandError(click.ClickException):
    """The thing asked about failed: one line on stderr, and exit code 1."""

    exit_code = 1


class MissingPackageError(click.ClickException):
    """A package is not installed: one line on stderr, and exit code 2."""

    exit_code = _WRONG_USAGE


def missing_package(command: str, module: str) -> MissingPackageError:
    """Return the error that `command` needs `module`, with the smallest extra that brings it."""
    return MissingPackageError(f"{command} needs {module}, which is not installed; {advice(module)}")


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
            if error.name is None or error.name.startswith("otel_duckdb"):
                raise
            raise missing_package(cmd_name, error.name) from error
        command: click.Command = module.command
        return command


def _narrow() -> int | None:
    """The columns that help is written in where there are few; click itself takes 50 at least."""
    columns = shutil.get_terminal_size().columns
    return columns - 2 if columns < _CLICKS_LEAST else None


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "terminal_width": _narrow()},
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
    _prepare_output()
    try:
        result = group.main(list(arguments) or ["--help"], prog_name="otel-duckdb", standalone_mode=False)
        flush_output()
    except click.exceptions.Exit as end:
        return end.exit_code
    except BrokenPipeError:  # `| head` has seen enough
        if sys.stdout is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Exception, KeyboardInterrupt) as error:
        message, code = _failure(error)
        click.echo(f"otel-duckdb: {printable(message)}", err=True)
        return code
    return result if isinstance(result, int) else 0


def flush_output() -> None:
    """Let what was printed out; who starts a program may have closed its standard output."""
    if sys.stdout is not None:
        sys.stdout.flush()


def _failure(error: BaseException) -> tuple[str, int]:
    """What is said of an error, and the exit code: the same for the same cause in every command."""
    if isinstance(error, click.ClickException):
        return error.format_message(), error.exit_code
    if isinstance(error, (click.Abort, KeyboardInterrupt)) or str(error) == _DUCKDB_INTERRUPTED:
        return "interrupted", 1
    if isinstance(error, ModuleNotFoundError):
        return f"{error.name} is not installed; {advice(error.name or '')}", _WRONG_USAGE
    if isinstance(error, SettingError):
        return str(error), _WRONG_USAGE
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error), 1
    logging.getLogger("otel_duckdb").debug("a command failed", exc_info=error)
    return f"{type(error).__name__}: {error}; this was not foreseen, please report it", 1


class _Printing(logging.Handler):
    """Prints each warning as a line, as our errors are."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            click.echo(f"otel-duckdb: {printable(record.getMessage())}", err=True)
        except Exception:
            self.handleError(record)


def console_handlers() -> list[logging.Handler]:
    """What prints on the console that which this package logs."""
    return [one for one in logging.getLogger("otel_duckdb").handlers if isinstance(one, _Printing)]


def _open_what_is_closed() -> None:
    """Whoever starts a program may have closed its output: what is printed is lost then, and harms no file.

    The next file that is opened would have the number of the closed one, and what is printed in it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - as long as the process


def _prepare_output() -> None:
    """Print what the terminal does not know as its code, and warnings as lines like our errors."""
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    for library in _LIBRARIES:
        logging.getLogger(library).addHandler(logging.NullHandler())
    ours = logging.getLogger("otel_duckdb")
    if not ours.handlers:
        ours.addHandler(_Printing())
