"""`report` and `cleanup` against a monitor in a second process; `benchmark` by itself."""

import json
import os
import stat
import subprocess
import sys

import pytest

OTEL = [sys.executable, "-m", "otel_duckdb.cli"]
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


@pytest.fixture
def environment(tmp_path):
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    kept = {name: value for name, value in os.environ.items() if name != "MONITORING_WEBHOOK"}
    return {**kept, "XDG_RUNTIME_DIR": str(runtime)}


@pytest.fixture
def otel(environment, tmp_path):
    def run(*arguments, **further):
        return subprocess.run(
            [*OTEL, *arguments],
            env={**environment, **further},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


@pytest.fixture
def program(environment, tmp_path):
    started = []

    def start(*actions):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *actions],
            env=environment,
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.communicate("")


def test_a_report_is_printed_as_json(program, otel):
    process = program()
    done = otel("report", "--period", "1")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["status"]["process"]["pid"] == process.pid
    assert report["statements"]["statements"]
    assert any(figure["metric"] == "duckdb_active_connections" for figure in report["figures"])


def test_a_report_is_written_for_this_user_alone_in_the_format_of_its_name(program, otel, tmp_path):
    program()
    done = otel("report", "--output", "week.html")
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
    program()
    unwritable = otel("report", "--output", "missing/report.json")
    assert (unwritable.returncode, unwritable.stderr.count("\n")) == (1, 1)
    assert "missing/report.json" in unwritable.stderr
    away = otel("report", "--output", "r.json", MONITORING_WEBHOOK="http://127.0.0.1:9/secret")
    assert away.returncode == 1
    assert "secret" not in away.stderr
    wrong = otel("report", MONITORING_WEBHOOK="nonsense")
    assert wrong.returncode == 2


def test_a_dry_run_says_what_each_action_would_do_and_does_nothing(program, otel):
    program()
    done = otel("cleanup", "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    [answer] = json.loads(done.stdout)
    assert {action["action"] for action in answer["results"]} >= {"release_memory", "checkpoint"}
    assert not any(action["after"] for action in answer["results"])


def test_cleaning_up_does_what_is_switched_on_and_nothing_else(program, otel):
    program("release_memory")
    done = otel("cleanup", "--force")
    assert done.returncode == 0, done.stderr
    assert "release_memory" in done.stdout
    assert "checkpoint" not in done.stdout
    assert "freed:" in done.stdout


def test_cleaning_up_with_no_action_switched_on_says_how_to(program, otel):
    program()
    done = otel("cleanup")
    assert done.returncode == 1
    assert "OTEL_DUCKDB_MONITOR_ACTIONS" in done.stdout


def test_the_outputs_fit_a_terminal_that_knows_ascii_only(program, otel):
    program("release_memory")
    for arguments in (["cleanup", "--dry-run"], ["report", "--format", "md"], ["report", "--format", "html"]):
        done = otel(*arguments, PYTHONIOENCODING="ascii", NO_COLOR="1", COLUMNS="80")
        assert done.returncode == 0, done.stderr
        assert done.stdout.isascii()


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
def test_the_sync_to_an_embedded_chdb_is_measured_and_nothing_is_left(otel, tmp_path):
    pytest.importorskip("chdb")
    done = otel("benchmark", "--test-type", "sync", "--chdb", "--rows", "1000", "--json", "--folder", str(tmp_path))
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["tests"]["sync"]
    assert [figure["name"] for figure in figures] == ["send 1000 rows", "a pass with nothing to send"]
    assert all(len(figure["values"]) == 5 for figure in figures)
    assert [one.name for one in tmp_path.iterdir()] == ["runtime"]


@pytest.mark.slow
def test_a_server_that_does_not_answer_is_one_line(otel):
    done = otel("benchmark", "--test-type", "sync", "--rows", "1000", "--host", "127.0.0.1", "--port", "9")
    assert done.returncode == 1
    assert "sync: " in done.stderr
    assert "Traceback" not in done.stderr
