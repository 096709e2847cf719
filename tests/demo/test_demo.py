"""`otel-duckdb demo`: what a program sends is received over OTLP, and drawn."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from rich.console import Console

from otel_duckdb import contract
from otel_duckdb.demo.metrics import draw_latencies, draw_numbers
from otel_duckdb.demo.program import environment
from otel_duckdb.demo.receiver import Receiver
from otel_duckdb.demo.spans import draw_errors, draw_spans
from otel_duckdb.demo.telemetry import Histogram, Number, Span


def demo(*arguments, **variables):
    return subprocess.run(
        [Path(sys.executable).with_name("otel-duckdb"), "demo", *arguments],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def program(folder, text):
    path = folder / "app.py"
    path.write_text(text)
    return str(path)


def drawn(table, width=120):
    console = Console(width=width)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def span(name, identity="1", parent="", start=0, error=None, **attributes):
    return Span(identity, parent, name, start, start + 5_000_000, attributes, error)


def test_the_sample_is_drawn_with_its_tree_its_error_and_its_latencies():
    done = demo("--width", "120")
    assert done.returncode == 0, done.stderr
    assert "├─ CREATE TABLE trades" in done.stdout
    assert "└─ SELECT trades" in done.stdout
    assert 'Referenced column "volume" not found' in done.stdout
    assert "[100 sets] INSERT INTO trades" in done.stdout
    assert "a secret" not in done.stdout
    assert "duckdb_select_latency_ms" in done.stdout
    assert done.stderr == ""


def test_a_program_of_the_users_is_told_in_json_while_its_own_output_goes_to_stderr(tmp_path):
    app = program(tmp_path, "import duckdb; print('hello'); duckdb.execute('SELECT 42').fetchall()")
    done = demo("--json", app)
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["spans"]
    assert found["name"] == "SELECT"
    assert found["attributes"][contract.DB_QUERY_TEXT] == "SELECT ?"
    assert "hello" in done.stderr


def test_options_of_the_instrumentation_apply_and_other_exporters_do_not(tmp_path):
    app = program(tmp_path, "import duckdb; duckdb.execute('SELECT 42').fetchall()")
    done = demo("--json", app, OTEL_DUCKDB_RAW_QUERY_TEXT="true", OTEL_TRACES_EXPORTER="console")
    (found,) = json.loads(done.stdout)["spans"]
    assert found["attributes"][contract.DB_QUERY_TEXT] == "SELECT 42"


def test_a_program_that_fails_is_drawn_and_named_on_stderr(tmp_path):
    done = demo(program(tmp_path, "import duckdb; duckdb.execute('SELECT 42').fetchall(); raise SystemExit(3)"))
    assert done.returncode == 1
    assert "SELECT" in done.stdout
    assert done.stderr == "otel-duckdb: the program ended with exit code 3\n"


def test_a_program_without_duckdb_is_told_apart(tmp_path):
    done = demo(program(tmp_path, "print('nothing to see')"))
    assert done.returncode == 1
    assert "sent no span" in done.stderr


def test_the_environment_leads_telemetry_nowhere_else():
    inherited = {
        "PATH": "/bin",
        "OTEL_SDK_DISABLED": "true",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://elsewhere",
        "OTEL_DUCKDB_PROFILE": "all",
    }
    found = environment("http://127.0.0.1:5", inherited)
    assert found["PATH"] == "/bin"
    assert found["OTEL_DUCKDB_PROFILE"] == "all"
    assert found["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:5"
    assert not {"OTEL_SDK_DISABLED", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"} & found.keys()


def test_compressed_messages_are_read_and_unknown_paths_refused():
    message = ExportTraceServiceRequest()
    message.resource_spans.add().scope_spans.add().spans.add(name="SELECT trades", span_id=b"12345678")
    body = gzip.compress(message.SerializeToString())
    with Receiver() as receiver:
        request = Request(f"{receiver.endpoint}/v1/traces", body, {"Content-Encoding": "gzip"})
        with urlopen(request) as answer:
            assert answer.status == 200
        with pytest.raises(HTTPError, match="404") as refused:
            urlopen(f"{receiver.endpoint}/v1/logs", b"")
        refused.value.close()
    assert [one.name for one in receiver.telemetry.spans] == ["SELECT trades"]


def test_children_stand_below_their_parents_and_spans_alike_share_a_row():
    spans = [
        span("report", "root"),
        *(span("SELECT trades", str(number), "root", number) for number in range(1, 4)),
        span("SELECT quotes", "9", "root", 9, "Binder Error: no\nsuch column"),
        span("elsewhere", "10", "unknown", 10),
    ]
    lines = [line.split("  ")[0].rstrip() for line in drawn(draw_spans("app.py", spans, 60)).splitlines()]
    assert lines[1:3] == ["app.py", "├─ report"]
    text = drawn(draw_spans("app.py", spans, 60))
    assert "│  ├─ SELECT trades 3 times" in text
    assert "│  └─ SELECT quotes" in text
    assert "└─ elsewhere" in text
    assert drawn(draw_errors(spans)).split() == ["SELECT", "quotes", "Binder", "Error:", "no", "such", "column"]


def test_more_spans_than_the_limit_are_counted():
    spans = [span(f"SELECT t{number}", str(number), start=number) for number in range(5)]
    text = drawn(draw_spans("app.py", spans, 2))
    assert "SELECT t1" in text
    assert "SELECT t2" not in text
    assert "3 more rows" in text


def histogram(bounds, counts, highest):
    total = sum(counts)
    return Histogram("duckdb_select_latency_ms", {"table_name": "trades"}, "ms", total, 60.0, highest, bounds, counts)


@pytest.mark.parametrize(
    ("counts", "highest", "expected"),
    [((0, 100, 0), 20.0, 19.5), ((0, 1, 0), 12.0, 12.0), ((50, 0, 50), 100.0, 92.0), ((0, 0, 0), 0.0, 0.0)],
)
def test_the_95th_percentile_is_interpolated_and_never_above_the_maximum(counts, highest, expected):
    assert histogram((10.0, 20.0), counts, highest).quantile(0.95) == pytest.approx(expected)


def test_latencies_and_values_are_drawn_with_their_units():
    text = drawn(draw_latencies([histogram((10.0, 20.0), (1, 1, 0), 15.0)]))
    assert text.splitlines()[1].split() == ["duckdb_select_latency_ms", "trades", "2", "30.0", "15.0", "15.0"]
    numbers = [
        Number("duckdb_memory_used_bytes", {"database": "flights"}, "By", 1_000_000, 2_000_000),
        Number("duckdb_transaction_success_count", {}, "{transaction}", 3, 3),
        Number("duckdb_failed_connections", {}, "{connection}", 0, 0),
    ]
    text = drawn(draw_numbers(numbers))
    assert "1.0 MB" in text
    assert "2.0 MB" in text
    assert "duckdb_failed_connections" not in text
