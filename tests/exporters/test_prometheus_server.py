"""Programs that expose their metrics by configuration alone, scraped by a real Prometheus."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Runs a query inside a span, fails to connect twice, names the trace, and lives until its standard input closes.
PROGRAM = """
import sys
import duckdb
from opentelemetry import trace
with trace.get_tracer("test").start_as_current_span("request") as span:
    duckdb.connect().execute("SELECT count(*) FROM range(100000)").fetchall()
for _ in range(2):
    try:
        duckdb.connect("/no/such/folder/trades.duckdb")
    except duckdb.IOException:
        pass
print(format(span.get_span_context().trace_id, "032x"), flush=True)
sys.stdin.read()
"""
DECLARATIVE = """
file_format: "1.0"
resource: {{attributes: [{{name: service.name, value: gateway}}]}}
meter_provider:
  readers:
    - pull: {{exporter: {{duckdb_prometheus: {{host: 127.0.0.1, port: {port}}}}}}}
tracer_provider: {{processors: [{{batch: {{exporter: {{console: {{}}}}}}}}]}}
"""
PROMETHEUS = """
global: {{scrape_interval: 250ms, scrape_timeout: 250ms}}
scrape_configs:
  - {{job_name: duckdb, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}
"""


@pytest.fixture(scope="module")
def tools():
    made = subprocess.run([ROOT / "scripts/prometheus-tools"], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return Path(made.stdout.strip())


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def get(port, path, **query):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}?{urllib.parse.urlencode(query)}", timeout=5) as answer:
        return answer.read().decode()


def wait_for(ask, seconds=20):
    """Ask until the answer is true; what is not there yet fails with these errors."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer = ask()
        except (urllib.error.URLError, ConnectionError):
            answer = None
        if answer:
            return answer
        assert time.monotonic() < deadline, f"no answer within {seconds} s"
        time.sleep(0.05)


@contextmanager
def program(**variables):
    """A Python program under `opentelemetry-instrument`; yields it and the id of its trace."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    process = subprocess.Popen(
        [Path(sys.executable).with_name("opentelemetry-instrument"), sys.executable, "-c", PROGRAM],
        env=environment | {"OTEL_DUCKDB_INSTANCE_ID": "one"} | variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.communicate(timeout=20)


def by_environment(port):
    return {
        "OTEL_METRICS_EXPORTER": "duckdb_prometheus",
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1",
        "OTEL_EXPORTER_PROMETHEUS_PORT": str(port),
        "OTEL_SERVICE_NAME": "gateway",
    }


def test_an_instrumented_program_serves_the_exact_names():
    port = free_port()
    with program(**by_environment(port)):
        text = get(port, "/metrics")
    assert '\nduckdb_failed_connections{error_type="IOException",instance_id="one"} 2.0\n' in text
    assert '\nduckdb_query_latency_ms_count{query_type="SELECT"} 1.0\n' in text
    assert 'service_name="gateway"' in text


def test_a_declarative_file_serves_the_exact_names(tmp_path):
    port = free_port()
    file = tmp_path / "otel.yaml"
    file.write_text(DECLARATIVE.format(port=port))
    with program(OTEL_CONFIG_FILE=str(file)):
        text = get(port, "/metrics")
    assert '\nduckdb_failed_connections{error_type="IOException",instance_id="one"} 2.0\n' in text
    assert 'service_name="gateway"' in text


def test_a_second_program_on_the_port_says_so_in_one_line_and_runs_on():
    port = free_port()
    with program(**by_environment(port)):
        with program(**by_environment(port)) as (second, trace_id):
            assert len(trace_id) == 32
            _, errors = second.communicate(timeout=20)
        assert second.returncode == 0
        assert "duckdb_failed_connections" in get(port, "/metrics")
    lines = [line for line in errors.splitlines() if "cannot listen" in line]
    assert len(lines) == 1
    assert f"127.0.0.1:{port}" in lines[0]
    assert "Traceback" not in errors


def test_prometheus_scrapes_the_exact_names_and_stores_the_exemplar(tmp_path, tools):
    port, own_port = free_port(), free_port()
    config = tmp_path / "prometheus.yaml"
    config.write_text(PROMETHEUS.format(port=port))
    with program(**by_environment(port)) as (_, trace_id):
        prometheus = subprocess.Popen(
            [
                tools / "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address=127.0.0.1:{own_port}",
                "--enable-feature=exemplar-storage",
                "--log.level=warn",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:

            def query(expression):
                answer = json.loads(get(own_port, "/api/v1/query", query=expression))
                return {
                    json.dumps(series["metric"], sort_keys=True): series["value"][1]
                    for series in answer["data"]["result"]
                }

            wait_for(lambda: query("duckdb_failed_connections"))
            failed = query("sum by (error_type) (duckdb_failed_connections) > 0")
            assert list(failed.items()) == [('{"error_type": "IOException"}', "2")]
            (slowest,) = query('histogram_quantile(1, duckdb_query_latency_ms_bucket{query_type="SELECT"})').values()
            assert 0 < float(slowest) <= 10_000
            assert "gateway" in next(iter(query("target_info")))
            assert list(query("up").values()) == ["1"]
            now = time.time()
            stored = json.loads(
                get(
                    own_port,
                    "/api/v1/query_exemplars",
                    query='duckdb_query_latency_ms_bucket{query_type="SELECT"}',
                    start=now - 600,
                    end=now + 600,
                )
            )
            exemplars = [exemplar for series in stored["data"] for exemplar in series["exemplars"]]
            assert [exemplar["labels"]["trace_id"] for exemplar in exemplars] == [trace_id]
            assert 0 < float(exemplars[0]["value"]) <= float(slowest)
        finally:
            prometheus.terminate()
            prometheus.wait(20)
