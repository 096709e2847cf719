"""What the API answers to those who read: storage, sync, metrics in other formats; slow answers beside quick ones."""

import csv
import io
import json
import shutil
import subprocess
import sys
import threading
import time

import duckdb
import pytest
from prometheus_client.parser import text_string_to_metric_families

from otel_duckdb.monitor.history import History
from otel_duckdb.monitor.sample import Sample, Series
from otel_duckdb.sync.signals import SyncSignals, trace_sync


def test_the_storage_of_each_database_is_told_and_its_tables_on_demand(serve, tmp_path):
    api = serve()
    path = tmp_path / "shop.db"
    with duckdb.connect(path) as con:
        con.execute("CREATE TABLE orders AS SELECT range AS id, hash(range) AS amount FROM range(300000)")
        con.execute('CREATE TABLE "odd ""name\'s" AS SELECT 1 AS one')
        con.execute("CHECKPOINT")
        con.execute("INSERT INTO orders SELECT 1, 1")
        [told] = api.ask("/api/storage")[2]["databases"]
        assert (told["name"], told["path"], "tables" in told) == ("shop", str(path), False)
        [file] = told["files"]
        assert (file["path"], file["type"], file["bytes"]) == (str(path), "duckdb", path.stat().st_size)
        assert file["wal_bytes"] > 0
        [told] = api.ask("/api/storage?tables=true&database=shop")[2]["databases"]
        tables = {each["table"]: each for each in told["tables"]}
        assert next(iter(tables)) == "orders"
        assert tables["orders"]["rows"] == pytest.approx(300_001, rel=0.01)
        assert 1_000_000 < tables["orders"]["bytes"] <= file["bytes"]
        assert tables["odd \"name's"]["columns"] == 1
        assert told["tables_left_out"] is False
    assert api.ask("/api/storage")[2] == {"databases": []}


@pytest.mark.slow
def test_temporary_files_are_told(serve, tmp_path):
    api = serve()
    with duckdb.connect(tmp_path / "shop.db", config={"memory_limit": "60MB", "threads": "1"}) as con:
        con.execute("CREATE TEMP TABLE t AS SELECT range AS a, hash(range)::VARCHAR AS b FROM range(3000000)")
        [told] = api.ask("/api/storage")[2]["databases"]
        assert sum(each["bytes"] for each in told["temporary_files"]) > 1_000_000
        assert told["temporary_files_left_out"] is False


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/api/storage?database=../../etc/passwd", "no database called '../../etc/passwd' is open"),
        ("/api/storage?database=x'%20union%20select", 'no database called "x\' union select" is open'),
        ("/api/storage?tables=yes", "tables is 'yes'; allowed is true or false"),
        ("/api/metrics?format=xml", "format is 'xml'; allowed is json or csv"),
    ],
)
def test_what_is_not_known_is_refused_with_the_reason(serve, path, reason):
    status, _, told = serve().ask(path)
    assert (status, told["error"]) == (400, reason)


