"""How fast the sync is beside a bare `insert_arrow` of the same batches, and how much memory it takes.

    python benchmarks/sync_throughput.py                    # the ratio, over the HTTP stand-in
    python benchmarks/sync_throughput.py --over chdb        # the same with chDB in this process
    python benchmarks/sync_throughput.py --memory           # resident memory at 2M and 20M rows
    python benchmarks/sync_throughput.py --dlt              # beside dlt as well

Rounds of both kinds alternate, so that what else the machine does falls on both; the first is not counted, the ratios
are medians of the ratios of each round. The processor's seconds are those of this process and of the server. The
batches of the bare inserts are in memory beforehand, and go one after the other: with reading in between, the server
would merge its parts in pauses that nobody counts. `dlt` is installed into an environment of its own, and given a
destination that calls `insert_arrow` on the same server.
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import clickhouse_connect
import duckdb
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
from clickhouse_standin import StandIn
from otel_duckdb.sync import Limits, Sync, Target

COLUMNS = "moment TIMESTAMP, symbol VARCHAR, price DECIMAL(18, 4), size INTEGER, bid DOUBLE, ask DOUBLE, venue VARCHAR"
ROWS = (
    "SELECT TIMESTAMP '2024-01-01' + to_microseconds(range * 700), 'S' || (range * 7919 % 500), (range % 100000) / 4, "
    "range % 1000, random() * 100, random() * 100, CASE range % 3 WHEN 0 THEN 'XETR' ELSE 'XNAS' END FROM range({})"
)


def make_buffer(path: Path, rows: int) -> None:
    """Fill a DuckDB database with ticks."""
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"CREATE TABLE ticks ({COLUMNS})")
        connection.execute(f"INSERT INTO ticks {ROWS.format(rows)}")


class Seconds(NamedTuple):
    """What a round took."""

    clock: float
    processor: float


def processor_seconds() -> float:
    """The seconds of the processor that this process and those that it started took so far."""
    times = [one.cpu_times() for one in psutil.Process().children(recursive=True)]
    return time.process_time() + sum(one.user + one.system for one in times)


def synced(path: Path, target: Target, limits: Limits) -> Seconds:
    """Seconds the sync takes for the whole table: it opens the journal, connects, reads and sends."""
    begin, processor = time.perf_counter(), processor_seconds()
    with Sync(path, ["ticks"], target, batch=limits) as sync:
        sync.reset("ticks")
        (report,) = sync.run_once()
        if report.error:
            raise report.error
        return Seconds(time.perf_counter() - begin, processor_seconds() - processor)


def batches(path: Path, sizes: list[int]) -> list[Any]:
    """The same batches as the sync's."""
    tables, low = [], -1
    with duckdb.connect(str(path)) as connection:
        for size in sizes:
            query = f"SELECT * FROM ticks WHERE rowid > {low} AND rowid <= {low + size}"
            tables.append(connection.sql(query).to_arrow_table().combine_chunks())
            low += size
    return tables


def bare(client: Any, tables: list[Any]) -> Seconds:
    """Seconds that `insert_arrow` takes for all batches."""
    begin, processor = time.perf_counter(), processor_seconds()
    for table in tables:
        client.insert_arrow("bare", table, settings={"async_insert": 0, "min_insert_block_size_bytes": 0})
    return Seconds(time.perf_counter() - begin, processor_seconds() - processor)


def compare(folder: Path, target: Target, client: Any, options: argparse.Namespace) -> None:
    """Print the ratios."""
    path, limits = folder / "buffer.duckdb", Limits(rows=options.batch)
    make_buffer(path, options.rows)
    client.command(
        "CREATE TABLE bare (moment Nullable(DateTime64(6, 'UTC')), symbol Nullable(String), "
        "price Nullable(Decimal(18, 4)), "
        "size Nullable(Int32), bid Nullable(Float64), ask Nullable(Float64), venue Nullable(String)) "
        "ENGINE = MergeTree ORDER BY tuple() SETTINGS non_replicated_deduplication_window = 10000"
    )
    others = {"insert_arrow of the same batches": bare_round} | ({"dlt": dlt_round} if options.dlt else {})
    seconds: dict[str, list[Seconds]] = {name: [] for name in ("sync", *others)}
    for _ in range(options.rounds + 1):
        seconds["sync"].append(synced(path, target, limits))
        found = client.query("SELECT count() FROM ticks GROUP BY _sync_batch ORDER BY _sync_batch")
        client.command("TRUNCATE TABLE ticks")
        sizes = [row[0] for row in found.result_rows]
        for name, run in others.items():
            seconds[name].append(run(folder, path, target, client, sizes))
            client.command("TRUNCATE TABLE bare")
    for name, figures in seconds.items():
        report(name, figures[1:], options.rows)
    for name in others:
        for kind, what in enumerate(("throughput of the sync over", "the same by seconds of the processor, over")):
            pairs = zip(seconds[name], seconds["sync"], strict=True)
            ratios = [other[kind] / ours[kind] for other, ours in pairs][1:]
            print(f"{what} {name}: {statistics.median(ratios):.2f} ({spread(ratios)})")


