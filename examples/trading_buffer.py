"""A trading gateway: one thread writes ticks to DuckDB, one queries them, one syncs them to ClickHouse.

In the middle the sync stands still for a few seconds, as it would in an outage. Nothing is lost, nothing comes twice.

    python examples/trading_buffer.py                      # into an embedded chDB
    python examples/trading_buffer.py clickhouse.internal  # into the table `ticks` of a server, with CLICKHOUSE_USER
                                                           # and CLICKHOUSE_PASSWORD
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import threading
import time

import clickhouse_connect
import duckdb

from otel_duckdb.sync import Limits, Retry, Sync, Table, Target

SYMBOLS = ("BTC-USD", "ETH-USD", "SOL-USD")


def write_ticks(cursor: duckdb.DuckDBPyConnection, ending: threading.Event) -> None:
    """Insert a few ticks at a time, as they come from the exchange."""
    while not ending.wait(0.005):
        symbol, price = random.choice(SYMBOLS), random.uniform(90, 110)  # noqa: S311 - prices are no secrets
        cursor.execute(
            "INSERT INTO ticks SELECT now(), $1, $2 + range / 100, range + 1 FROM range(20)", [symbol, price]
        )


def query_ticks(cursor: duckdb.DuckDBPyConnection, ending: threading.Event) -> None:
    """Ask for the last prices, as the strategy does."""
    while not ending.wait(0.1):
        cursor.execute("SELECT symbol, arg_max(price, moment), count(*) FROM ticks GROUP BY symbol").fetchall()


def wait_for_rows(sync: Sync, rows: int) -> None:
    """Wait until at least `rows` rows are acknowledged, for a minute at most."""
    for _ in range(600):
        if sync.status()[0].acknowledged_rows >= rows:
            return
        time.sleep(0.1)
    raise TimeoutError(f"{rows} rows were not acknowledged within a minute")


def server(host: str) -> dict[str, str | None]:
    """How a server is reached: the same for the sync and for whoever looks at what it stored."""
    user, password = os.environ.get("CLICKHOUSE_USER"), os.environ.get("CLICKHOUSE_PASSWORD")
    return {"host": host, "username": user, "password": password}


def count_stored(host: str | None, folder: str) -> int:
    """Ask the target how many ticks it holds."""
    if host is None:
        client = clickhouse_connect.get_client(interface="chdb", path=f"{folder}/clickhouse")
    else:
        client = clickhouse_connect.get_client(**server(host))
    try:
        return int(client.query("SELECT count() FROM ticks").result_rows[0][0])
    finally:
        client.close()


def main(host: str | None) -> int:
    """Run for some seconds, then compare what was written with what is stored."""
    with tempfile.TemporaryDirectory() as folder:
        connection = duckdb.connect(f"{folder}/buffer.duckdb")
        connection.execute("CREATE TABLE ticks (moment TIMESTAMPTZ, symbol VARCHAR, price DOUBLE, size INTEGER)")
        ending = threading.Event()
        threads = [
            threading.Thread(target=work, args=(connection.cursor(), ending)) for work in (write_ticks, query_ticks)
        ]
        sync = Sync(
            connection,
            [Table(name="ticks", delete=True, keep_rows=2000)],
            Target(path=f"{folder}/clickhouse") if host is None else Target(**server(host)),
            batch=Limits(rows=5000),
            retry=Retry(initial_delay=0.1, max_delay=1.0, seconds=30),
        )
        for thread in threads:
            thread.start()
        sync.start(interval=0.2)
        wait_for_rows(sync, 1)
        sync.stop()
        print("the sync stands still")
        time.sleep(3)
        print(f"waiting in the buffer: {sync.status()[0].pending_rows} rows")
        sync.start(interval=0.2)
        print("the sync goes on")
        wait_for_rows(sync, sync.status()[0].acknowledged_rows + 1)
        ending.set()
        for thread in threads:
            thread.join()
        sync.stop()
        sync.run_once()
        (status,) = sync.status()
        sync.close()
        connection.close()
        stored = count_stored(host, folder)
    print(f"{stored} ticks stored, {status.acknowledged_rows} acknowledged, {status.pending_rows} waiting")
    all_are_there = stored == status.acknowledged_rows if host is None else stored >= status.acknowledged_rows
    return int(not all_are_there or status.pending_rows > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else None))
