"""Metrics in files and reports that are posted: whole or not there, private, and no other file is touched."""

import csv
import json
import os
import stat
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import duckdb
import pytest

from otel_duckdb import DuckDBInstrumentor, SettingError
from otel_duckdb.files import write_privately
from otel_duckdb.monitor import Monitor
from otel_duckdb.monitor.exports import Exporter, post_report, write_metrics
from otel_duckdb.monitor.sample import Sample

NOW = 1_700_000_000


def metrics(*_arguments):
    series = {"metric": "m", "labels": {"a": '=1,"x"\n\ud800'}, "unit": "By"}
    return {"times": [NOW, NOW + 1], "series": [{**series, **{key: [1.5, None] for key in ("min", "mean", "max")}}]}


def at(monotonic):
    return Sample(NOW, monotonic, {})


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_json_and_csv_hold_what_was_sampled(tmp_path):
    write_metrics(tmp_path / "m.json", metrics())
    write_metrics(tmp_path / "m.csv", metrics())
    assert json.loads((tmp_path / "m.json").read_text())["series"][0]["mean"] == [1.5, None]
    rows = list(csv.DictReader((tmp_path / "m.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["mean"] for row in rows] == ["1.5"]
    assert rows[0]["time"] == "2023-11-14T22:13:20.000Z"


def test_the_history_of_a_real_monitor_is_exported(tmp_path):
    DuckDBInstrumentor().instrument()
    try:
        with Monitor(interval_ms=100) as monitor, duckdb.connect() as connection:
            connection.execute("select 1").fetchall()
            time.sleep(1.5)
            path = Exporter(monitor.metrics, tmp_path).export()
    finally:
        DuckDBInstrumentor().uninstrument()
    names = {series["metric"] for series in json.loads(path.read_text())["series"]}
    assert "duckdb_active_connections" in names


def test_only_this_user_reads_an_export(tmp_path):
    folder = tmp_path / "new"
    path = Exporter(metrics, folder).export()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_what_cannot_be_written_leaves_what_was_there(tmp_path):
    target = tmp_path / "m.json"
    target.mkdir()
    with pytest.raises(OSError, match=r"m\.json"):
        write_metrics(target, metrics())
    assert files(tmp_path) == ["m.json"]


def test_an_export_comes_at_its_interval_and_at_the_end(tmp_path):
    exporter = Exporter(metrics, tmp_path, every_seconds=10)
    for moment in (0, 9, 10, 19, 20):
        exporter.sampled(at(moment))
    assert len(files(tmp_path)) == 2
    exporter.stop()
    assert len(files(tmp_path)) == 3


def test_a_critical_alert_is_exported_at_once_and_one_that_flaps_but_once(tmp_path):
    exporter = Exporter(metrics, tmp_path)
    exporter.alerted({"level": "warning"})
    assert not files(tmp_path)
    for _ in range(5):
        exporter.alerted({"level": "critical"})
    assert len(files(tmp_path)) == 1


def test_old_exports_go_and_files_of_others_stay(tmp_path):
    theirs = ["notes.json", "duckdb-metrics-2020.json", "duckdb-metrics-20200101T000000000000Z.json.bak"]
    ours = "duckdb-metrics-20200101T000000000000Z.json"
    for name in [*theirs, ours]:
        (tmp_path / name).write_text("{}")
        os.utime(tmp_path / name, (0, 0))
    new = Exporter(metrics, tmp_path, keep_days=1).export()
    assert files(tmp_path) == sorted([*theirs, new.name])


def test_a_full_disk_is_tried_again_at_the_next_interval(tmp_path):
    folder = tmp_path / "folder"
    folder.write_text("not a folder")
    exporter = Exporter(metrics, folder, every_seconds=10)
    exporter.sampled(at(0))
    with pytest.raises(OSError, match="folder"):
        exporter.sampled(at(10))
    exporter.sampled(at(11))
    folder.unlink()
    exporter.sampled(at(20))
    assert len(files(folder)) == 1


def test_unknown_formats_are_refused(tmp_path):
    with pytest.raises(SettingError, match="'xml'; allowed is json, csv"):
        Exporter(metrics, tmp_path, shape="xml")
    with pytest.raises(ValueError, match="'xml'; allowed is json, csv"):
        write_metrics(tmp_path / "m", metrics(), "xml")


class Receiver(BaseHTTPRequestHandler):
    status = 200

    def do_POST(self):
        self.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.status)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver():
    handler = type("Handler", (Receiver,), {"bodies": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield handler, f"http://127.0.0.1:{server.server_port}/secret"
    server.shutdown()
    server.server_close()


def test_a_report_is_posted_as_json(receiver):
    handler, url = receiver
    post_report({"period": {"hours": 24}}, url)
    assert handler.bodies == [{"period": {"hours": 24}}]


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_webhook_that_refuses_or_sends_elsewhere_is_told_without_its_secret(receiver, status):
    handler, url = receiver
    handler.status = status
    with pytest.raises(OSError, match=f"webhook 127.0.0.1 answered HTTP {status}") as failure:
        post_report({}, url)
    assert "secret" not in str(failure.value)
    assert len(handler.bodies) == 1


@pytest.mark.parametrize("url", ["", "file:///etc/passwd", "ftp://host/x", "http://", "http://[x/"])
def test_an_address_that_is_none_of_http_is_refused(url):
    with pytest.raises(SettingError, match="the address of the webhook"):
        post_report({}, url)


def test_a_webhook_that_is_away_is_told_in_one_line():
    with pytest.raises(OSError, match=r"webhook 127\.0\.0\.1: .*refused"):
        post_report({}, "http://127.0.0.1:9/secret")


def test_a_database_is_not_written_over(tmp_path):
    duckdb.connect(tmp_path / "shop.duckdb").close()
    before = (tmp_path / "shop.duckdb").read_bytes()
    with pytest.raises(OSError, match="it is a database of DuckDB, and is not written over"):
        write_privately(tmp_path / "shop.duckdb", "a report")
    assert (tmp_path / "shop.duckdb").read_bytes() == before
