"""Opens, queries, closes and drops connections in eight threads while a reader collects every ten milliseconds.

Run it for as many seconds as wanted: `python tests/engine/stress.py 60`. It exits with 1 if anything went wrong. With
`--bare` nothing is instrumented, to see what DuckDB does by itself.
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
from pathlib import Path

import duckdb
import psutil
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from otel_duckdb import contract
from otel_duckdb.instrumentor import DuckDBInstrumentor

THREADS = 8


class Stress:
    """One run: what was done and what went wrong."""

    def __init__(self, seconds, directory, reader):
        self.stop = time.monotonic() + seconds
        self.directory = Path(directory)
        self.reader = reader
        self.errors = []
        self.opened = itertools.count()
        self.readings = 0
        self.collections = 0

    def run(self):
        # DuckDB itself fails to open a file while another thread closes its last connection: this one stays.
        with duckdb.connect(self.directory / "shared.db"):
            self.run_threads()
        gc.collect()
        self.errors.extend(f"{path} is still locked" for path in self.directory.glob("*.db") if not free(path))

    def run_threads(self):
        threads = [threading.Thread(target=self.guard, args=(self.use, number)) for number in range(THREADS)]
        if self.reader is not None:
            threads += [threading.Thread(target=self.guard, args=(work, 0)) for work in (self.collect, self.read)]
        for thread in threads:
            thread.start()
        deadline = self.stop + 30
        for thread in threads:
            thread.join(max(0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in threads):
            faulthandler.dump_traceback()
            self.errors.append("a thread hangs")

    def guard(self, work, number):
        try:
            for turn in itertools.count():
                if time.monotonic() > self.stop:
                    break
                work(number, turn)
        except Exception as error:
            self.errors.append(f"{work.__name__}: {error!r}")

    def use(self, number, turn):
        """Open a file of one's own, one that all threads share, or a database in memory, and leave it in some way."""
        connection = duckdb.connect(
            [self.directory / f"{number}.db", self.directory / "shared.db", ":memory:"][turn % 3]
        )
        if turn % 3 != 1:
            connection.execute("create or replace table numbers as from range(2000)")
            connection.begin()
            connection.execute("insert into numbers values (1)")
        cursor = connection.cursor()
        assert cursor.execute("select count(*) from range(2000)").fetchone() == (2000,)
        [self.close, self.leave_open, self.drop, self.drop_in_a_cycle][turn % 4](connection)
        next(self.opened)

    def close(self, connection):
        connection.close()

    def leave_open(self, connection):
        connection.execute("select * from range(5000)").fetchone()

    def drop(self, connection):
        pass

    def drop_in_a_cycle(self, connection):
        cycle = [connection]
        cycle.append(cycle)

    def collect(self, number, turn):
        """Collect as any reader does; in this crowd a collection takes longer than ten milliseconds."""
        self.collections += 1
        if any(point.value for point in points(self.reader, contract.INTERNAL_ERRORS.name)):
            raise AssertionError("a fault inside the instrumentation was counted; the log has it")
        time.sleep(0.01)

    def read(self, number, turn):
        """Read the databases alone, as often as can be."""
        for database in DuckDBInstrumentor()._running.databases:
            self.readings += database.read_state() is not None
        time.sleep(0.01)


def points(reader, name):
    data = reader.get_metrics_data()
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                if metric.name == name:
                    yield from metric.data.data_points


def free(path):
    """Whether another process can open the file."""
    program = f"import duckdb; duckdb.connect({str(path)!r}).close()"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0


def main(seconds, bare):
    reader = None if bare else InMemoryMetricReader()
    if reader is not None:
        DuckDBInstrumentor().instrument(tracer_provider=TracerProvider(), meter_provider=MeterProvider([reader]))
    process = psutil.Process()
    with tempfile.TemporaryDirectory() as directory:
        Stress(min(seconds, 3), directory, reader).run()
        before = process.memory_info().rss
        stress = Stress(seconds, directory, reader)
        stress.run()
        grown = process.memory_info().rss - before
        left = [point.value for point in points(reader, contract.ACTIVE_CONNECTIONS.name)] if reader else [0]
    if left != [0]:
        stress.errors.append(f"connections are left: {left}")
    opened = next(stress.opened)
    print(  # noqa: T201 - a program
        f"duckdb {duckdb.__version__}: {opened} connections opened, {stress.collections} collections with "
        f"{stress.readings} readings, {grown / 2**20:.1f} MiB grown, {len(stress.errors)} errors"
    )
    for error in stress.errors[:10]:
        print(f"  {error}")  # noqa: T201 - a program
    return 1 if stress.errors or not opened or not (bare or stress.readings) else 0


if __name__ == "__main__":
    faulthandler.enable()
    given = [float(argument) for argument in sys.argv[1:] if not argument.startswith("--")]
    sys.exit(main(given[0] if given else 60, "--bare" in sys.argv))
