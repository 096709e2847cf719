"""Spill files that nobody uses any more are removed, and no other file is."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb

from otel_duckdb.monitor.actions.action import Outcome

IS_2 = not duckdb.__version__.startswith("1.")


SPILL = """
import duckdb, sys, time
con = duckdb.connect(sys.argv[1], config={"memory_limit": "60MB", "threads": "2", "temp_directory": sys.argv[2]})
print("begun", flush=True)
con.execute("create or replace temp table s as select range i, random() r, repeat('x', 100) s from range(1500000)")
print("done", flush=True)
time.sleep(60)
"""


def spilled(database, folder):
    """Spill files of a process; the process."""
    process = subprocess.Popen(
        [sys.executable, "-c", SPILL, database, folder], stdout=subprocess.PIPE, text=True, cwd=Path(folder).parent
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not any(name.endswith(".tmp") for name in listed(folder)):
        time.sleep(0.05)
    assert listed(folder)
    return process


def end(process):
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def listed(folder):
    return sorted(path.name for path in Path(folder).glob("*"))


def age(folder):
    for name in listed(folder):
        os.utime(Path(folder) / name, (1e9, 1e9))


def test_spill_files_of_a_killed_process_are_removed_and_those_of_a_living_one_are_not(runner, tmp_path):
    database = str(tmp_path / "x.db")
    folder = f"{database}.tmp"
    process = spilled(database, folder)
    copy = tmp_path / "copy"
    end(process)
    shutil.copytree(folder, copy)
    (Path(folder) / "report.tmp").write_text("mine")
    (Path(folder) / "duckdb_temp_storage_link.tmp").symlink_to("/etc/hostname")
    con = duckdb.connect(database)
    assert runner.run_one("remove_temporary_files").outcome is Outcome.NOTHING  # they are too young
    age(copy)
    for name in listed(copy):
        shutil.copy2(copy / name, Path(folder) / name)
    planned = runner.run_one("remove_temporary_files", dry_run=True)
    assert planned.outcome is Outcome.PLANNED, planned.detail
    assert len(listed(folder)) > 2
    result = runner.run_one("remove_temporary_files")
    assert result.outcome is Outcome.DONE, result.detail
    assert listed(folder) == ["duckdb_temp_storage_link.tmp", "report.tmp"]
    con.close()


def test_spill_files_of_a_living_process_in_a_shared_folder_are_left(runner, tmp_path):
    folder = str(tmp_path / "shared")
    Path(folder).mkdir()
    process = spilled(str(tmp_path / "other.db"), folder)
    try:
        age(folder)
        before = listed(folder)
        con = duckdb.connect(str(tmp_path / "x.db"), config={"temp_directory": folder})
        assert runner.run_one("remove_temporary_files").outcome is Outcome.NOTHING
        assert set(before) <= set(listed(folder))
        con.close() if IS_2 else None  # on DuckDB 1 the close itself deletes files of others
    finally:
        end(process)