def test_the_history_comes_as_csv_by_format_and_by_accept(serve):
    api = serve()
    with duckdb.connect() as con:
        con.execute("SELECT 1").fetchall()
        api.sampled()
        for path, accept in (("?format=csv", "application/json"), ("?", "text/csv"), ("?", "text/csv, */*;q=0.1")):
            status, headers, text = api.ask(f"/api/metrics{path}&name=duckdb_active_connections", Accept=accept)
            assert (status, headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
            rows = list(csv.DictReader(io.StringIO(text.decode())))
            assert {row["metric"] for row in rows} == {"duckdb_active_connections"}
            assert float(rows[-1]["max"]) == 1.0
    for accept in ("*/*", "application/json", "application/json, text/csv"):
        assert "series" in api.ask("/api/metrics", Accept=accept)[2]


def test_the_newest_sample_is_told_as_prometheus_reads_it(serve, tmp_path):
    api = serve()
    with duckdb.connect(tmp_path / 'od"d.db') as con:
        con.execute("SELECT 1").fetchall()
        api.sampled()
        status, headers, text = api.ask("/metrics")
        assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        families = {family.name: family for family in text_string_to_metric_families(text.decode())}
        [connections] = families["duckdb_active_connections"].samples
        assert connections.value == 1.0
        assert connections.labels["database"] == api.monitor.status()["databases"][0]["name"]
        assert families["duckdb_memory_used_bytes"].type == "gauge"


def test_the_sync_of_this_process_is_told_with_its_rate_and_its_last_error(serve):
    signals = SyncSignals()
    table = signals.table("ticks", "shop")
    api = serve()
    table.observe_with(lambda: (7, time.time() - 30))
    with trace_sync("ticks", database="shop", signals=signals) as span:
        span.record(rows=100, size=1000)
    api.sampled()
    with trace_sync("ticks", database="shop", signals=signals) as span:
        span.record(rows=50, size=500)
    with pytest.raises(ZeroDivisionError), trace_sync("ticks", database="shop", signals=signals):
        raise ZeroDivisionError("of 'a secret'")
    api.sampled()
    told = {"pending_rows": None}
    deadline = time.monotonic() + 30
    while told["pending_rows"] is None and time.monotonic() < deadline:  # what waits is looked up by a thread
        [told] = [
            each
            for each in api.ask("/api/sync", X_Monitoring_Key=api.token)[2]["tables"]
            if (each["database"], each["table"]) == ("shop", "ticks")
        ]
    api.sampled()
    assert (told["table"], told["rows"], told["bytes"], told["succeeded"], told["failed"]) == ("ticks", 150, 1500, 2, 1)
    assert told["pending_rows"] == 7
    assert 29 < told["lag_seconds"] < 60
    assert told["rows_per_second"] > 0
    assert (told["failing"], told["running"]) == (True, True)
    assert "ZeroDivisionError" in told["last_error"]
    assert "secret" not in told["last_error"]
    [status] = [each for each in api.ask("/api/status")[2]["metrics"]["sync"]["tables"] if each["table"] == "ticks"]
    assert status["pending_rows"] == 7
    history = api.ask("/api/metrics?name=duckdb_sync_pending_rows")[2]["series"]
    assert any(each["labels"].get("database") == "shop" for each in history)


def test_a_slow_answer_keeps_no_reader_waiting(serve, monkeypatch):
    api = serve()
    entered, released = threading.Event(), threading.Event()

    def report(hours):
        entered.set()
        released.wait(20)
        return {"hours": hours}

    monkeypatch.setattr(api.monitor, "make_report", report)
    slow = threading.Thread(target=lambda: answers.append(api.ask("/api/report?hours=1")))
    answers = []
    slow.start()
    assert entered.wait(10)
    began = time.monotonic()
    assert api.ask("/api/status")[0] == 200
    assert time.monotonic() - began < 10
    assert not answers
    released.set()
    slow.join(10)
    assert answers[0][2] == {"hours": 1.0}


def test_an_action_that_takes_long_keeps_no_reader_waiting_and_a_third_is_refused(serve, monkeypatch):
    api = serve()
    entered, released = threading.Semaphore(0), threading.Event()

    def clean_up(**_):
        entered.release()
        released.wait(20)
        return []

    monkeypatch.setattr(api.monitor, "clean_up", clean_up)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(api.act("/api/cleanup")[0])) for _ in range(2)]
    for thread in threads:
        thread.start()
        assert entered.acquire(timeout=10)
    status, headers, told = api.act("/api/cleanup")
    assert (status, headers["Retry-After"]) == (503, "5")
    assert told["error"] == "other actions are being done; ask again"
    assert api.ask("/api/report?hours=1")[0] == 200
    released.set()
    for thread in threads:
        thread.join(10)
    assert answers == [200, 200]


def test_what_fails_while_it_is_made_is_told_without_a_word_of_it(serve, monkeypatch):
    api = serve()
    for path, name in (("/api/status", "status"), ("/api/report", "make_report")):
        with monkeypatch.context() as patched:
            patched.setattr(api.monitor, name, lambda *_: 1 / 0)
            status, _, told = api.ask(path)
        assert (status, told["error"]) == (500, "that failed; the program's log says where")


