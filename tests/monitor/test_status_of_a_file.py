"""`otel-duckdb status FILE`: which process has the file open, and what its monitor says."""

import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from command_line import otel_duckdb
from otel_duckdb.monitor import holders
from otel_duckdb.monitor.holders import Holder

PROGRAM = """
import sys, duckdb
from otel_duckdb import DuckDBInstrumentor
from otel_duckdb.monitor import Monitor
DuckDBInstrumentor().instrument()
file = "elsewhere.duckdb" if "elsewhere.duckdb" in sys.argv else "shop.duckdb"
con = duckdb.connect(file, read_only="read" in sys.argv)
if "monitored" in sys.argv:
    monitor = Monitor(interval_ms=100, port=0, alerting=False)
    monitor.start()
    while not monitor.status()["databases"]:
        pass
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def environment(tmp_path):
    (tmp_path / "runtime").mkdir(mode=0o700)
    return {"XDG_RUNTIME_DIR": str(tmp_path / "runtime")}


@pytest.fixture
def otel(environment, tmp_path):
    return functools.partial(otel_duckdb, "status", folder=tmp_path, environment=environment)


@pytest.fixture
def program(environment, tmp_path):
    duckdb.connect(tmp_path / "shop.duckdb").close()
    started = []

    def start(*words):
        command = [sys.executable, "-c", PROGRAM, *words]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = subprocess.Popen(command, env={**os.environ, **environment}, cwd=tmp_path, text=True, **pipes)
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.communicate("")


def test_a_file_that_nobody_has_open_is_told_so(otel, tmp_path):
    duckdb.connect(tmp_path / "shop.duckdb").close()
    done = otel("shop.duckdb")
    assert done.returncode == 1
    assert "no process has shop.duckdb open; `otel-duckdb monitor shop.duckdb` watches it" in done.stdout
    assert json.loads(otel("shop.duckdb", "--json").stdout) == {"file": "shop.duckdb", "held_by": []}
    tmp_path.joinpath("shop.duckdb").rename(tmp_path / "my shop's.duckdb")
    assert """`otel-duckdb monitor 'my shop'"'"'s.duckdb'` watches it""" in otel("my shop's.duckdb").stdout
    tmp_path.joinpath("notes.txt").write_text("a text, and no database")
    assert "it is no database of DuckDB" in otel("notes.txt").stdout


def test_whoever_has_it_open_without_a_monitor_is_told_how_to_start_one(otel, program, environment, tmp_path):
    process = program()
    done = otel("shop.duckdb")
    assert done.returncode == 1
    assert f"shop.duckdb is open in process {process.pid}: " in done.stdout
    assert "it has no monitor; OTEL_DUCKDB_MONITOR=true there starts one" in done.stdout
    done = otel_duckdb("monitor", "shop.duckdb", folder=tmp_path, environment=environment)
    assert done.returncode == 1
    assert f"is open in process {process.pid}: " in done.stderr
    assert done.stderr.endswith("; set OTEL_DUCKDB_MONITOR=true there, then run otel-duckdb status\n")
    # The same of a user without a home: where nobody can make a folder, not even root.
    no_home = {"XDG_RUNTIME_DIR": "", "XDG_STATE_HOME": "/dev/null"}
    done = otel_duckdb("status", "shop.duckdb", folder=tmp_path, environment=no_home)
    assert f"shop.duckdb is open in process {process.pid}: " in done.stdout
    done = otel_duckdb("monitor", tmp_path / "shop.duckdb", environment=no_home)
    assert f"open in process {process.pid}: " in done.stderr


def test_a_user_without_a_home_is_told_what_to_do(tmp_path):
    done = otel_duckdb("status", folder=tmp_path, environment={"XDG_RUNTIME_DIR": "", "XDG_STATE_HOME": "/dev/null"})
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "; set XDG_RUNTIME_DIR to a folder of this user's own" in done.stderr


def test_the_monitor_of_whoever_has_it_open_says_how_it_is(otel, program):
    process = program("monitored")
    done = otel("shop.duckdb", "--json")
    assert done.returncode == 0, done.stderr
    [held] = json.loads(done.stdout)["held_by"]
    assert (held["pid"], held["writes"]) == (process.pid, True)
    assert held["status"]["process"]["pid"] == process.pid
    assert ": healthy" in otel("shop.duckdb").stdout


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="a process cannot be stopped here")
@pytest.mark.slow
def test_a_process_that_is_stopped_hides_nobody_and_keeps_no_command_waiting(environment, otel, program, tmp_path):
    process, other = program("monitored"), program("monitored", "elsewhere.duckdb")
    process.send_signal(signal.SIGSTOP)
    try:
        done = otel("shop.duckdb")
        began = time.monotonic()
        further = {
            words: otel_duckdb(*words.split(), folder=tmp_path, environment=environment)
            for words in ("status", "health", "cleanup --dry-run")
        }
        took = time.monotonic() - began
    finally:
        process.send_signal(signal.SIGCONT)
    assert done.returncode == 1
    assert f"shop.duckdb is open in process {process.pid}: " in done.stdout
    assert f"process {process.pid} is stopped" in done.stderr
    assert "it has no monitor" not in done.stdout
    assert took < 30, "a clean-up waited a minute for its answer"
    for words, answer in further.items():
        assert answer.returncode == 1, words
        assert f"process {process.pid} is stopped" in answer.stdout + answer.stderr, words
    assert f"(process {other.pid})" in further["status"].stdout
    assert f"(process {other.pid})" in further["cleanup --dry-run"].stdout


def test_several_readers_are_all_told(otel, program):
    pids = {program("read").pid, program("read").pid}
    done = otel("shop.duckdb")
    assert {
        int(line.split("process ")[1].split(":")[0]) for line in done.stdout.splitlines() if "open in" in line
    } == pids
    assert done.stdout.count(", for reading alone") == 2


def test_a_file_that_is_not_there_is_wrong_usage(otel):
    done = otel("nothing.duckdb")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="it reads what Linux tells")
def test_a_lock_is_found_where_the_system_lists_it_under_another_device(program, tmp_path, monkeypatch):
    process = program()
    path = tmp_path / "shop.duckdb"
    [found] = holders.holders(path)
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "")
    assert holders.holders(path) == [found] == [Holder(process.pid, found.program, True)]


def test_a_system_without_a_list_of_locks_asks_duckdb(program, tmp_path, monkeypatch):
    process = program()
    monkeypatch.setattr(sys, "platform", "darwin")
    [found] = holders.holders(tmp_path / "shop.duckdb")
    assert (found.pid, found.writes) == (process.pid, True)
    process.communicate("")
    assert holders.holders(tmp_path / "shop.duckdb") == []
