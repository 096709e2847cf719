"""Queries of other kinds than a point look-up, and eight threads of those: plain, by hand, and with otel-duckdb.

`python benchmarks/workloads.py`, or `make bench`. The variants take turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import threading
import warnings
from contextlib import nullcontext
from functools import partial
from time import perf_counter_ns, process_time_ns, thread_time_ns
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from overhead import Nowhere, point
from variants import QUERY, ROWS, Floor, Providers, connect, instrumented

if TYPE_CHECKING:
    from collections.abc import Callable

THREADS = 8
GOAL = 1.05
VARIANTS = ("plain", "floor", "otel-duckdb")
ANALYTICAL = "SELECT count(*), sum(hash(a.id + b.id)) FROM trades a, trades b WHERE b.id < {} AND a.price < b.price"
MANY = "SELECT id, price, price::varchar AS text FROM trades"


class Workload(NamedTuple):
    """A query in two calls."""

    name: str
    text: str
    fetch: str
    queries: int


WORKLOADS = (
    Workload("analytical query", ANALYTICAL, "fetchall", 4),
    Workload("50,000 rows as an Arrow table", MANY, "to_arrow_table", 10),
    Workload("50,000 rows as a DataFrame", MANY, "df", 10),
    Workload("one row as a DataFrame", f"SELECT id, price FROM trades WHERE id = {ROWS // 2}", "df", 60),
)


def runs(workload: Workload, con: duckdb.DuckDBPyConnection, floor: Floor) -> dict[str, Callable[[], Any]]:
    """The query plain and by hand; with otel-duckdb it is the plain one, instrumented."""

    def fetching() -> Any:
        return getattr(con, workload.fetch)()  # looked up each time: it may be instrumented by then

    def plain() -> Any:
        con.execute(workload.text)
        return fetching()

    by_hand = partial(floor.run, "SELECT trades", workload.text, lambda: con.execute(workload.text), fetching)
    return {"plain": plain, "floor": by_hand, "otel-duckdb": plain}


def calibrated(con: duckdb.DuckDBPyConnection) -> str:
    """The analytical query at a size that takes about 100 ms here."""
    size = 64
    con.execute(ANALYTICAL.format(size)).fetchall()
    began = thread_time_ns()
    con.execute(ANALYTICAL.format(size)).fetchall()
    took = (thread_time_ns() - began) / 1e6
    return ANALYTICAL.format(max(1, round(size * 100 / took)))


def compare(workload: Workload, con: duckdb.DuckDBPyConnection, on: Providers, rounds: int) -> None:
    """Print a line for one workload."""
    known = runs(workload, con, Floor(on))
    cpu: dict[str, list[float]] = {name: [] for name in VARIANTS}
    clock: dict[str, list[int]] = {name: [] for name in VARIANTS}
    for turn in range(rounds):
        for name in VARIANTS if turn % 2 else VARIANTS[::-1]:
            with instrumented(on, con) if name == "otel-duckdb" else nullcontext():
                known[name]()
                began = thread_time_ns()
                for _ in range(workload.queries):
                    start = perf_counter_ns()
                    known[name]()
                    clock[name].append(perf_counter_ns() - start)
                cpu[name].append((thread_time_ns() - began) / workload.queries / 1e3)
    plain = statistics.median(cpu["plain"])
    over = {
        name: statistics.median(ours - theirs for ours, theirs in zip(cpu[name], cpu["plain"], strict=True))
        for name in VARIANTS
    }
    ratio = point(clock["otel-duckdb"], 0.99) / point(clock["floor"], 0.99)
    print(
        f"{workload.name:<34}{plain:>10.0f}{over['floor']:>+10.0f}{over['otel-duckdb']:>+10.0f}"
        f"{(plain + over['otel-duckdb']) / plain:>12.3f}{ratio:>12.2f}"
    )


def in_threads(on: Providers, rounds: int, queries: int) -> None:
    """Print what eight threads of point queries take, each with a connection of its own."""
    con = connect()
    cursors = [con.cursor() for _ in range(THREADS)]
    floor = Floor(on)
    clock: dict[str, list[int]] = {name: [] for name in VARIANTS}
    cpu: dict[str, list[float]] = {name: [] for name in VARIANTS}

    def run(cursor: duckdb.DuckDBPyConnection, name: str, found: list[int]) -> None:
        for number in range(queries):
            start = perf_counter_ns()
            if name == "floor":
                floor.query(cursor, number)
            else:
                cursor.execute(QUERY, [number]).fetchall()
            found.append(perf_counter_ns() - start)

    for turn in range(rounds):
        for name in VARIANTS if turn % 2 else VARIANTS[::-1]:
            with instrumented(on, con) if name == "otel-duckdb" else nullcontext():
                threads = [threading.Thread(target=run, args=(each, name, clock[name])) for each in cursors]
                began = process_time_ns()
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                cpu[name].append((process_time_ns() - began) / THREADS / queries / 1e3)
    print(f"\n{THREADS} threads, point queries{'CPU µs':>16}{'p50 µs':>10}{'p90':>10}{'p99':>10}{'p99.9':>10}")
    for name in VARIANTS:
        shares = "".join(f"{point(clock[name], share):>10.0f}" for share in (0.5, 0.9, 0.99, 0.999))
        print(f"{name:<24}{statistics.median(cpu[name]):>16.1f}{shares}")
    ratios = [point(clock["otel-duckdb"], share) / point(clock["floor"], share) for share in (0.9, 0.99, 0.999)]
    print(f"otel-duckdb / floor at p90, p99, p99.9: {', '.join(f'{ratio:.2f}' for ratio in ratios)}; goal {GOAL}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    warnings.filterwarnings(
        "ignore", "Arrow output on a DB-API result"
    )  # this line of DuckDB would rather have con.sql()
    con, on = connect(), Providers(ALWAYS_ON, BatchSpanProcessor(Nowhere()))
    print(
        f"DuckDB {duckdb.__version__}, Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.0f}; "
        "µs of CPU time a query in its thread, medians"
    )
    columns = f"{'plain':>10}{'floor':>10}{'ours':>10}{'ours/plain':>12}{'p99/floor':>12}"
    print(f"{'':<34}{columns}")
    for workload in WORKLOADS:
        if workload.text == ANALYTICAL:
            compare(workload._replace(text=calibrated(con)), con, on, options.rounds)
        else:
            compare(workload, con, on, options.rounds)
    in_threads(on, max(options.rounds // 4, 1), 400)


if __name__ == "__main__":
    main()
