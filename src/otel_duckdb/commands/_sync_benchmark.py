"""The part of `otel-duckdb benchmark` that measures the sync to a ClickHouse; the table it makes there is dropped."""

from __future__ import annotations

import secrets
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Final

import click
import duckdb

from otel_duckdb.commands._group import CommandError, missing_package
from otel_duckdb.monitor.benchmark import Figure
from otel_duckdb.sync import Retry, SyncConfigError, SyncError, Table, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_duckdb.sync.runner import Sync

_ROUNDS: Final = 5
_ROWS: Final = """
INSERT INTO ticks SELECT range, TIMESTAMP '2026-01-01' + to_microseconds(range), 'S' || range % 100, random()
FROM range($1)
"""
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
_NO_RETRY: Final = Retry(attempts=1)
"""A figure that holds a retry says nothing."""
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
    table = f"otel_duckdb_benchmark_{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory(prefix="otel-duckdb-benchmark-", dir=folder) as own:
        path = Path(own) / "buffer.duckdb"
        try:
            with duckdb.connect(str(path)) as connection, _dropped(target, table, path) as made:
                return [figure.as_json() for figure in _measured(connection, target, table, rows, made)]
        except SyncError as error:
            raise CommandError(f"sync: {error}") from error
        except ModuleNotFoundError as error:
            raise missing_package("benchmark --test-type sync", error.name or "a package") from error


def _measured(
    connection: duckdb.DuckDBPyConnection, target: Target, table: str, rows: int, made: Event
) -> list[Figure]:
    from otel_duckdb.sync.runner import Sync  # noqa: PLC0415 - the extra may not be installed

    connection.execute("CREATE TABLE ticks (id BIGINT, moment TIMESTAMP, symbol VARCHAR, price DOUBLE)")
    sent, idle = [], []
    with Sync(connection, [Table(name="ticks", target=table)], target, retry=_NO_RETRY) as sync:
        _pass(sync)  # makes the table there
        made.set()
        for _ in range(_ROUNDS):
            connection.execute(_ROWS, [rows])
            sent.append(_pass(sync))
            idle.append(_pass(sync))
    return [Figure(f"send {rows} rows", "ms", tuple(sent)), Figure("a pass with nothing to send", "ms", tuple(idle))]


def _pass(sync: Sync) -> float:
    """Milliseconds of one pass."""
    begun = time.perf_counter()
    (report,) = sync.run_once()
    if report.error is not None:
        raise CommandError(f"sync: {report.error}")
    return (time.perf_counter() - begun) * 1e3


@contextmanager
def _dropped(target: Target, table: str, path: Path) -> Iterator[Event]:
    """Drop the table afterwards, whatever came of it; what is yielded is set when it was made."""
    made = Event()
    try:
        yield made
    finally:
        from otel_duckdb.sync.target import Clickhouse  # noqa: PLC0415 - the extra may not be installed
        from otel_duckdb.sync.types import backticked  # noqa: PLC0415 - the same

        client = Clickhouse(target, f"{path}.chdb")
        on_cluster = f" ON CLUSTER {backticked(target.cluster)}" if target.cluster else ""
        try:
            client.command(f"DROP TABLE IF EXISTS {client.table(table)}{on_cluster}")
        except Exception as error:
            if made.is_set():  # else the server that does not answer now did not answer before
                where = f"{client.name}: {type(error).__name__}; drop {client.table(table)} there by hand"
                click.echo(f"otel-duckdb: the table of the benchmark is left at {where}", err=True)
        finally:
            client.close()
