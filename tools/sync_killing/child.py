"""The process that is killed: two threads write to a DuckDB buffer, a sync empties it, until the end comes.

Arguments: the folder of the databases, the port of the ClickHouse stand-in (0: chDB in this process), whether the sync
deletes what it has stored, and whether to end by itself once all rows are acknowledged.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import duckdb

from otel_duckdb.sync import Limits, Retry, Sync, Table, Target

WRITERS = 2
ROLLED_BACK = 0.1
CHECKPOINT_PAUSE = 0.1


def _open(path: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(str(path))
    connection.execute(
        "CREATE TABLE IF NOT EXISTS ticks (writer INTEGER, number BIGINT, price DECIMAL(18, 4), tags VARCHAR[])"
    )
    connection.execute("CREATE TABLE IF NOT EXISTS written (writer INTEGER, rows BIGINT)")
    if connection.execute("SELECT count(*) FROM written").fetchall() == [(0,)]:
        connection.execute(f"INSERT INTO written SELECT range, 0 FROM range({WRITERS})")
    return connection


def _write(cursor: duckdb.DuckDBPyConnection, writer: int, ending: threading.Event) -> None:
    """Insert rows, and count them in the same transaction, so that the count tells what must arrive."""
    chance = random.Random()
    while not ending.is_set():
        rows = chance.choice((1, 3, 50, 400))
        cursor.execute("BEGIN")
        cursor.execute(
            "INSERT INTO ticks SELECT $1, n, n / 4, CASE WHEN n % 3 > 0 THEN ['a', n::VARCHAR] END FROM "
            "(SELECT w.rows + range AS n FROM written AS w, range($2) WHERE w.writer = $1)",
            [writer, rows],
        )
        cursor.execute("UPDATE written SET rows = rows + $2 WHERE writer = $1", [writer, rows])
        cursor.execute("ROLLBACK" if chance.random() < ROLLED_BACK else "COMMIT")
        ending.wait(chance.random() * 0.02)


def _checkpoint(cursor: duckdb.DuckDBPyConnection, ending: threading.Event) -> None:
    """Give row ids anew at moments the sync does not choose."""
    while not ending.wait(random.random() * CHECKPOINT_PAUSE):
        with suppress(duckdb.TransactionException):  # others write
            cursor.execute("CHECKPOINT")


def main(folder: Path, port: int, delete: bool, finish: bool) -> int:
    """Run until killed, or, to finish, until all rows are acknowledged; 1 where the sync reports a failure then."""
    connection = _open(folder / "buffer.duckdb")
    target = Target(host="127.0.0.1", port=port, timeout=2.0) if port else Target(path=str(folder / "chdb"))
    retry = Retry(attempts=20, seconds=60, initial_delay=0.02, max_delay=0.3)
    table = Table(name="ticks", delete=delete, keep_rows=300 if delete else 0)
    with Sync(connection, [table], target, batch=Limits(rows=500), retry=retry) as sync:
        if finish:
            reports = sync.run_once()
            print(*reports, sep="\n")
            return int(any(report.error for report in reports))
        ending = threading.Event()
        for writer in range(WRITERS):
            threading.Thread(target=_write, args=(connection.cursor(), writer, ending), daemon=True).start()
        threading.Thread(target=_checkpoint, args=(connection.cursor(), ending), daemon=True).start()
        print("ready", flush=True)
        while True:
            for report in sync.run_once():
                if report.error:
                    print(report.error, file=sys.stderr, flush=True)
            time.sleep(0.005)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "delete", sys.argv[4] == "finish"))
