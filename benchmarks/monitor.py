"""What the monitor costs: a query with and without it in turns, and the memory and processor of an idle program.

Run it with `.venv/bin/python benchmarks/monitor.py`. Goals: at most 3 µs a query; under 8 MB and 0.3 % of a core at one
sample a second without the server; under 25 MB and 0.7 % of a core with it, and with one and with five pages open,
which a process of their own stands in for.
"""

from __future__ import annotations

import argparse
import gc
import resource
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from time import thread_time_ns
from typing import TYPE_CHECKING

import duckdb
import psutil
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from otel_duckdb import DuckDBInstrumentor
from otel_duckdb.monitor import Monitor
from otel_duckdb.monitor.history import History
from otel_duckdb.monitor.sample import Sample, Series

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH = 500


def batch(con: duckdb.DuckDBPyConnection) -> float:
    """Microseconds of the calling thread's processor time that a query takes."""
    start = thread_time_ns()
    for number in range(BATCH):
        con.execute("SELECT price FROM trades WHERE id = ?", [number]).fetchall()
    return (thread_time_ns() - start) / BATCH / 1e3


def a_query(con: duckdb.DuckDBPyConnection, rounds: int) -> None:
    """Print what a query costs more with a monitor: in its own thread, and afterwards, when it is added up."""
    monitor = Monitor(serve=False, interval_ms=3_600_000)
    times: dict[bool, list[float]] = {False: [], True: []}
    afterwards = []
    for turn in range(rounds):
        for on in (turn % 2 == 0, turn % 2 == 1):
            if on:
                monitor.start()
            batch(con)
            monitor.statements(limit=0)
            times[on].append(batch(con))
            start = thread_time_ns()
            monitor.statements(limit=0)
            if on:
                afterwards.append((thread_time_ns() - start) / BATCH / 1e3)
            monitor.stop()
    without, with_it = min(times[False]), min(times[True])
    differences = statistics.median(on - off for off, on in zip(times[False], times[True], strict=True))
    print(
        f"a query: {without:.1f} µs without, {with_it:.1f} µs with a monitor (lowest of {rounds} batches of {BATCH});"
    )
    print(f"  difference of the lowest {with_it - without:+.1f} µs, median of the differences {differences:+.1f} µs")
    print(f"  added up afterwards: {statistics.median(afterwards):.1f} µs a query, whoever does it")


DRAWN = (
    *("duckdb_memory_used_bytes", "process.memory.usage", "process.cpu.time", "duckdb_disk_usage_bytes"),
    *("duckdb_wal_size_bytes", "duckdb_temporary_files_bytes", "duckdb_active_connections", "duckdb_active_queries"),
    *("duckdb_queries_per_sec", "duckdb_select_queries_per_sec", "duckdb_insert_queries_per_sec"),
    *("duckdb_update_queries_per_sec", "duckdb_delete_queries_per_sec", "duckdb_transaction_success_count"),
    *("duckdb_transaction_failure_count", "duckdb_oldest_query_seconds", "duckdb_query_latency_ms"),
)
"""The metrics that the overview of the page asks for."""
READER = """
import http.client, sys, threading, time
def read(port):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/api/events")
    response = connection.getresponse()
    while response.readline():
        pass
def ask(port, names):
    while True:
        time.sleep(4)
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", f"/api/metrics?{names}&step=1&start={time.time() - 5}")
        assert connection.getresponse().status == 200
        connection.close()
for _ in range(int(sys.argv[2])):
    threading.Thread(target=read, args=[int(sys.argv[1])], daemon=True).start()
    threading.Thread(target=ask, args=[int(sys.argv[1]), sys.argv[3]], daemon=True).start()
sys.stdin.readline()
"""
"""Does what the overview does: it reads the events, and asks for the new points of its charts every 4 s."""


@contextmanager
def reading(port: int | None, readers: int) -> Iterator[None]:
    """Let another process ask the monitor at `port` for what open pages ask for."""
    if not readers:
        yield
        return
    command = [sys.executable, "-c", READER, str(port), str(readers), "&".join(f"name={name}" for name in DRAWN)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        try:
            yield
        finally:
            process.communicate(b"\n")


def an_idle_program(seconds: float, *, serve: bool, readers: int = 0, light: bool = False) -> None:
    """Print what the monitor takes of memory and of a core beside a program that rests."""
    process = psutil.Process()
    gc.collect()
    before = process.memory_info().rss
    options = {"light": True} if light else {"interval_ms": 1000, "serve": serve, "port": 0}
    with Monitor(**options) as monitor, reading(monitor.port, readers):
        time.sleep(2)
        start = resource.getrusage(resource.RUSAGE_SELF)
        began = time.monotonic()
        time.sleep(seconds)
        end = resource.getrusage(resource.RUSAGE_SELF)
        used = end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime
        share = used / (time.monotonic() - began)
        grown = (process.memory_info().rss - before) / 1e6
    if light:
        print(f"an idle program, in the light mode: {share:.3%} of a core, +{grown:.1f} MB resident")
        return
    words = f"with the server and {readers} open page(s)" if readers else "with the server" if serve else "without it"
    print(f"an idle program, a sample a second, {words}: {share:.2%} of a core, +{grown:.1f} MB resident")


def in_a_fresh_process(seconds: float, *, way: str, readers: int) -> None:
    """Measure an idle program in a process that had no monitor before: memory that was freed is used again."""
    options = ["--idle", way, "--readers", str(readers), "--seconds", str(seconds)]
    subprocess.run([sys.executable, __file__, *options], check=True)


def a_day(count: int) -> None:
    """Print what the history of a day takes, and a chart of it."""
    process = psutil.Process()
    gc.collect()
    before = process.memory_info().rss
    history = History(limit=count)
    series = [Series("duckdb_memory_used_bytes", (("database", str(number)),)) for number in range(count)]
    end = time.time()
    for second in range(0, 86_400, 10):
        history.sampled(Sample(end - 86_400 + second, float(second), dict.fromkeys(series, float(second))))
    grown = (process.memory_info().rss - before) / 1e6
    one = {"duckdb_memory_used_bytes"}
    start = time.process_time()
    for _ in range(10):
        history.as_json(one, end - 86_400, end)
    milliseconds = (time.process_time() - start) * 100 / count
    print(f"a day of {count} series: +{grown:.1f} MB resident; a chart of a day {milliseconds:.2f} ms a series")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--database", type=Path, help="a new file; else the database is in memory")
    parser.add_argument("--idle", choices=("serve", "alone", "light"), help="measure an idle program alone")
    parser.add_argument("--readers", type=int, default=0, help="who reads the events meanwhile")
    options = parser.parse_args()
    meters, tracers = MeterProvider([InMemoryMetricReader()]), TracerProvider()
    DuckDBInstrumentor().instrument(tracer_provider=tracers, meter_provider=meters)
    con = duckdb.connect(options.database or ":memory:")
    con.execute("SET threads = 1")
    con.execute("CREATE TABLE trades AS SELECT range AS id, random() AS price FROM range(50000)")
    if options.idle:
        an_idle_program(
            options.seconds, serve=options.idle == "serve", readers=options.readers, light=options.idle == "light"
        )
        return
    print(f"DuckDB {duckdb.__version__}, Python {sys.version.split()[0]}")
    for way, readers in (("alone", 0), ("light", 0), ("serve", 0), ("serve", 1), ("serve", 5)):
        # In the light mode a sample comes every half minute only.
        in_a_fresh_process(max(options.seconds, 90) if way == "light" else options.seconds, way=way, readers=readers)
    a_query(con, options.rounds)
    a_day(60)


if __name__ == "__main__":
    main()
