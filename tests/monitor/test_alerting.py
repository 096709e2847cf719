"""A monitor in a program: an alert fires, acts and is told, and nothing of it harms the program."""

import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import duckdb
import pytest

from eventually import eventually
from otel_duckdb import DuckDBInstrumentor, SettingError
from otel_duckdb.monitor import Monitor

QUICK = {
    "interval_ms": 100,
    "serve": False,
    "alert_lasting_seconds": 0.2,
    "alert_calming_seconds": 0.3,
    "alert_batch_seconds": 0.0,
}
EASILY = {
    "DuckDBMemoryHigh": {"warning": 0.0001, "critical": 0.0002, "emergency": 0.5},
    "DuckDBCpuHigh": {"warning": 2, "critical": 2},  # whoever else uses the machine
    "DuckDBResidentMemoryHigh": {"warning": 2, "critical": 2, "emergency": 2},
}


@pytest.fixture
def posted(monkeypatch):
    """What is posted to the webhook that the environment names."""
    bodies = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("DUCKDB_ALERT_WEBHOOK_URL", f"http://127.0.0.1:{server.server_port}/hook")
    yield bodies
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def con(tmp_path):
    """A database whose memory is held by a temporary table."""
    DuckDBInstrumentor().instrument()
    with duckdb.connect(tmp_path / "shop.db", config={"memory_limit": "1GB"}) as connection:
        connection.execute("create temp table held as select range i from range(1000000)")
        yield connection
    DuckDBInstrumentor().uninstrument()


def test_an_alert_fires_acts_is_told_and_ends(con, posted, tmp_path):
    audit = tmp_path / "audit.jsonl"
    with Monitor(**QUICK, alert_levels=EASILY, actions=["release_memory"], audit_file=str(audit)) as monitor:
        heard, cleaned = [], []
        monitor.register_alert_handler("duckdb_memory_critical", heard.append)
        monitor.on("cleanup", cleaned.append)
        (alert,) = eventually(lambda: [one for one in monitor.alerts()["open"] if one["actions"]])
        assert (alert["name"], alert["level"], alert["database"]) == ("DuckDBMemoryHigh", "critical", "shop")
        (action,) = alert["actions"]
        assert (action["action"], action["outcome"], action["by"]) == ("release_memory", "done", alert["id"])
        assert action["before"].keys() == action["after"].keys() == {"resident", "used"}
        assert eventually(lambda: heard)[0].level.word == "critical"
        assert eventually(lambda: cleaned)[0]["by"] == alert["id"]
        assert eventually(lambda: posted)[0]["text"] == "DuckDB Alert: CRITICAL - DuckDBMemoryHigh"
        status = monitor.status()["summary"]
        assert status["status"] == "critical"
        assert status["open_alerts"] == {"warning": 0, "critical": 1, "emergency": 0}
        assert status["reasons"][0].startswith("shop: what DuckDB cannot drop takes")
        con.execute("drop table held")
        (over,) = eventually(lambda: [one for one in monitor.alerts()["resolved"] if one["name"] == alert["name"]])
        assert over["id"] == alert["id"]
        eventually(lambda: len(posted) == 2)
        assert json.loads(json.dumps(monitor.alerts()))["resolved"]
    events = [json.loads(line)["event"] for line in audit.read_text().splitlines()]
    wanted = {"monitoring_started", "critical_resource_alert", "action", "automatic_cleanup", "alert_resolved"}
    assert wanted <= set(events)
    assert events[-1] == "monitoring_stopped"


def test_nothing_is_done_that_is_not_switched_on(con):
    with Monitor(**QUICK, alert_levels=EASILY) as monitor:
        eventually(lambda: monitor.alerts()["open"])
        time.sleep(0.3)
        assert monitor.alerts()["open"][0]["actions"] == []
        assert monitor.clean_up() == []
        assert {one["outcome"] for one in monitor.clean_up(dry_run=True)} <= {"planned", "nothing to do", "refused"}


