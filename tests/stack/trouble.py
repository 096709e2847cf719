"""What goes wrong in programs that use DuckDB, really caused, over and over until it is told to end."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import duckdb
import sqlalchemy

from otel_duckdb.sync import Retry, Sync, SyncError, Target

if TYPE_CHECKING:
    from pathlib import Path


class Trouble(threading.Thread):
    """The design guide's six troubles and more, each on a database of its own."""

    def __init__(self, home: Path, clickhouse_port: int) -> None:
        super().__init__()
        self.ending = threading.Event()
        self.home = home
        self.held = duckdb.connect(config={"temp_directory": ""})
        self.grown = duckdb.connect(str(home / "grown.duckdb"))
        self.contended = duckdb.connect(str(home / "contended.duckdb"))
        self.contended.execute("CREATE TABLE counters AS SELECT 1 AS id, 0 AS value")
        self.hanging = duckdb.connect(str(home / "hanging.duckdb"))
        self.hanging.create_function("wait", self.wait, ["BIGINT"], "BIGINT", side_effects=True)
        self.hanger = threading.Thread(target=self.hang)
        self.pool = sqlalchemy.create_engine(
            f"duckdb:///{home / 'pooled.duckdb'}",
            poolclass=sqlalchemy.QueuePool,
            pool_size=1,
            max_overflow=0,
            pool_timeout=0.01,
        )
        buffer = duckdb.connect(str(home / "buffer.duckdb"))
        buffer.execute("CREATE TABLE ticks AS SELECT range AS id FROM range(10)")
        target = Target(host="127.0.0.1", port=clickhouse_port)
        self.sync = Sync(buffer, ["ticks"], target, retry=Retry(attempts=1, initial_delay=0.0))

    def run(self) -> None:
        self.fill_memory()
        self.fill_disk()
        self.hanger.start()
        while not self.ending.wait(0.2):
            self.query_slowly()
            self.find_no_memory()
            self.let_the_log_grow()
            self.wait_for_a_pool()
            self.conflict()
            self.fail_to_connect()
            self.fail_to_sync()

    def pause(self) -> None:
        """Do nothing further."""
        self.ending.set()
        self.join()
        self.hanger.join()

    def end(self) -> None:
        """Put right what was done."""
        self.held.execute("SET memory_limit = '1GB'")
        self.grown.execute("DROP TABLE readings")
        self.grown.execute("CHECKPOINT")
        self.sync.run_once()

    def query_slowly(self) -> None:
        """More than 100 ms of work, on any machine that can run the pipeline."""
        self.contended.execute("SELECT sum(sin(range)) FROM range(10_000_000)").fetchone()

    def fill_memory(self) -> None:
        """Hold a table in memory, almost up to the limit; it can be neither dropped nor spilled."""
        self.held.execute("CREATE TABLE prices AS SELECT random() AS price FROM range(4_000_000)")
        (used,) = self.held.execute("SELECT sum(memory_usage_bytes) FROM duckdb_memory()").fetchone() or (0,)
        self.held.execute(f"SET memory_limit = '{int(used * 1.03)}B'")

    def find_no_memory(self) -> None:
        """Ask for more memory than is left."""
        with contextlib.suppress(duckdb.OutOfMemoryException):
            self.held.execute("SELECT count(*) FROM (SELECT DISTINCT price FROM prices)").fetchone()

    def wait(self, value: int) -> int:
        """Called by DuckDB: returns when the trouble is over."""
        self.ending.wait()
        return value

    def hang(self) -> None:
        """Run a query that does not end by itself."""
        self.hanging.execute("SELECT wait(1)").fetchone()

    def let_the_log_grow(self) -> None:
        """Write without a checkpoint."""
        self.grown.execute("INSERT INTO readings SELECT random() FROM range(1_000)")

    def wait_for_a_pool(self) -> None:
        """Ask a pool for a second connection, of one."""
        with self.pool.connect(), contextlib.suppress(sqlalchemy.exc.TimeoutError):
            self.pool.connect()

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
