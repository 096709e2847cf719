"""The process that is killed: threads write to a DuckDB buffer, a sync empties it, until the end comes.

Its one argument is a JSON object, the fields of Work. It does what an operator would: a table that was renamed goes on
under its new name, and a target that lost rows is filled anew from the buffer.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb

from otel_duckdb.sync import Limits, Retry, Sync, SyncConfigError, Table, Target, TargetChangedError

WRITERS = 2
ROLLED_BACK = 0.1
DELETED = 0.3
CHECKPOINT_PAUSE = 0.1
ORDERS = 400


@dataclass(frozen=True)
class Work:
    """What a child is to do."""

    folder: str
    port: int
    """Of the ClickHouse stand-in; 0: chDB in this process."""
    database: str
    delete: bool
    """Whether the sync deletes what it has stored."""
    table: str
    """The name that the append-only table has from now on."""
    finish: bool = False
    """Whether to end by itself once all rows are acknowledged."""

    def to_json(self) -> str:
        """The argument."""
        return json.dumps(asdict(self))


def login() -> dict[str, Any]:
    """The login of a real server, where one is behind the faults."""
    names = {"username": "OTEL_DUCKDB_TEST_CLICKHOUSE_USERNAME", "password": "OTEL_DUCKDB_TEST_CLICKHOUSE_PASSWORD"}
    return {name: os.environ[variable] for name, variable in names.items() if os.environ.get(variable)}


def _open(work: Work) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(str(Path(work.folder) / "buffer.duckdb"))
    names = [name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
    earlier = [name for name in names if name.startswith("ticks") and name != work.table]
    if earlier:
        connection.execute(f"ALTER TABLE {earlier[0]} RENAME TO {work.table}")
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {work.table} (writer INTEGER, number BIGINT, price DECIMAL(18, 4), tags VARCHAR[])"
    )
    connection.execute("CREATE TABLE IF NOT EXISTS orders (id VARCHAR COLLATE NOCASE, state INTERVAL, lots HUGEINT[])")
    connection.execute("CREATE TABLE IF NOT EXISTS written (writer INTEGER, rows BIGINT)")
    if connection.execute("SELECT count(*) FROM written").fetchall() == [(0,)]:
        connection.execute(f"INSERT INTO written SELECT range, 0 FROM range({WRITERS})")
    return connection


def _write(cursor: duckdb.DuckDBPyConnection, table: str, writer: int, ending: threading.Event) -> None:
    """Insert rows, and count them in the same transaction, so that the count tells what must arrive."""
    chance = random.Random()
    while not ending.is_set():
        rows = chance.choice((1, 3, 50, 400))
        cursor.execute("BEGIN")
        cursor.execute(
            f"INSERT INTO {table} SELECT $1, n, n / 4, CASE WHEN n % 3 > 0 THEN ['a', n::VARCHAR] END FROM "
            "(SELECT w.rows + range AS n FROM written AS w, range($2) WHERE w.writer = $1)",
            [writer, rows],
        )
        cursor.execute("UPDATE written SET rows = rows + $2 WHERE writer = $1", [writer, rows])
        cursor.execute("ROLLBACK" if chance.random() < ROLLED_BACK else "COMMIT")
        ending.wait(chance.random() * 0.02)


def _trade(cursor: duckdb.DuckDBPyConnection, ending: threading.Event) -> None:
    """Insert, change and delete rows of a table with a key, in which DuckDB holds many different values equal."""
    chance = random.Random()
    while not ending.is_set():
        number = chance.randrange(ORDERS)
        key = f"{chance.choice('kK')}{number}"
        cursor.execute("BEGIN")
        cursor.execute("DELETE FROM orders WHERE encode(id) = encode($1)", [key])
        if chance.random() > DELETED:
            state = chance.choice(("30 days", "1 month", "720 hours"))
            lots = chance.choice(("[0]", "[-1]", "[]", "NULL"))
            cursor.execute(f"INSERT INTO orders VALUES ($1, INTERVAL '{state}', {lots})", [key])
        cursor.execute("ROLLBACK" if chance.random() < ROLLED_BACK else "COMMIT")
        ending.wait(chance.random() * 0.01)


def _checkpoint(cursor: duckdb.DuckDBPyConnection, ending: threading.Event) -> None:
    """Give row ids anew at moments the sync does not choose."""
    while not ending.wait(random.random() * CHECKPOINT_PAUSE):
        with suppress(duckdb.TransactionException):  # others write
            cursor.execute("CHECKPOINT")


def _tables(work: Work) -> list[Table]:
    return [
        Table(name=work.table, target="ticks", delete=work.delete, keep_rows=300 if work.delete else 0),
        Table(name="orders", key=["id"]),
    ]


def _pass(sync: Sync, work: Work) -> int:
    """Do one pass, and what an operator does about what it tells; how many tables failed."""
    failed = 0
    for report in sync.run_once():
        if report.error is None:
            continue
        failed += 1
        print(report.error, file=sys.stderr, flush=True)
        if isinstance(report.error, TargetChangedError):
            sync.reset(report.name, delete_sent=True)
        elif isinstance(report.error, SyncConfigError) and "--rename" in str(report.error):
            old = str(report.error).split("--rename ")[1].split("=")[0]
            sync.rename(old, work.table)
    return failed


def main(work: Work) -> int:
    """Run until killed, or, to finish, until all rows are acknowledged; 1 where the sync reports a failure then."""
    connection = _open(work)
    target = (
        Target(host="127.0.0.1", port=work.port, database=work.database, timeout=2.0, **login())
        if work.port
        else Target(path=str(Path(work.folder) / "chdb"))
    )
    retry = Retry(attempts=20, seconds=60, initial_delay=0.02, max_delay=0.3)
    with Sync(connection, _tables(work), target, batch=Limits(rows=500), retry=retry) as sync:
        if work.finish:
            _pass(sync, work)
            return int(_pass(sync, work) + _pass(sync, work) > 0)
        ending = threading.Event()
        for writer in range(WRITERS):
            arguments = (connection.cursor(), work.table, writer, ending)
            threading.Thread(target=_write, args=arguments, daemon=True).start()
        threading.Thread(target=_trade, args=(connection.cursor(), ending), daemon=True).start()
        threading.Thread(target=_checkpoint, args=(connection.cursor(), ending), daemon=True).start()
        print("ready", flush=True)
        while True:
            _pass(sync, work)
            time.sleep(0.005)


if __name__ == "__main__":
    sys.exit(main(Work(**json.loads(sys.argv[1]))))
