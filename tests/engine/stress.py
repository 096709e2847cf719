"""Opens, queries, closes and drops connections in eight threads while a reader reads every ten milliseconds.

Run it for as many seconds as wanted: `python tests/engine/stress.py 60`. It exits with 1 if anything went wrong.
"""

from __future__ import annotations

import faulthandler
import gc
import itertools
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from pathlib import Path

import duckdb
import psutil

from otel_duckdb.engine.cursor import Methods, PrivateCursor
from otel_duckdb.engine.database import Database

METHODS = Methods.of(duckdb.DuckDBPyConnection)
THREADS = 8


class Stress:
    """One run: what is open, what was done and what went wrong."""

    def __init__(self, seconds, directory):
        self.stop = time.monotonic() + seconds
        self.directory = Path(directory)
        self.databases = weakref.WeakSet()
        self.lock = threading.Lock()
        self.errors = []
        self.opened = itertools.count()
        self.reads = itertools.count()

    def run(self):
        threads = [threading.Thread(target=self.guard, args=(self.use, number)) for number in range(THREADS)]
        threads.append(threading.Thread(target=self.guard, args=(self.read, 0)))
        for thread in threads:
            thread.start()
        deadline = self.stop + 30
        for thread in threads:
            thread.join(max(0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in threads):
            faulthandler.dump_traceback()
            self.errors.append("a thread hangs")
        gc.collect()
        self.errors.extend(f"{path} is still locked" for path in self.directory.glob("*.db") if not free(path))

    def guard(self, work, number):
        try:
            for turn in itertools.count():
                if time.monotonic() > self.stop:
                    break
                work(number, turn)
        except Exception as error:
            self.errors.append(repr(error))

    def use(self, number, turn):
        path = None if number % 2 else self.directory / f"{number}.db"
        connection = duckdb.connect(path or ":memory:")
        database = Database(str(number), path and str(path), PrivateCursor.into(connection, METHODS))
        with self.lock:
            self.databases.add(database)
        connection.execute("create or replace table numbers as from range(2000)")
        cursor = connection.cursor()
        assert cursor.execute("select count(*) from numbers").fetchone() == (2000,)
        [self.close, self.drop, self.drop_in_a_cycle][turn % 3](connection, database)
        next(self.opened)

    def close(self, connection, database):
        database.close()
        connection.close()

    def drop(self, connection, database):
        weakref.finalize(connection, database.close)

    def drop_in_a_cycle(self, connection, database):
        weakref.finalize(connection, database.close)
        cycle = [connection]
        cycle.append(cycle)

    def read(self, number, turn):
        with self.lock:
            databases = list(self.databases)
        for database in databases:
            if database.read() is not None:
                next(self.reads)
        time.sleep(0.01)


def free(path):
    """Whether another process can open the file."""
    program = f"import duckdb; duckdb.connect({str(path)!r}).close()"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0


def main(seconds):
    process = psutil.Process()
    with tempfile.TemporaryDirectory() as directory:
        Stress(min(seconds, 1), directory).run()
        before = process.memory_info().rss
        stress = Stress(seconds, directory)
        stress.run()
        grown = process.memory_info().rss - before
    opened, reads = next(stress.opened), next(stress.reads)
    print(  # noqa: T201 - a program
        f"duckdb {duckdb.__version__}: {opened} databases opened, {reads} reads, "
        f"{grown / 2**20:.1f} MiB grown, {len(stress.errors)} errors"
    )
    for error in stress.errors[:10]:
        print(f"  {error}")  # noqa: T201 - a program
    return 1 if stress.errors or not reads or not opened else 0


if __name__ == "__main__":
    faulthandler.enable()
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 60))