def test_handlers_that_raise_hang_or_query_duckdb_harm_nothing(con):
    with Monitor(**QUICK, alert_levels=EASILY) as monitor:
        gone, asked = threading.Event(), []
        monitor.on("alert", lambda _: 1 / 0)
        monitor.on("alert", lambda _: asked.append(con.cursor().execute("select 42").fetchall()))
        monitor.on("alert", lambda _: gone.wait(30))
        eventually(lambda: asked)
        began = time.monotonic()
        con.execute("select 1").fetchall()
        assert time.monotonic() - began < 2
        con.execute("drop table held")
        eventually(lambda: monitor.alerts()["resolved"])
        gone.set()


def test_failures_that_only_counters_tell_are_judged_without_an_sdk(con, tmp_path):
    with Monitor(**QUICK) as monitor:
        eventually(lambda: monitor.status()["metrics"]["timestamp"])
        time.sleep(0.3)
        for _ in range(7):
            with pytest.raises(duckdb.IOException):
                duckdb.connect(tmp_path / "no" / "folder.db")
        found = eventually(
            lambda: [one for one in monitor.alerts()["open"] if one["name"] == "DuckDBConnectionsFailing"]
        )
        assert (found[0]["value"], found[0]["level"]) == (7, "critical")


def test_a_query_that_has_no_memory_is_an_alert(con):
    with Monitor(**QUICK) as monitor:
        eventually(lambda: monitor.status()["metrics"]["timestamp"])
        time.sleep(0.3)
        con.execute("set memory_limit = '30MB'; set temp_directory = ''")
        with pytest.raises(duckdb.OutOfMemoryException):
            con.execute("create temp table big as select range i, random() r from range(20000000)").fetchall()
        found = eventually(lambda: [one for one in monitor.alerts()["open"] if one["name"] == "DuckDBOutOfMemory"])
        assert found[0]["value"] >= 1


def test_a_forked_child_alerts_of_its_own(con):
    with Monitor(**QUICK) as monitor:
        eventually(lambda: monitor.status()["metrics"]["timestamp"])
        child = os.fork()
        if child == 0:
            try:
                ok = monitor.alerts()["open"] == [] and monitor.alerting is not None
                monitor.stop()
            except BaseException:
                os._exit(2)
            os._exit(0 if ok else 1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"actions": ["drop_everything"]}, "no action is called 'drop_everything'"),
        ({"alert_levels": "DuckDBMemoryHigh=1"}, "allowed is ALERT.LEVEL=NUMBER"),
        ({"alert_levels": "DuckDBMemoryHigh.warning=x"}, "allowed is ALERT.LEVEL=NUMBER"),
        ({"alert_levels": "Nothing.warning=1"}, "no alert is called 'Nothing'"),
        ({"memory_cap_ratio": 2}, "memory_cap_ratio is 2"),
        ({"audit_file": "/nowhere/at/all"}, "cannot be written"),
        ({"alert_levels": {"DuckDBMemoryHigh": 7}}, "allowed is ALERT.LEVEL=NUMBER"),
        ({"notify": 7}, "notify is no list of addresses"),
        ({"notify": ["slack://x", 7]}, "notify is no list of addresses"),
        ({"notify": "slack://x x://"}, "notify has the address x://, which names nobody to send to"),
        ({"notify": "nonsense://secret"}, "notify has an address of nonsense://, and apprise knows no such service"),
        ({"notify": ["slack://x", "secret"]}, "notify has an address, number 2, that begins with no service"),
        ({"audit_key": "x"}, "audit_file names none"),
        ({"alert_batch_seconds": 1e300}, "alert_batch_seconds is 1e\\+300; allowed is a number of seconds"),
        ({"alert_lasting_seconds": float("inf")}, "alert_lasting_seconds is inf; allowed"),
        *(({name: ""}, f"{name} is ''") for name in ("audit_file", "group", "export_folder", "history_file", "host")),
    ],
)
def test_an_option_that_means_nothing_is_one_error_that_names_it(options, said):
    with pytest.raises(SettingError, match=said):
        Monitor(serve=False, **options)