GUIDE = """
const base = process.argv[1], shown = {}, labels = [], points = { memory: [], cpu: [] };
const document = { getElementById: (id) => (shown[id] ??= { textContent: "", className: "" }) };
async function updateDashboard() {
  try {
    const response = await fetch(base + "/api/status");
    const data = await response.json();
    const metrics = data.metrics;
    document.getElementById("memory-value").textContent = `${metrics.memory.duckdb_memory_percent.toFixed(1)}%`;
    document.getElementById("cpu-value").textContent = `${metrics.system.cpu_usage_percent.toFixed(1)}%`;
    document.getElementById("queries-value").textContent = metrics.queries.active_queries;
    labels.push(new Date(metrics.timestamp).toLocaleTimeString());
    points.memory.push(metrics.memory.duckdb_memory_percent);
    points.cpu.push(metrics.system.cpu_usage_percent);
    document.getElementById("status").textContent = `Status: ${data.summary.status.toUpperCase()}`;
    document.getElementById("status").className = `status-${data.summary.status}`;
  } catch (error) {
    document.getElementById("status").textContent = "Status: Error";
  }
}
await updateDashboard();
await new Promise((resolve) => setTimeout(resolve, 300));
await updateDashboard();
console.log(JSON.stringify({ shown, labels, points }));
"""
"""What the page of the operators' guide does, which asks `/api/status` again and again."""


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not on this machine")
def test_the_page_of_the_guide_works_against_the_api(serve):
    api = serve()
    with duckdb.connect(config={"memory_limit": "100MB"}) as con:
        con.execute("CREATE TABLE t AS SELECT range AS a FROM range(1000000)")
        api.sampled()
        command = [shutil.which("node"), "--input-type=module", "-e", GUIDE, f"http://127.0.0.1:{api.port}"]
        ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    told = json.loads(ran.stdout)
    assert told["shown"]["status"]["textContent"] in {f"Status: {word}" for word in ("HEALTHY", "WARNING", "CRITICAL")}
    assert told["shown"]["memory-value"]["textContent"].endswith("%")
    assert told["shown"]["queries-value"]["textContent"] == 0
    assert "Invalid Date" not in told["labels"]
    assert all(0 < each < 100 for each in told["points"]["memory"])
    assert len(told["points"]["cpu"]) == 2


def test_who_asks_for_tables_without_end_takes_a_tenth_of_a_core_at_most(serve, tmp_path, monkeypatch):
    api = serve()
    looks = []
    look = sys.modules["otel_duckdb.monitor.storage"]._database

    def slow(database, *, tables):
        looks.append(time.monotonic())
        time.sleep(0.1)
        return look(database, tables=tables)

    monkeypatch.setattr("otel_duckdb.monitor.storage._database", slow)
    with duckdb.connect(tmp_path / "shop.db"):
        began = time.monotonic()
        while time.monotonic() - began < 0.8:
            told = api.ask("/api/storage?tables=true", X_Monitoring_Key=api.token)[2]
            assert told["databases"][0]["tables"] == []
    assert len(looks) == 1


def test_an_answer_of_too_many_points_is_refused_with_the_way_to_fewer():
    history = History(limit=200)
    now = time.time()
    series = [Series(f"metric_{number}", ()) for number in range(100)]
    history.sampled(Sample(now, 1.0, dict.fromkeys(series, 1.0)))
    with pytest.raises(ValueError, match=r"100 series of 35.. steps are more than 250000 points"):
        history.as_json((), now - 3580, now, 1)
    assert len(history.as_json(["metric_1"], now - 3580, now, 1)["times"]) == 3581


def test_more_slow_answers_than_are_made_at_a_time_wait_for_each_other(serve, monkeypatch):
    api = serve()
    running, most = [], []

    def report(hours):
        running.append(hours)
        most.append(len(running))
        time.sleep(0.1)
        running.pop()
        return {"hours": hours}

    monkeypatch.setattr(api.monitor, "make_report", report)
    codes = []
    threads = [threading.Thread(target=lambda: codes.append(api.ask("/api/report")[0])) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert codes == [200] * 12
    assert max(most) <= 4


def test_a_sync_that_is_behind_is_an_alert_in_the_process_too(serve):
    table = SyncSignals().table("late", "shop")
    table.observe_with(lambda: (50_000_000, time.time() - 36_000))
    api = serve(alert_lasting_seconds=0)
    deadline = time.monotonic() + 20
    messages = []
    while not any("late: the sync is 36" in each for each in messages) and time.monotonic() < deadline:
        messages = [each["message"] for each in api.ask("/api/alerts", X_Monitoring_Key=api.token)[2]["open"]]
    assert any("late: the sync is 36" in each for each in messages), messages
