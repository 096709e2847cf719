"""How long a sync of many tables takes: its first pass, which makes the targets, a later start, and idle passes.

    python benchmarks/sync_tables.py                 # 200 tables, over the HTTP stand-in, half of them with a key
    python benchmarks/sync_tables.py --tables 50 --over chdb

Seconds of the wall clock and of the processor, the server's apart; an idle pass is the median of five. On a machine
with other work to do the processor's tell more.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import duckdb
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
from clickhouse_standin import StandIn
from otel_duckdb.sync import Sync, Table, Target

if TYPE_CHECKING:
    from collections.abc import Callable


class Seconds(NamedTuple):
    """What a call took."""

    clock: float
    processor: float
    server: float

    def __str__(self) -> str:
        """The figures, in one line."""
        return f"{self.clock:.2f} s, processor {self.processor:.2f} s, the server's {self.server:.2f} s"


def processor_of(processes: list[psutil.Process]) -> float:
    """The seconds of the processor that processes took so far."""
    return float(sum(times.user + times.system for times in (one.cpu_times() for one in processes)))


def seconds(function: Callable[[], object]) -> Seconds:
    """What a call takes, here and in the processes that this one started."""
    children = psutil.Process().children(recursive=True)
    begin, processor, server = time.perf_counter(), time.process_time(), processor_of(children)
    function()
    return Seconds(time.perf_counter() - begin, time.process_time() - processor, processor_of(children) - server)


def checked(sync: Sync, rows: int) -> None:
    """Run one pass, that sends so many rows."""
    reports = sync.run_once()
    errors = [report.error for report in reports if report.error]
    if errors or sum(report.rows for report in reports) != rows:
        raise RuntimeError(f"{errors[:1] or reports[:1]}")


def measure(folder: Path, tables: list[Table], target: Target, rows: int) -> None:
    """Print the figures."""
    with duckdb.connect(str(folder / "buffer.duckdb")) as connection:
        for table in tables:
            connection.execute(f"CREATE TABLE {table.name} AS SELECT range AS id, 'x' || range AS v FROM range({rows})")
        with Sync(connection, tables, target) as sync:
            first = seconds(lambda: checked(sync, rows * len(tables)))
            print(f"first pass, which makes {len(tables)} targets: {first}")
        with Sync(connection, tables, target) as sync:
            print(f"a later start, with its first pass: {seconds(lambda: checked(sync, 0))}")
            idle = [seconds(lambda: checked(sync, 0)) for _ in range(5)]
            median = Seconds(*(statistics.median(part) for part in zip(*idle, strict=True)))
            print(f"an idle pass: {median} (by the clock {', '.join(f'{one.clock:.2f}' for one in idle)})")
            print(f"its state: {seconds(sync.status)}")
    print(f"resident memory: {psutil.Process().memory_info().rss / 2**20:.0f} MiB")


def main() -> int:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=200)
    parser.add_argument("--keyed", type=int, default=None, help="how many of them have a key; half, if left out")
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--over", choices=("http", "chdb"), default="http")
    options = parser.parse_args()
    keyed = options.tables // 2 if options.keyed is None else options.keyed
    tables = [Table(name=f"t{number}", key=["id"] if number < keyed else []) for number in range(options.tables)]
    with tempfile.TemporaryDirectory(prefix="sync-tables-") as name, ExitStack() as stack:
        folder = Path(name)
        if options.over == "chdb":
            target = Target(path=str(folder / "chdb"))
        else:
            server = stack.enter_context(StandIn(folder / "server", log=folder / "log"))
            target = Target(host=server.host, port=server.port)
        measure(folder, tables, target, options.rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
