"""What goes wrong in programs that use DuckDB, really caused, over and over until it is told to end."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import duckdb

from otel_duckdb.sync import Retry, Sync, SyncError, Target

if TYPE_CHECKING:
    from pathlib import Path


class Trouble(threading.Thread):
    """All six of the design guide's troubles, each on a database of its own."""

    def __init__(self, home: Path, clickhouse_port: int) -> None:
        super().__init__()
        self.ending = threading.Event()
        self.home = home
        self.cached = duckdb.connect(str(home / "cached.duckdb"), config={"memory_limit": "24MB"})
        self.grown = duckdb.connect(str(home / "grown.duckdb"))
        self.contended = duckdb.connect(str(home / "contended.duckdb"))
        self.contended.execute("CREATE TABLE counters AS SELECT 1 AS id, 0 AS value")
        buffer = duckdb.connect(str(home / "buffer.duckdb"))
        buffer.execute("CREATE TABLE ticks AS SELECT range AS id FROM range(10)")
        target = Target(host="127.0.0.1", port=clickhouse_port)
        self.sync = Sync(buffer, ["ticks"], target, retry=Retry(attempts=1, initial_delay=0.0))

    def run(self) -> None:
        self.fill_memory()
        self.fill_disk()
        while not self.ending.wait(0.2):
            self.query_slowly()
            self.conflict()
            self.fail_to_connect()
            self.fail_to_sync()

    def pause(self) -> None:
        """Do nothing further."""
        self.ending.set()
        self.join()

    def end(self) -> None:
        """Put right what was done."""
        self.cached.execute("SET memory_limit = '1GB'")
        self.grown.execute("DROP TABLE readings")
        self.grown.execute("CHECKPOINT")
        self.sync.run_once()

    def query_slowly(self) -> None:
        """More than 100 ms of work, on any machine that can run the pipeline."""
        self.cached.execute("SELECT sum(sin(range)) FROM range(10_000_000)").fetchone()

    def fill_memory(self) -> None:
        """Read a table that is larger than the memory limit: the buffers stay full of it."""
        self.cached.execute("CREATE TABLE prices AS SELECT random() AS price FROM range(6_000_000)")
        self.cached.execute("CHECKPOINT")
        self.cached.execute("SELECT sum(price) FROM prices").fetchone()

    def fill_disk(self) -> None:
        """Let the write-ahead log grow."""
        self.grown.execute("SET wal_autocheckpoint = '1GB'")
        self.grown.execute("CREATE TABLE readings (reading DOUBLE)")
        for _ in range(80):
            self.grown.execute("INSERT INTO readings SELECT random() FROM range(100_000)")

    def conflict(self) -> None:
        """Change one row in two transactions at once; the second is refused."""
        first, second = self.contended.cursor(), self.contended.cursor()
        first.begin()
        second.begin()
        first.execute("UPDATE counters SET value = value + 1")
        with contextlib.suppress(duckdb.TransactionException):
            second.execute("UPDATE counters SET value = value + 1")
        with contextlib.suppress(duckdb.TransactionException):
            second.rollback()
        first.commit()

    def fail_to_connect(self) -> None:
        """Open a database in a folder that is not there."""
        with contextlib.suppress(duckdb.IOException):
            duckdb.connect(str(self.home / "nowhere" / "at.duckdb"))

    def fail_to_sync(self) -> None:
        """Send to a ClickHouse that is down."""
        with contextlib.suppress(SyncError):
            self.sync.run_once()
