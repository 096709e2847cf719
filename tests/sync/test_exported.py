"""`otel-duckdb sync` exports its own telemetry where the standard OTEL_* variables ask for it."""

import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import duckdb
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

REQUESTS = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
}


class Collector(ThreadingHTTPServer):
    """Keeps what is posted; a silent one answers nothing."""

    daemon_threads = True

    def __init__(self, silent=False):
        self.received, self.silent = [], silent
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def end(self):
        self.shutdown()
        self.server_close()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server_port}"

    def resources(self, name):
        return [
            resource
            for path, request in self.received
            if path == f"/v1/{name}"
            for resource in (request.resource_spans if name == "traces" else request.resource_metrics)
        ]


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        request = REQUESTS[self.path]()
        request.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.received.append((self.path, request))
        if self.server.silent:
            time.sleep(60)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def folder(tmp_path, served, served_query):
    """What a sync to a server needs: to embed chDB would take each of these processes as long as all the rest."""
    with duckdb.connect(str(tmp_path / "buffer.duckdb")) as connection:
        connection.execute("CREATE TABLE ticks AS SELECT range AS a FROM range(7)")
    target = {"host": served.host, "port": served.port, "database": served.database}
    if served.username:
        target |= {"username": served.username, "password_environment": "OTEL_DUCKDB_TEST_CLICKHOUSE_PASSWORD"}
    lines = [f"{name} = {json.dumps(value)}" for name, value in target.items()]
    text = "\n".join(['database = "buffer.duckdb"', "[target]", *lines, "[[tables]]", 'name = "ticks"', ""])
    (tmp_path / "sync.toml").write_text(text)
    return tmp_path


def run(folder, **environment):
    asked = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, "-m", "otel_duckdb.cli", "sync"],
        cwd=folder,
        env={**asked, **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def named(resource):
    return {one.key: one.value.string_value for one in resource.resource.attributes}["service.name"]


@pytest.mark.parametrize(
    ("more", "service"),
    [({}, "otel-duckdb-sync"), ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=nightly"}, "nightly")],
)
def test_spans_and_metrics_arrive_at_the_collector_that_the_variables_name(folder, more, service):
    collector = Collector()
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    done = run(folder, **environment, **more)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ticks: 7 rows sent\n", "")
    spans = [span.name for one in collector.resources("traces") for scope in one.scope_spans for span in scope.spans]
    assert {"duckdb.sync ticks", "duckdb.sync.batch ticks"} <= set(spans)
    points = {
        metric.name: metric.sum.data_points[0].as_int
        for one in collector.resources("metrics")
        for scope in one.scope_metrics
        for metric in scope.metrics
        if metric.HasField("sum")
    }
    assert points["duckdb_sync_rows"] == 7
    assert {named(one) for name in ("traces", "metrics") for one in collector.resources(name)} == {service}
    collector.end()


def test_a_failure_is_printed_once_whether_or_not_telemetry_is_exported(folder):
    with duckdb.connect(str(folder / "buffer.duckdb")) as connection:
        connection.execute("CREATE TABLE odd (u UNION(a INTEGER))")
    with (folder / "sync.toml").open("a") as file:
        file.write('[[tables]]\nname = "odd"\n')
    collector = Collector()
    exported = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "true",
    }
    for asked in ({}, exported, exported | {"OTEL_TRACES_EXPORTER": "none"}, exported | {"OTEL_LOGS_EXPORTER": "otlp"}):
        done = run(folder, **asked)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith("otel-duckdb: table 'odd', column 'u'")
    collector.end()


def test_nothing_is_exported_unasked(folder):
    collector = Collector()
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    assert run(folder).returncode == 0
    assert run(folder, **environment, OTEL_SDK_DISABLED="true").returncode == 0
    assert collector.received == []
    collector.end()


@pytest.mark.parametrize(
    "wrong", [{"OTEL_TRACES_EXPORTER": "nosuch"}, {"OTEL_CONFIG_FILE": "nowhere.yaml"}], ids=["exporter", "file"]
)
def test_variables_that_cannot_be_followed_are_told_in_one_line_and_the_rows_are_sent(folder, wrong):
    if "OTEL_CONFIG_FILE" in wrong:
        pytest.importorskip("opentelemetry.configuration", reason="the SDK of this line reads no file")
    done = run(folder, **wrong)
    assert (done.returncode, done.stdout) == (0, "ticks: 7 rows sent\n")
    (line,) = done.stderr.splitlines()
    assert "no telemetry is exported" in line
    assert next(iter(wrong.values())) in line


def test_a_collector_that_does_not_answer_holds_the_end_up_for_seconds_alone(folder):
    collector = Collector(silent=True)
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    done = run(folder, **environment, OTEL_EXPORTER_OTLP_TIMEOUT="60")
    assert (done.returncode, done.stdout) == (0, "ticks: 7 rows sent\n")
    assert "the last telemetry was not delivered within 5 s" in done.stderr
    collector.end()
