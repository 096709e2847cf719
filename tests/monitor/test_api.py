"""The API over real sockets: what it answers, and whom it refuses."""

import http.client
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from command_line import otel_duckdb
from eventually import eventually
from otel_duckdb import DuckDBInstrumentor
from otel_duckdb.monitor import Monitor, discovery
from otel_duckdb.monitor.client import MonitorError, act, ask


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    return runtime


@pytest.fixture
def make():
    DuckDBInstrumentor().instrument()
    made = []

    def start(**options):
        monitor = Monitor(interval_ms=100, port=options.pop("port", 0), **options)
        monitor.start()
        made.append(monitor)
        while monitor.status()["metrics"]["timestamp"] is None:
            time.sleep(0.01)
        return monitor

    yield start
    for monitor in made:
        monitor.stop()
    DuckDBInstrumentor().uninstrument()


def send(monitor, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", monitor.port, timeout=10)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, named)
    response = connection.getresponse()
    text = response.read()
    connection.close()
    return response.status, json.loads(text) if response.headers["Content-Type"] == "application/json" else text


def announced():
    [found] = discovery.running()
    return found


def test_a_monitor_is_found_and_answers_until_it_stops(make):
    monitor = make()
    with duckdb.connect() as con:
        con.execute("SELECT 42 AS answer").fetchall()
        found = announced()
        assert ask(found, "/api/status")["process"]["pid"] == found.pid
        [statement] = ask(found, "/api/statements", sort="calls", limit=5)["statements"]
        assert statement["text"] == "SELECT ? AS answer"
        assert ask(found, "/api/running") == {"operations": [], "transactions": [], "pool_requests": []}
        history = ask(found, "/api/metrics", name=["duckdb_active_connections", "process.uptime"])
        assert {each["metric"] for each in history["series"]} == {"duckdb_active_connections", "process.uptime"}
    monitor.stop()
    assert list(discovery.running()) == []
    with pytest.raises(MonitorError, match="gives no answer"):
        ask(found, "/api/status")


def test_the_page_is_served_where_the_api_is_and_asks_for_no_key_itself(make):
    monitor = make(api_key="a key")
    status, text = send(monitor, "GET", "/")
    assert (status, text[:15]) == (200, b"<!DOCTYPE html>")
    assert send(monitor, "GET", "/views/overview.js")[0] == 200
    assert send(monitor, "GET", "/", Host="evil.example")[0] == 421
    assert send(monitor, "GET", "/", Sec_Fetch_Site="cross-site")[0] == 403
    assert send(monitor, "GET", "/api/status")[0] == 401


def test_the_announcement_is_its_user_s_alone(make, own_folder):
    make()
    [file] = (own_folder / "otel-duckdb").glob("*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_what_a_killed_monitor_left_is_removed(own_folder):
    program = (
        "import os, signal; from otel_duckdb.monitor import Monitor; Monitor(port=0).start();"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program], check=False)
    [left] = (own_folder / "otel-duckdb").glob("*.json")
    left.with_name("1-ffffffff.json").write_text(left.read_text())
    assert [found.pid for found in discovery.running()] == []
    assert list((own_folder / "otel-duckdb").iterdir()) == []


def test_what_killed_monitors_left_is_removed_by_the_next_though_nobody_asks(own_folder, make):
    folder = own_folder / "otel-duckdb"
    folder.mkdir(mode=0o700)
    for pid in range(3):
        (folder / f"{pid}-ffffffff.json").write_text("{}")
    make()
    assert len(list(folder.glob("*.json"))) == 1


def test_a_folder_that_depends_on_where_one_stands_is_passed_over(own_folder, monkeypatch):
    monkeypatch.chdir(own_folder)
    (own_folder / "relative").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", "relative")
    monkeypatch.setenv("XDG_STATE_HOME", str(own_folder / "state"))
    assert discovery.folder() == own_folder / "state" / "otel-duckdb" / "run"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", str(own_folder / "home"))
    assert discovery.folder().is_relative_to(own_folder / "home")


def test_a_folder_that_others_may_write_is_refused(own_folder, make, caplog):
    (own_folder / "otel-duckdb").mkdir()
    (own_folder / "otel-duckdb").chmod(0o777)
    monitor = make()
    assert "will not find this monitor" in caplog.text
    assert send(monitor, "GET", "/healthz") == (200, {"status": "ok"})


def test_the_next_port_is_taken_where_none_was_asked_for(make, monkeypatch):
    first = make(port=None)
    second = make(port=None)
    assert first.port != second.port


def test_a_port_that_is_taken_is_told_and_the_monitor_runs_on(make, caplog):
    first = make()
    second = make(port=first.port)
    assert second.port is None
    assert f"the monitor's API does not run on 127.0.0.1:{first.port}" in caplog.text
    assert second.status()["monitor"]["running"]


def test_off_loopback_nothing_is_served_without_a_key(make, caplog):
    assert make(host="0.0.0.0").port is None
    assert "set OTEL_DUCKDB_MONITOR_API_KEY" in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "/nothing", 404, "there is no such address; /api/status is one"),
        ("POST", "/api/status", 401, "who acts here shows the key in X-Monitoring-Key"),
        ("GET", "/api/statements?sort=size", 400, "sort is 'size'; allowed is total, mean"),
        ("GET", "/api/statements?limit=0", 400, "limit is '0'; allowed is a whole number from 1 to 1000"),
        ("GET", "/api/statements?limit=1&limit=2", 400, "limit is given 2 times; once is right"),
        ("GET", "/api/metrics?start=yesterday", 400, "start is 'yesterday'; allowed is a number of seconds"),
        ("GET", "/api/metrics?start=nan", 400, "start is 'nan'"),
        ("GET", "/api/metrics?step=0", 400, "step is 0.0; allowed are seconds above 0"),
        ("GET", "/api/metrics?name=%ff", 400, "the query is not UTF-8"),
        ("GET", "/api/metrics?start=5&end=1", 400, "the range from 5 to 1"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(make, method, path, status, reason):
    code, answer = send(make(), method, path)
    assert (code, reason in answer["error"]) == (status, True)


def test_a_post_to_an_address_that_reads_names_the_method(make):
    monitor = make()
    key = announced().token
    code, answer = send(monitor, "POST", "/api/status", "{}", X_Monitoring_Key=key, Content_Type="application/json")
    assert (code, answer["error"]) == (405, "/api/status takes GET")


def test_a_page_of_another_site_is_refused_by_its_host_and_by_where_it_comes_from(make):
    monitor = make()
    assert send(monitor, "GET", "/api/status", Host="evil.example")[0] == 421
    assert send(monitor, "GET", "/healthz", Host="0.0.0.0")[0] == 421
    assert send(monitor, "GET", "/api/status", Sec_Fetch_Site="cross-site")[0] == 403
    key = announced().token
    code, answer = send(monitor, "POST", "/api/cancel", "{}", X_Monitoring_Key=key, Content_Type="text/plain")
    assert (code, answer["error"]) == (415, "what acts is sent as application/json")
    code, answer = send(
        monitor,
        "POST",
        "/api/cancel",
        "{}",
        X_Monitoring_Key=key,
        Content_Type="application/json",
        Origin="http://evil.example",
    )
    assert (code, answer["error"]) == (403, "a page of another site may not act")


def test_with_a_key_reading_needs_it_too_and_few_wrong_ones_are_looked_at(make):
    monitor = make(api_key="a key with ü")
    assert send(monitor, "GET", "/healthz")[0] == 200
    assert send(monitor, "GET", "/api/status")[0] == 401
    shown = "a key with ü".encode().decode("latin-1")
    assert send(monitor, "GET", "/api/status", X_Monitoring_Key=shown)[0] in (200, 401)
    codes = [send(monitor, "GET", "/api/status", Authorization=f"Bearer wrong{number}")[0] for number in range(7)]
    assert codes[0] == 401
    assert codes[-1] == 429
    assert ask(announced(), "/api/running")["operations"] == []  # with the token its user gets through all the same


def test_strangers_ask_a_hundred_times_a_minute_and_the_user_as_often_as_wanted(make):
    monitor = make()
    codes = [send(monitor, "GET", "/api/running")[0] for _ in range(101)]
    assert (codes[99], codes[100]) == (200, 429)
    assert ask(announced(), "/api/running")["operations"] == []


def test_cancelling_over_the_api_is_refused_unless_it_is_switched_on(make):
    make()
    with pytest.raises(MonitorError, match="cancelling is off"):
        act(announced(), "/api/cancel", {"id": 1})
    with pytest.raises(MonitorError, match="id is the whole number"):
        act(announced(), "/api/cancel", {"id": "1"})


def test_an_operation_that_has_ended_is_a_conflict(make):
    make(cancel=True)
    with pytest.raises(MonitorError, match="no operation 1 runs"):
        act(announced(), "/api/cancel", {"id": 1})


def test_alerts_silences_and_what_an_alertmanager_posts_are_told(make):
    make()
    found = announced()
    assert ask(found, "/api/alerts")["open"] == []
    silence = act(found, "/api/silences", {"name": "DuckDBMemoryHigh", "seconds": 60})
    assert ask(found, "/api/alerts")["silences"] == [silence]
    assert act(found, "/api/silences/end", {"id": silence["id"]}) == {"ended": silence}
    assert ask(found, "/api/alerts")["silences"] == []
    with pytest.raises(MonitorError, match=f"no silence has the id '{silence['id']}'; it may be over"):
        act(found, "/api/silences/end", {"id": silence["id"]})
    with pytest.raises(MonitorError, match="id is missing"):
        act(found, "/api/silences/end")
    alert = {
        "status": "firing",
        "labels": {"alertname": "DuckDBDiskHigh", "severity": "critical"},
        "annotations": {"summary": "the disk is full"},
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": "f00",
    }
    posted = {"version": "4", "groupKey": "{}", "status": "firing", "alerts": [alert]}
    assert len(act(found, "/api/alertmanager", posted)["received"]) == 1
    assert act(found, "/api/alertmanager", posted)["received"] == []
    [told] = ask(found, "/api/alerts")["alertmanager"]
    assert (told["name"], told["message"]) == ("DuckDBDiskHigh", "the disk is full")
    with pytest.raises(MonitorError, match="version"):
        act(found, "/api/alertmanager", {"version": "3"})
    with pytest.raises(MonitorError, match="seconds is missing"):
        act(found, "/api/silences", {"name": "x"})
    with pytest.raises(MonitorError, match="name is 5, which is of another kind"):
        act(found, "/api/silences", {"name": 5, "seconds": 1})


def test_an_action_is_tried_dry_and_refused_where_it_is_off(make):
    make()
    found = announced()
    with duckdb.connect() as con:
        con.execute("SELECT 42").fetchall()
        results = act(found, "/api/cleanup", {"dry_run": True})["results"]
        assert results
        assert {each["by"] for each in results} == {"api"}
        with pytest.raises(MonitorError, match="the action 'checkpoint' is not switched on"):
            act(found, "/api/actions/checkpoint")
        with pytest.raises(MonitorError, match="no action is called 'format'; known are"):
            act(found, "/api/actions/format")
        assert act(found, "/api/actions/checkpoint", {"dry_run": True})["results"]


PROGRAM = """
import time, duckdb
con = duckdb.connect("shop.duckdb")
con.execute("CREATE TABLE trades AS SELECT range AS id FROM range(1000)")
while True:
    con.execute("SELECT sum(id) FROM trades WHERE id > length('a secret')").fetchall()
    time.sleep(0.05)
"""


@pytest.fixture
def program(tmp_path):
    (tmp_path / "shop.py").write_text(PROGRAM)
    command = [str(Path(sys.executable).with_name("opentelemetry-instrument")), sys.executable, "shop.py"]
    environment = {
        **os.environ,
        "OTEL_DUCKDB_MONITOR": "true",
        "DUCKDB_MONITORING_INTERVAL": "200",
        "DUCKDB_WEB_DASHBOARD_PORT": "0",
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        eventually(seen)
        yield process
        process.kill()


def seen():
    """Whether the monitor of the program has taken a sample of its database and of what runs again and again."""
    code, out, _ = run("status", "--json")
    return code == 0 and json.loads(out)["databases"] and "SELECT sum" in run("top", "--once")[1]


def run(*arguments):
    done = otel_duckdb(*arguments)
    return done.returncode, done.stdout, done.stderr


def test_the_commands_tell_of_a_program_in_another_process(program, tmp_path):
    code, out, err = run("status")
    assert (code, err) == (0, "")
    assert f"shop.py (process {program.pid}): healthy" in out
    code, out, _ = run("status", "--json")
    assert json.loads(out)["databases"][0]["name"] == "shop"
    code, out, _ = run("top", "--once", "--sort", "calls")
    assert code == 0
    assert "SELECT sum(id) FROM trades WHERE id > length(?)" in out
    assert "secret" not in out
    code, out, _ = run("top", "--json", "--filter", "create")
    assert [each["calls"] for each in json.loads(out)["statements"]] == [1]
    assert run("health") == (0, f"healthy: shop.py ({program.pid})\n", "")
    full = ("health", "--memory-percent", "0")  # a sample before the first table had no memory
    _, out, _ = eventually(lambda: run(*full), lambda answer: answer[0] == 1)
    assert out.startswith(f"unhealthy: shop.py ({program.pid}): DuckDB uses ")
    code, out, _ = run("health", "--memory-percent", "0", "--clean-up", "--critical-hours", "24", "--json")
    assert code == 1
    assert "no clean-up: OTEL_DUCKDB_MONITOR_ACTIONS switches no action on" in json.loads(out)["reasons"][-1]
    code, _, err = run("monitor", str(tmp_path / "shop.duckdb"))
    assert code == 1
    assert "shop.duckdb is open in process " in err
    assert "its monitor runs: otel-duckdb status --pid " in err


@pytest.mark.parametrize("command", ["status", "top", "health"])
def test_without_a_monitor_one_line_says_how_to_start_one(command):
    code, out, err = run(command)
    assert (code, out) == (1, "")
    assert err.startswith("otel-duckdb: no monitor runs; start one in your program with OTEL_DUCKDB_MONITOR=true")
    assert err.count("\n") == 1


def test_a_file_is_watched_until_a_signal(tmp_path):
    duckdb.connect(tmp_path / "own.duckdb").close()
    command = [sys.executable, "-m", "otel_duckdb.cli", "monitor", tmp_path / "own.duckdb", "--interval", "0.2"]
    with subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().startswith("the page is at http://127.0.0.1:")
        assert "healthy" in process.stdout.readline()
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_a_report_of_no_hours_is_refused(make):
    make()
    with pytest.raises(MonitorError, match="period is 0 hours"):
        ask(announced(), "/api/report", hours=0)
