"""What each action of the monitor gives, on this line of DuckDB: bytes before and after, and the time it takes.

    .venv/bin/python benchmarks/actions.py

One database in a file, a limit of 1 GB, 2 threads, 6 million rows. Resident memory is that of the whole process.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from opentelemetry import metrics, trace

from otel_duckdb import DuckDBInstrumentor
from otel_duckdb.core import source
from otel_duckdb.monitor.actions.action import resident_bytes
from otel_duckdb.monitor.actions.all import all_actions
from otel_duckdb.monitor.actions.memory_limit import MemoryLimits
from otel_duckdb.monitor.actions.runner import ActionRunner
from otel_duckdb.monitor.running import Running

if TYPE_CHECKING:
    from otel_duckdb.monitor.actions.action import Result

MEGA = 1e6
ENDLESS = "select count(*) from range(1000000) a(i), range(1000000) b(j) where (i * j) % 7 = 3"
MISSES = "select count(*), count(distinct r) from (select r + j as r from t, range(2) s(j))"


def work(con: Any) -> None:
    """Let DuckDB's allocator keep what it has freed."""
    con.execute("select count(distinct r) from t").fetchall()


def told(name: str, result: Result, figures: str = "") -> None:
    """Print one row of the table."""
    changed = (one for one in ("resident", "used", "limit", "disk") if one in result.after)
    figures = figures or ", ".join(
        f"{one} {result.before[one] / MEGA:.0f} -> {result.after[one] / MEGA:.0f} MB" for one in changed
    )
    print(f"| {name} | {duckdb.__version__} | {figures} | {result.seconds * 1000:.0f} ms | {result.outcome.value} |")


def with_spill_files_of_the_dead(folder: Path) -> int:
    """Write files as a killed process leaves them; returns their bytes."""
    folder.mkdir(exist_ok=True)
    names = ("duckdb_temp_4194304_0_storage_S32K-0.tmp", "duckdb_temp_4194304_0_owner")
    if duckdb.__version__.startswith("1."):
        names = ("duckdb_temp_storage_S32K-0.tmp", "duckdb_temp_storage_DEFAULT-0.tmp")
    for name in names:
        path = folder / name
        path.write_bytes(b"" if name.endswith("owner") else bytes(30_000_000))
        os.utime(path, (1e9, 1e9))
    return sum(path.stat().st_size for path in folder.iterdir())


def interrupted(runner: ActionRunner, running: Running, con: Any) -> tuple[Result, float]:
    """Interrupt a statement that never ends; returns how long it took until it had ended."""
    ended: list[float] = []

    def run() -> None:
        try:
            con.cursor().execute(ENDLESS).fetchall()
        except duckdb.Error:
            ended.append(time.perf_counter())

    worker = threading.Thread(target=run)
    worker.start()
    time.sleep(0.5)
    (operation,) = running.as_json(())["operations"]
    began = time.perf_counter()
    (result,) = runner.run("interrupt", by="benchmark", argument=str(operation["id"]))
    worker.join()
    return result, ended[0] - began


def spill_files(runner: ActionRunner, folder: Path) -> None:
    """Remove what a killed process left."""
    before = with_spill_files_of_the_dead(folder)
    (result,) = runner.run("remove_temporary_files", by="benchmark")
    left = sum(path.stat().st_size for path in folder.iterdir())
    told("`remove_temporary_files`", result, f"files {before / MEGA:.0f} -> {left / MEGA:.0f} MB")


def transactions(runner: ActionRunner, con: Any) -> None:
    """Roll an aborted transaction back; its owner goes on."""
    con.execute("create table u (i int primary key)")
    con.execute("begin")
    con.execute("insert into u values (1)")
    with contextlib.suppress(duckdb.Error):
        con.execute("insert into u values (1)")
    (result,) = runner.run("rollback_aborted", by="benchmark")
    con.execute("insert into u values (2)")
    told("`rollback_aborted`", result, "its owner goes on")


def main() -> None:
    """Run every action once."""
    DuckDBInstrumentor().instrument()
    present = source._current
    assert present is not None
    limits, running = MemoryLimits(), Running()
    present.listen(limits, running)
    actions = all_actions(limits, running.find)
    names = [action.name for action in actions]
    tracer, meter = trace.get_tracer("benchmark"), metrics.get_meter("benchmark")
    runner = ActionRunner(actions, names, limits, tracer, meter)
    runner.source = present

    def once(name: str) -> Result:
        (result,) = runner.run(name, by="benchmark")
        return result

    folder = Path(tempfile.mkdtemp(prefix="otel-duckdb-"))
    con = duckdb.connect(folder / "x.db", config={"memory_limit": "1GB", "threads": 2})
    con.execute("set wal_autocheckpoint = '1GB'")
    con.execute("create table t as select range i, random() r from range(6000000)")
    work(con)
    told("`release_memory`", once("release_memory"))
    worker = threading.Thread(target=lambda: con.cursor().execute(MISSES).fetchall())
    worker.start()
    time.sleep(0.7)
    told("`release_memory`, a query runs", once("release_memory"))
    worker.join()
    work(con)
    threads = once("allocator_threads")
    time.sleep(2)
    threads.after["resident"] = resident_bytes()
    told("`allocator_threads`, 2 s later", threads)
    told("`raise_memory_limit`", once("raise_memory_limit"))
    work(con)
    told("`empty_cache`", once("empty_cache"))
    con.execute("insert into t select range, random() from range(1000000)")
    told("`checkpoint`", once("checkpoint"))
    spill_files(runner, folder / "x.db.tmp")
    transactions(runner, con)
    result, seconds = interrupted(runner, running, con)
    told("`interrupt`", result, f"the statement ended {seconds * 1000:.0f} ms later")
    con.close()


if __name__ == "__main__":
    main()
