"""What the instrumentation costs: ratios over a floor, measured in one run with the variants taking turns.

The floor is the same telemetry written by hand with OpenTelemetry's public API around the same two DuckDB calls: a
current span with as many attributes, and as many histogram records. Run with `make bench`. CPU time is that of the
calling thread, which other programs of the machine disturb less than the clock.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from time import perf_counter_ns, thread_time_ns
from typing import TYPE_CHECKING, Any

import duckdb
from instructions import counted, missing, print_table
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from variants import Providers, connect, instrumented, variants

if TYPE_CHECKING:
    from collections.abc import Callable

GOALS = (
    ("otel-duckdb", "floor", 1.05),
    ("otel-duckdb", "dbapi", 1.3),
    ("otel-duckdb, as much as dbapi tells", "dbapi", 0.9),
    ("otel-duckdb, sampled out", "floor, sampled out", 0.9),
    ("otel-duckdb, two readers", "floor, two readers", 1.05),
    ("otel-duckdb, batches of 32", "floor", 0.85),
)
"""What is over the plain query, of one variant over another, and what it may be at most."""
FEW = "otel-duckdb, as much as dbapi tells"
PEER = "SQLAlchemy, its instrumentation"
NO_SDK_MICROSECONDS = 3
MONITORED = "otel-duckdb, monitored"
MONITOR_MICROSECONDS = 3
OVER_PLAIN = {"1": 1.5, "2": 1.4}
"""CPU of the query with one family of metrics over the plain one, by DuckDB's major version."""


class Nowhere(SpanExporter):
    """Throws spans away."""

    def export(self, spans: Any) -> SpanExportResult:
        """Take the spans."""
        del spans
        return SpanExportResult.SUCCESS


class Measured:
    """Nanoseconds of each query of a variant by the clock, and of CPU time a query in each round."""

    def __init__(self) -> None:
        self.clock: list[int] = []
        self.cpu: list[float] = []

    @property
    def microseconds(self) -> float:
        """CPU time a query, the median of the rounds."""
        return statistics.median(self.cpu) / 1e3

    def over(self, other: Measured) -> float:
        """Microseconds of CPU time a query over those of another variant in the same round: the median of all."""
        return statistics.median(ours - theirs for ours, theirs in zip(self.cpu, other.cpu, strict=True)) / 1e3


def rounds(known: dict[str, Callable[[], Any]], number: int, size: int) -> dict[str, Measured]:
    """What was measured of each variant; the variants take turns, each round in the opposite order."""
    found = {name: Measured() for name in known}
    names = list(known)
    for turn in range(number):
        for name in names if turn % 2 else names[::-1]:
            measured = found[name]
            with known[name]() as run:
                for warm in range(20):
                    run(warm)
                began = thread_time_ns()
                for point in range(size):
                    start = perf_counter_ns()
                    run(point)
                    measured.clock.append(perf_counter_ns() - start)
                measured.cpu.append((thread_time_ns() - began) / size)
    return found


def print_goals(found: dict[str, Measured]) -> None:
    """Print what is reached beside what is to be reached."""
    plain = found["plain"].microseconds
    over = {name: measured.over(found["plain"]) for name, measured in found.items()}
    print(f"\n{'CPU time over the plain query':<62}{'measured':>10}{'goal':>8}")
    for ours, other, goal in GOALS:
        if ours in over and other in over:
            print(f"{ours + ' / ' + other:<62}{over[ours] / over[other]:>10.2f}{goal:>8}")
    if "no SDK" in over:
        print(f"{'otel-duckdb, no SDK, µs':<62}{over['no SDK']:>10.1f}{NO_SDK_MICROSECONDS:>8}")
    if MONITORED in found:
        microseconds = found[MONITORED].over(found["otel-duckdb"])
        print(f"{MONITORED + ', over otel-duckdb, µs':<62}{microseconds:>10.1f}{MONITOR_MICROSECONDS:>8}")
    if PEER in found:
        base = found["SQLAlchemy"]
        ratio = found["SQLAlchemy, otel-duckdb"].over(base) / found[PEER].over(base)
        print(f"{'SQLAlchemy: otel-duckdb / its instrumentation':<62}{ratio:>10.2f}")
    if FEW in found:
        goal = OVER_PLAIN[duckdb.__version__[0]]
        print(f"{FEW + ' / plain, whole queries':<62}{found[FEW].microseconds / plain:>10.2f}{goal:>8}")
    for share in (0.9, 0.99, 0.999):
        ratio = point(found["otel-duckdb"].clock, share) / point(found["floor"].clock, share)
        print(f"{f'otel-duckdb / floor, whole queries by the clock, p{100 * share:g}':<62}{ratio:>10.2f}{1.05:>8}")


def fetchone_loop(con: duckdb.DuckDBPyConnection, rows: int) -> int:
    """Nanoseconds of CPU that a loop over `rows` rows takes in its thread."""
    con.execute(f"SELECT range, 'abc' FROM range({rows})")
    start = thread_time_ns()
    while con.fetchone() is not None:
        pass
    return thread_time_ns() - start


def point(times: list[int], share: float) -> float:
    """The quantile in microseconds."""
    ordered = sorted(times)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] / 1e3


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="variants to measure beside plain, floor and otel-duckdb; else all")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--queries", type=int, default=250)
    parser.add_argument("--instructions", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    known = variants(lambda: BatchSpanProcessor(Nowhere()))
    wanted = {"plain", "floor", "otel-duckdb", *(options.names or known)}
    found = rounds({name: known[name] for name in known if name in wanted}, options.rounds, options.queries)
    plain = found["plain"]
    raw = point(plain.clock, 0.5)
    print(
        f"DuckDB {duckdb.__version__}, Python {sys.version.split()[0]}; point query {raw:.0f} µs; "
        f"{options.rounds * options.queries} queries a variant, in turns"
    )
    columns = f"{'median µs':>11}{'over plain':>12}{'p90':>8}{'p99':>8}{'p99.9':>8}"
    print(f"{'variant':<36}{'CPU µs':>8}{'over plain':>12}{columns}")
    for name, measured in found.items():
        median = point(measured.clock, 0.5)
        print(
            f"{name:<36}{measured.microseconds:>8.1f}{measured.over(plain):>+12.1f}{median:>11.1f}"
            f"{median - raw:>+12.1f}{''.join(f'{point(measured.clock, share):>8.0f}' for share in (0.9, 0.99, 0.999))}"
        )
    print_goals(found)
    con, on = connect(), Providers(ALWAYS_ON, BatchSpanProcessor(Nowhere()))
    ratios = []
    for _ in range(11):
        bare = fetchone_loop(con, 1_000_000)
        with instrumented(on, con):
            ratios.append(fetchone_loop(con, 1_000_000) / bare)
    print(f"fetchone loop over 1M rows, otel-duckdb / plain: {statistics.median(ratios):.3f}; goal 1.03\n")
    if options.instructions:
        if missing():
            print(f"instructions are not counted: {missing()}")
        else:
            print_table(counted(tuple(found)))


if __name__ == "__main__":
    main()
