"""The sync to a ClickHouse, measured; the table that it makes there is dropped. It needs the extra `sync`."""

from __future__ import annotations

import secrets
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Final

import click
import duckdb

from otel_duckdb.commands._group import CommandError
from otel_duckdb.monitor.benchmark import Figure
from otel_duckdb.sync import Retry, Table, Target
from otel_duckdb.sync.runner import Sync
from otel_duckdb.sync.target import Clickhouse
from otel_duckdb.sync.types import backticked

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROUNDS: Final = 5
_ROWS: Final = """
INSERT INTO ticks SELECT range, TIMESTAMP '2026-01-01' + to_microseconds(range), 'S' || range % 100, random()
FROM range($1)
"""
_NO_RETRY: Final = Retry(attempts=1)
"""A figure that holds a retry says nothing."""


def measured(target: Target, folder: Path | None, rows: int) -> list[Figure]:
    """Send rows to a new table five times, and nothing five times.

    Raises:
        CommandError: a pass failed.
        SyncError: the sync could not begin.
    """
    table = f"otel_duckdb_benchmark_{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory(prefix="otel-duckdb-benchmark-", dir=folder) as own:
        path = Path(own) / "buffer.duckdb"
        with duckdb.connect(str(path)) as connection, _dropped(target, table, path) as made:
            return _measured(connection, target, table, rows, made)


def _measured(
    connection: duckdb.DuckDBPyConnection, target: Target, table: str, rows: int, made: Event
) -> list[Figure]:
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
