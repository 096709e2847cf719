"""`otel-duckdb demo`: what a program sends is received over OTLP, and drawn."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import duckdb
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from rich.console import Console

from command_line import otel_duckdb
from eventually import eventually
from otel_duckdb import contract
from otel_duckdb.demo.metrics import draw_latencies, draw_numbers
from otel_duckdb.demo.program import environment
from otel_duckdb.demo.receiver import Receiver
from otel_duckdb.demo.spans import SpanTree, draw_errors
from otel_duckdb.demo.telemetry import Histogram, Number, Span, Telemetry


def demo(*arguments, **variables):
    return otel_duckdb("demo", *arguments, environment=variables)


def demo_process(*arguments, **variables):
    """As a user does: what the program prints stands in the same streams."""
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
    done = demo_process("--width", "120")
    assert done.returncode == 0, done.stderr
    assert "├─ CREATE TABLE trades" in done.stdout
    assert "└─ SELECT trades" in done.stdout
    assert 'Referenced column "volume" not found' in done.stdout
    assert "[100 in one] INSERT INTO trades" in done.stdout
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
    app = program(tmp_path, "import duckdb; duckdb.execute('SELECT 42').fetchall(); raise SystemExit(3)")
    done = demo_process(app)
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


def test_what_the_program_reaches_without_a_proxy_stays_so():
    for name in ("NO_PROXY", "no_proxy"):
        found = environment("http://127.0.0.1:5", {name: "internal.example,10.0.0.1"})
        assert found["NO_PROXY"] == found["no_proxy"] == "internal.example,10.0.0.1,127.0.0.1"
    assert environment("http://127.0.0.1:5", {})["NO_PROXY"] == "127.0.0.1"


def message(name="SELECT trades"):
    message = ExportTraceServiceRequest()
    message.resource_spans.add().scope_spans.add().spans.add(name=name, span_id=b"12345678")
    return message.SerializeToString()


def post(address, body, **headers):
    try:
        with urlopen(
            Request(address, body, {name.replace("_", "-"): value for name, value in headers.items()})
        ) as answer:
            return answer.status
    except HTTPError as refused:
        refused.close()
        return refused.code


def test_messages_are_read_compressed_or_not_and_unknown_paths_refused():
    with Receiver() as receiver:
        traces = f"{receiver.endpoint}/v1/traces"
        assert post(traces, message()) == 200
        assert post(traces, gzip.compress(message("SELECT quotes")), Content_Encoding="gzip") == 200
        assert post(f"{receiver.endpoint}/v1/logs", b"") == 404
    assert [one.name for one in receiver.telemetry.spans] == ["SELECT trades", "SELECT quotes"]


def test_only_who_was_told_the_address_adds_to_the_telemetry():
    with Receiver() as receiver:
        root, _, token = receiver.endpoint.rpartition("/")
        assert len(token) >= 32
        for path in ("/v1/traces", "//v1/traces", f"/{token[:-1]}/v1/traces", "/caf\u00e9/v1/traces".encode().hex()):
            assert post(f"{root}/{path.lstrip('/')}", message()) == 404
        assert post(f"{receiver.endpoint}/v1/traces", message(), Host="evil.example") == 421
    assert receiver.telemetry.spans == []


def test_a_message_is_bounded_unpacked_too_and_nonsense_is_refused_without_a_trace_of_calls(capfd, caplog):
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    with Receiver() as receiver:
        traces = f"{receiver.endpoint}/v1/traces"
        assert post(traces, bomb, Content_Encoding="gzip") == 413
        assert post(traces, b"no gzip", Content_Encoding="gzip") == 400
        assert post(traces, gzip.compress(message())[:-9], Content_Encoding="gzip") == 400
        assert post(traces, message(), Content_Encoding="br") == 400
        assert post(traces, b"\xff\xff\xff") == 400
        assert post(traces, message()) == 200
    assert len(receiver.telemetry.spans) == 1
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_what_is_kept_is_bounded_and_what_was_not_kept_is_counted(monkeypatch):
    monkeypatch.setattr("otel_duckdb.demo.telemetry._KEPT_SPANS", 3)
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number in range(5):
        scope.spans.add(name=f"SELECT t{number}")
    telemetry = Telemetry()
    telemetry.add_spans(request)
    telemetry.add_spans(request)
    assert (len(telemetry.spans), telemetry.dropped_spans) == (3, 7)
    assert "7 more spans" in drawn(SpanTree("app.py", telemetry.spans, 60, telemetry.dropped_spans))


PROFILED = """
import duckdb
from opentelemetry import trace
con = duckdb.connect()
con.execute("CREATE TABLE trades AS SELECT range AS id, range % 7 AS symbol FROM range(300000)")
with trace.get_tracer("app").start_as_current_span("report"):
    con.execute("SELECT symbol, count(*) FROM trades GROUP BY symbol ORDER BY 2").fetchall()
    for number in range(30):
        con.execute("SELECT id FROM trades WHERE id = ?", [number]).fetchall()
