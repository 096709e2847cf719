"""Uses DuckDB in every way that a metric tells of: queries that fail too, transactions, a pool, a sync."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

import duckdb
import sqlalchemy

from otel_duckdb.sync import Sync, Target

if TYPE_CHECKING:
    from pathlib import Path


class Everything(threading.Thread):
    """The databases, the pool and the sync, used again and again until the program ends."""

    def __init__(self, home: Path, clickhouse_port: int) -> None:
        super().__init__(daemon=True)
        self.ending = threading.Event()
        self.home = home
        self.database = duckdb.connect(str(home / "orders.duckdb"))
        self.database.execute("CREATE TABLE orders (id BIGINT, price DOUBLE)")
        address = f"duckdb:///{home / 'pooled.duckdb'}"
        self.pool = sqlalchemy.create_engine(
            address, poolclass=sqlalchemy.QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.01
        )
        target = Target(host="127.0.0.1", port=clickhouse_port, database=f"of_{os.getpid()}")
        self.sync = Sync(self.database, ["orders"], target)

    def run(self) -> None:
        while not self.ending.wait(0.2):
            self.use_all_statements()
            self.use_transactions()
            self.use_the_pool()
            self.fail()
            self.sync.run_once()

    def end(self) -> None:
        self.ending.set()
        self.join()
        self.sync.close()

    def use_all_statements(self) -> None:
        self.database.execute("INSERT INTO orders SELECT range, random() FROM range(100)")
        self.database.execute("SELECT max(price) FROM orders").fetchall()
        self.database.execute("CHECKPOINT")
        spare = duckdb.connect()
        spare.execute("CREATE TABLE spare AS SELECT range AS id FROM range(10)")
        spare.execute("UPDATE spare SET id = id + 1")
        spare.execute("DELETE FROM spare WHERE id > 5")
        spare.close()

    def use_transactions(self) -> None:
        cursor = self.database.cursor()
        for end in (cursor.commit, cursor.rollback):
            cursor.begin()
            cursor.execute("INSERT INTO orders VALUES (-1, 0)")
            end()

    def use_the_pool(self) -> None:
        with self.pool.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1")).fetchall()
            with contextlib.suppress(sqlalchemy.exc.TimeoutError):
                self.pool.connect()
        self.pool.dispose()

    def fail(self) -> None:
        with contextlib.suppress(duckdb.CatalogException):
            self.database.execute("SELECT * FROM nowhere")
        with contextlib.suppress(duckdb.IOException):
            duckdb.connect(str(self.home / "nowhere" / "at.duckdb"))
