"""`report` and `cleanup` against a monitor in a second process; `benchmark` by itself."""

import contextlib
import json
import os
import stat
import subprocess
import sys

import pytest

from command_line import otel_duckdb

PROGRAM = """
import sys, time, duckdb
from otel_duckdb import DuckDBInstrumentor
from otel_duckdb.monitor import Monitor
DuckDBInstrumentor().instrument()
with Monitor(interval_ms=100, port=0, actions=tuple(sys.argv[1:])) as monitor, duckdb.connect("shop.duckdb") as con:
    con.execute("create or replace table t as select range a from range(1000000)")
    while monitor.status()["metrics"]["timestamp"] is None or not monitor.status()["databases"]:
        time.sleep(0.01)
    time.sleep(1.2)
    print("ready", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def running(folder, *actions):
    """A program with a monitor that may do these actions; its process, and commands that find no other monitor."""
    (folder / "runtime").mkdir(mode=0o700)
    runtime = {"XDG_RUNTIME_DIR": str(folder / "runtime")}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *actions],
        env={**os.environ, **runtime},
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        yield process, runtime
        process.communicate("")


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """One that may do nothing."""
    with running(tmp_path_factory.mktemp("program")) as found:
        yield found


@pytest.fixture(scope="module")
def releasing_program(tmp_path_factory):
    """One that may release memory."""
    with running(tmp_path_factory.mktemp("releasing"), "release_memory") as found:
        yield found


@pytest.fixture
def otel(tmp_path, monkeypatch):
    """Commands in a folder of their own; they find the monitor of a program, or none."""
    monkeypatch.delenv("MONITORING_WEBHOOK", raising=False)

    def run(*arguments, of=None, encoding="utf-8", **further):
        runtime = {"XDG_RUNTIME_DIR": str(tmp_path)} if of is None else of[1]
        return otel_duckdb(*arguments, folder=tmp_path, environment={**runtime, **further}, encoding=encoding)

    return run


def test_a_report_is_printed_as_json(program, otel):
    done = otel("report", "--period", "1", of=program)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["status"]["process"]["pid"] == program[0].pid
    assert report["statements"]["statements"]
    assert any(figure["metric"] == "duckdb_active_connections" for figure in report["figures"])


def test_a_report_is_written_for_this_user_alone_in_the_format_of_its_name(program, otel, tmp_path):
    done = otel("report", "--output", "week.html", of=program)
    page = tmp_path / "week.html"
    assert done.returncode == 0, done.stderr
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert done.stdout == ""


@pytest.mark.parametrize("arguments", [["report"], ["cleanup"]])
def test_without_a_monitor_one_line_says_how_to_start_one(otel, arguments):
    done = otel(*arguments)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "no monitor runs" in done.stderr


def test_a_report_that_cannot_be_written_or_posted_is_one_line(program, otel):
    unwritable = otel("report", "--output", "missing/report.json", of=program)
    assert (unwritable.returncode, unwritable.stderr.count("\n")) == (1, 1)
    assert "missing/report.json" in unwritable.stderr
    away = otel("report", "--output", "r.json", of=program, MONITORING_WEBHOOK="http://127.0.0.1:9/secret")
    assert away.returncode == 1
    assert "secret" not in away.stderr
    wrong = otel("report", of=program, MONITORING_WEBHOOK="nonsense")
    assert wrong.returncode == 2


def test_a_dry_run_says_what_each_action_would_do_and_does_nothing(program, otel):
    done = otel("cleanup", "--dry-run", "--json", of=program)
    assert done.returncode == 0, done.stderr
    [answer] = json.loads(done.stdout)
    assert {action["action"] for action in answer["results"]} >= {"release_memory", "checkpoint"}
    assert not any(action["after"] for action in answer["results"])


def test_cleaning_up_does_what_is_switched_on_and_nothing_else(releasing_program, otel):
    done = otel("cleanup", "--force", of=releasing_program)
    assert done.returncode == 0, done.stderr
    assert "release_memory" in done.stdout
    assert "checkpoint" not in done.stdout
    assert "freed:" in done.stdout


def test_cleaning_up_with_no_action_switched_on_says_how_to(program, otel):
    done = otel("cleanup", of=program)
    assert done.returncode == 1
    assert "OTEL_DUCKDB_MONITOR_ACTIONS" in done.stdout


def test_the_outputs_fit_a_terminal_that_knows_ascii_only(releasing_program, otel):
    for arguments in ("status", "cleanup --dry-run", "report --format md", "report --format html"):
        done = otel(*arguments.split(), of=releasing_program, encoding="ascii", NO_COLOR="1", COLUMNS="80")
        assert done.returncode == 0 or arguments == "status", done.stderr
        assert done.stdout.isascii()
        assert [line for line in done.stdout.splitlines() if line != line.rstrip()] == []


def test_a_benchmark_is_measured_written_and_compared(otel, tmp_path):
    first = otel("benchmark", "--rows", "1000", "--output", "first.json", "--json")
    assert first.returncode == 0, first.stderr
    assert first.stderr.startswith("sync is left out, for no target is named: --host names a ClickHouse server")
    assert json.loads(first.stdout)["tests"].keys() == {"memory", "query", "disk"}
    second = otel("benchmark", "--test-type", "disk", "--rows", "1000", "--compare", "first.json")
    assert second.returncode == 0, second.stderr
    assert "compared" in second.stdout
    other = otel("benchmark", "--rows", "2000", "--compare", "first.json")
    assert (other.returncode, other.stderr.count("\n")) == (2, 1)
    (tmp_path / "none.json").write_text("[]")
    assert otel("benchmark", "--compare", "none.json").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--test-type", "sync"], "the test sync needs a target: --host names a ClickHouse server, --chdb embeds one"),
        (["--port", "9000"], "--port is of a server; name it with --host"),
        (["--chdb", "--host", "x"], "--chdb and --host do not go together"),
        (["--host", "a b"], "target.host is no host name"),
    ],
)
def test_a_target_that_is_not_named_or_contradicts_itself_is_wrong_usage(otel, arguments, said):
    done = otel("benchmark", *arguments)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr


@pytest.mark.slow
def test_the_sync_to_an_embedded_chdb_is_measured_and_nothing_is_left(tmp_path):
    pytest.importorskip("chdb")  # a process of its own: it can open one folder of chDB
    command = [sys.executable, "-m", "otel_duckdb.cli", "benchmark", "--test-type", "sync", "--chdb", "--rows", "1000"]
    done = subprocess.run(
        [*command, "--json", "--folder", tmp_path], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["tests"]["sync"]
    assert [figure["name"] for figure in figures] == ["send 1000 rows", "a pass with nothing to send"]
    assert all(len(figure["values"]) == 5 for figure in figures)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_server_that_does_not_answer_is_one_line(otel):
    done = otel("benchmark", "--test-type", "sync", "--rows", "1000", "--host", "127.0.0.1", "--port", "9")
    assert done.returncode == 1
    assert "sync: " in done.stderr
    assert "Traceback" not in done.stderr