"""


@pytest.mark.skipif(duckdb.__version__.startswith("1.4"), reason="the client of DuckDB 1.4 cannot read profiles")
def test_the_profile_and_the_plan_stand_below_their_query_and_n_plus_one_below_the_parent(tmp_path):
    done = demo("--width", "140", program(tmp_path, PROFILED), OTEL_DUCKDB_PROFILE="all")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    (report,) = [number for number, line in enumerate(lines) if "─ report" in line]
    assert "◂ N+1: SELECT trades 30 times, " in lines[report + 1]
    (query,) = [number for number, line in enumerate(lines) if "SELECT symbol, count" in line]
    assert "profile: " in lines[query + 1]
    assert "ms in threads" in lines[query + 1]
    assert any("HASH_GROUP_BY" in line or "PERFECT_HASH" in line for line in lines[query + 2 : query + 8])
    assert any("scanned 300,000 of" in line for line in lines[query + 2 : query + 9])


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_knows_few_characters_gets_a_drawing_of_them(tmp_path, encoding):
    app = program(tmp_path, "import duckdb; duckdb.execute('CREATE TABLE \"größe🦆\" AS SELECT 42 AS a')")
    done = otel_duckdb("demo", app, environment={"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}, encoding=encoding)
    assert done.returncode == 0, done.stderr
    assert "`- CREATE TABLE" in done.stdout
    assert "\\u" not in done.stdout
    assert ("größe?" if encoding == "latin-1" else "gr??e?") in done.stdout


def test_control_characters_of_a_program_never_reach_the_terminal():
    odd = span("SELECT \x1b[31m", error="bad\x1b]0;title\x07", **{contract.DB_QUERY_TEXT: "SELECT '\x9b2J'"})
    text = drawn(SpanTree("app\x1b[2J.py", [odd], 60)) + drawn(draw_errors([odd]))
    assert not {"\x1b", "\x07", "\x9b"} & set(text)
    assert r"\x1b" in text


def test_a_program_that_fails_before_its_first_query_draws_nothing(tmp_path):
    done = demo(program(tmp_path, "raise SystemExit(3)"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "otel-duckdb: the program ended with exit code 3\n"


@pytest.mark.parametrize("what", ["no_such.py", "no-such-command"])
def test_a_program_that_is_not_there_is_wrong_usage_in_one_line(what):
    done = demo(what)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert what in done.stderr


def test_children_stand_below_their_parents_and_spans_alike_share_a_row():
    spans = [
        span("report", "root"),
        *(span("SELECT trades", str(number), "root", number) for number in range(1, 4)),
        span("SELECT quotes", "9", "root", 9, "Binder Error: no\nsuch column"),
        span("elsewhere", "10", "unknown", 10),
    ]
    lines = [line.split("  ")[0].rstrip() for line in drawn(SpanTree("app.py", spans, 60)).splitlines()]
    assert lines[1:3] == ["app.py", "├─ report"]
    text = drawn(SpanTree("app.py", spans, 60))
    assert "│  ├─ SELECT trades 3 times" in text
    assert "│  └─ SELECT quotes" in text
    assert "└─ elsewhere" in text
    assert drawn(draw_errors(spans)).split() == ["SELECT", "quotes", "Binder", "Error:", "no", "such", "column"]


def test_spans_nested_a_thousand_deep_are_drawn():
    spans = [span(f"s{number}", str(number + 1), str(number), number) for number in range(3000)]
    assert "s2" in drawn(SpanTree("app.py", spans, 60))


def test_more_spans_than_the_limit_are_counted():
    spans = [span(f"SELECT t{number}", str(number), start=number) for number in range(5)]
    text = drawn(SpanTree("app.py", spans, 2))
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


@pytest.mark.skipif(sys.platform == "win32", reason="it starts a script of the shell")
def test_the_program_ends_with_the_command_that_runs_it(tmp_path):
    script = tmp_path / "opentelemetry-instrument"
    script.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    script.chmod(0o700)
    command = (
        "import sys; from otel_duckdb.demo.program import run_instrumented;"
        f" sys.executable = {str(tmp_path / 'python')!r}; run_instrumented(['app'], 'http://127.0.0.1:9')"
    )
    with subprocess.Popen([sys.executable, "-c", command], stderr=subprocess.DEVNULL) as process:
        eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
        process.send_signal(signal.SIGINT)
    assert process.returncode == -signal.SIGINT
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
