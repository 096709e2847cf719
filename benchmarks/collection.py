"""What reading the engine costs: one collection, idle and beside a long query, and a process that is read each second.

Run with `make bench`, or by itself: `python benchmarks/collection.py [--json]`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import duckdb
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from otel_duckdb import DuckDBInstrumentor

COLLECTION_GOAL_MS = 2.0
CPU_GOAL_PERCENT = 0.5
BUSY = "beside a query on one thread"
CROWDED = "beside a query on every core"
LONG_QUERY = "SELECT count(*) FROM range(1000000000000) WHERE hash(range) % 7 = 3"


class Timed:
    """The milliseconds of many runs: on the clock, and of CPU in the thread that collects.

    The two are the same on a quiet machine; on a busy one only the second is the cost.
    """

    def __init__(self, work: Any, runs: int, pause: float) -> None:
        self.clock = []
        self.cpu = []
        for _ in range(runs):
            start, worked = time.perf_counter_ns(), time.thread_time_ns()
            work()
            self.cpu.append((time.thread_time_ns() - worked) / 1e6)
            self.clock.append((time.perf_counter_ns() - start) / 1e6)
            time.sleep(pause)

    def figures(self) -> dict[str, float]:
        """The medians, and what nine of ten runs do not exceed."""
        return {
            "ms, median": statistics.median(self.clock),
            "ms, p90": statistics.quantiles(self.clock, n=10)[8],
            "CPU ms, median": statistics.median(self.cpu),
        }


class Busy:
    """A long query on the user's own connection, while the block lasts."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        """Run until interrupted."""
        try:
            self.connection.execute(LONG_QUERY).fetchall()
        except duckdb.InterruptException:
            return

    def __enter__(self) -> None:
        self.thread.start()
        time.sleep(0.5)

    def __exit__(self, *_: object) -> None:
        if not self.thread.is_alive():
            raise RuntimeError("the long query ended before the measurement did")
        self.connection.interrupt()
        self.thread.join()


def cpu_percent(reader: InMemoryMetricReader, seconds: int) -> float:
    """How much of a core one collection a second takes in a process that does nothing else."""
    before, begun = time.process_time(), time.perf_counter()
    for _ in range(seconds):
        reader.get_metrics_data()
        time.sleep(1)
    return 100 * (time.process_time() - before) / (time.perf_counter() - begun)


def idle_percent(seconds: int) -> float:
    """The same without any collection: what DuckDB's own threads take."""
    before, begun = time.process_time(), time.perf_counter()
    time.sleep(seconds)
    return 100 * (time.process_time() - before) / (time.perf_counter() - begun)


def measure(runs: int, seconds: int, directory: str) -> dict[str, float]:
    """Measure everything over one database file."""
    reader = InMemoryMetricReader()
    instrumentor = DuckDBInstrumentor()
    instrumentor.instrument(tracer_provider=TracerProvider(), meter_provider=MeterProvider([reader]))
    connection = duckdb.connect(Path(directory) / "trades.db")
    connection.execute("CREATE TABLE trades AS SELECT range AS id, random() AS price FROM range(1000000); CHECKPOINT")
    running: Any = instrumentor._running
    (database,) = running.databases
    found = {}
    for name, threads in (("idle", 0), (BUSY, 1), (CROWDED, os.cpu_count())):
        if threads:
            connection.execute(f"SET threads = {threads}")
        with Busy(connection) if threads else nullcontext():
            for what, work in (("reading", database.read), ("collection", reader.get_metrics_data)):
                timed = Timed(work, runs, 0.01)
                found.update({f"{what}, {name}: {unit}": value for unit, value in timed.figures().items()})
    found["CPU at one collection a second: % of a core"] = cpu_percent(reader, seconds) - idle_percent(seconds)
    connection.close()
    instrumentor.uninstrument()
    return found


def main() -> int:
    """Print the figures; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        found = measure(options.runs, options.seconds, directory)
    if options.json:
        print(json.dumps({"duckdb": duckdb.__version__, **found}))
    else:
        print(f"DuckDB {duckdb.__version__}")
        for name, value in found.items():
            print(f"  {name:60} {value:8.3f}")
    met = (
        found[f"reading, {BUSY}: CPU ms, median"] <= COLLECTION_GOAL_MS
        and found["CPU at one collection a second: % of a core"] <= CPU_GOAL_PERCENT
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