def bare_round(_: Path, path: Path, __: Target, client: Any, sizes: list[int]) -> Seconds:
    """Seconds of a round of bare inserts."""
    return bare(client, batches(path, sizes))


def spread(figures: list[float]) -> str:
    """All figures of the rounds."""
    return ", ".join(f"{figure:.2f}" for figure in figures)


def report(name: str, seconds: list[Seconds], rows: int) -> None:
    """Print a line of figures."""
    clock, processor = ([one[kind] for one in seconds] for kind in (0, 1))
    median = statistics.median(clock)
    print(
        f"{name}: {median:.2f} s, {rows / median / 1e6:.2f} M rows/s ({spread(clock)}); processor "
        f"{statistics.median(processor):.2f} s ({spread(processor)})"
    )


DLT = """
import sys, time
import clickhouse_connect, dlt, duckdb, pyarrow.parquet as parquet

database, port, rows, home = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
client = clickhouse_connect.get_client(host="127.0.0.1", port=port)

@dlt.destination(
    loader_file_format="parquet", batch_size=0, skip_dlt_columns_and_tables=True, naming_convention="direct"
)
def clickhouse(path, table):
    client.insert_arrow("bare", parquet.read_table(path))

@dlt.resource(name="ticks", max_table_nesting=0)
def ticks():
    with duckdb.connect(database, read_only=True) as connection:
        yield from connection.sql("SELECT * FROM ticks").to_arrow_reader(rows)

begin = time.perf_counter()
dlt.pipeline("ticks", destination=clickhouse, pipelines_dir=home).run(ticks())
print(time.perf_counter() - begin)
"""


def dlt_round(folder: Path, path: Path, target: Target, _: Any, sizes: list[int]) -> Seconds:
    """Seconds that dlt takes for the whole table, without the start of its process, and of the processor unknown."""
    script = folder / "with_dlt.py"
    script.write_text(DLT)
    packages = [part for name in ("dlt", "pyarrow", "clickhouse-connect", "duckdb==2.0.*") for part in ("--with", name)]
    with tempfile.TemporaryDirectory(dir=folder) as home:
        done = subprocess.run(
            [
                *(str(Path(__file__).resolve().parents[1] / "scripts/uv"), "run", "--no-project", *packages),
                *("python", str(script), str(path), str(target.port), str(max(sizes)), home),
            ],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    return Seconds(float(done.stdout.split()[-1]), math.nan)


MEMORY = """
import statistics, sys
from pathlib import Path
import psutil
from otel_duckdb.sync import Sync, Target
samples = []
def sample(name, rows):
    samples.append(psutil.Process().memory_info().rss // 1024)
with Sync(sys.argv[1], ["ticks"], Target(host="127.0.0.1", port=int(sys.argv[2])), progress=sample) as sync:
    (report,) = sync.run_once()
    assert report.error is None, report.error
# ru_maxrss would not do: a process inherits it from the one that started it.
peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
print(int(statistics.median(samples)), peak)
"""


def memory(folder: Path, port: int) -> None:
    """Print the resident memory of processes that sync 2M and 20M rows: after each batch, and at most."""
    found = []
    client = clickhouse_connect.get_client(host="127.0.0.1", port=port)
    for rows in (2_000_000, 20_000_000):
        path = folder / f"{rows}.duckdb"
        make_buffer(path, rows)
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, str(path), str(port)], check=True, stdout=subprocess.PIPE, text=True
        )
        median, peak = (int(kibibytes) / 1024 for kibibytes in done.stdout.split())
        found.append((median, peak))
        client.command("DROP TABLE ticks")
        print(f"{rows} rows: {median:.0f} MiB resident in the median, {peak:.0f} MiB at most")
    (small, small_peak), (large, large_peak) = found
    print(f"memory at 20M over 2M rows: {large / small:.2f} in the median, {large_peak / small_peak:.2f} at most")


def main() -> int:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--batch", type=int, default=250_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--over", choices=("http", "chdb"), default="http")
    parser.add_argument("--dlt", action="store_true", help="compare with dlt as well; over http only")
    parser.add_argument("--memory", action="store_true", help="measure memory instead of speed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sync-throughput-") as name, ExitStack() as stack:
        folder = Path(name)
        if options.over == "chdb":
            target = Target(path=str(folder / "chdb"))
            client: Any = clickhouse_connect.get_client(interface="chdb", path=target.path)
        else:
            server = stack.enter_context(StandIn(folder / "server", log=folder / "log"))
            target = Target(host=server.host, port=server.port)
            client = clickhouse_connect.get_client(host=server.host, port=server.port)
        stack.callback(client.close)
        if options.memory:
            memory(folder, server.port)
        else:
            compare(folder, target, client, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
