"""Text that cannot be encoded, or that would forge a line, comes in by names, values, files and variables."""

import os
import subprocess
import sys
from contextlib import suppress

import duckdb
import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor

HALF = "t\ud800"


def texts(telemetry):
    """Every text of every span, event and data point."""
    for span in telemetry.spans():
        yield span.name
        for attributes in (span.attributes, *(event.attributes for event in span.events)):
            yield from (str(part) for pair in attributes.items() for part in pair)
        yield span.status.description or ""


def assert_all_can_be_exported(telemetry):
    for text in texts(telemetry):
        text.encode()
    encode_spans(telemetry.exporter.get_finished_spans())
    encode_metrics(telemetry.reader.get_metrics_data())


@pytest.mark.parametrize(
    "call",
    [
        lambda con: con.append(HALF, None),
        lambda con: con.execute(f'SELECT * FROM "{HALF}"'),
        lambda con: con.execute(f"SELECT '{HALF}'"),
        lambda con: con.execute(f'CREATE TABLE "{HALF}" (a INTEGER)'),
        lambda con: con.execute("SELECT ?", [HALF]),
        lambda con: con.execute("SELECT $a", {"a": HALF}),
        lambda con: con.execute("SELECT $a", {HALF: 1}),
        lambda con: con.executemany("SELECT ?", [[HALF], [HALF]]),
        lambda con: con.table(HALF),
        lambda con: con.sql(f"SELECT 1 AS {HALF}"),
        lambda con: con.sql("SELECT 1").filter(f"'{HALF}' = 'a'").fetchall(),
        lambda con: con.sql("SELECT 1").insert_into(HALF),
        lambda con: con.read_csv(f"{HALF}.csv"),
        lambda con: con.execute("SELECT error('\ud83e\udd86')"),
    ],
)
@pytest.mark.parametrize("raw", [False, True])
def test_half_a_character_loses_no_telemetry(telemetry, call, raw):
    telemetry.instrument(capture_parameters=True, raw_query_text=raw)
    con = duckdb.connect()
    con.execute("SELECT 1").fetchall()
    with suppress(Exception):  # what DuckDB says of it depends on its line
        call(con)
    con.execute("SELECT 2").fetchall()
    con.close()
    assert telemetry.names()[0] == telemetry.names()[-1] == "SELECT"
    assert telemetry.faults() == 0
    assert_all_can_be_exported(telemetry)


def test_names_that_differ_in_half_a_character_stay_apart(heard):
    con = duckdb.connect()
    for name in ("t\ud800", "t\ud801"):
        with suppress(Exception):
            con.append(name, None)
    tables = {dict(point.attributes).get("table_name") for point in heard.points("duckdb_insert_latency_ms")}
    assert {r"t\ud800", r"t\ud801"} <= tables


PROGRAM = """
import sys, duckdb
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from otel_duckdb import DuckDBInstrumentor
from otel_duckdb.exporters.prometheus import PrometheusReader
spans, memory, page = InMemorySpanExporter(), InMemoryMetricReader(), PrometheusReader(serve=False)
tracers, meters = TracerProvider(), MeterProvider([memory, page])
tracers.add_span_processor(SimpleSpanProcessor(spans))
DuckDBInstrumentor().instrument(tracer_provider=tracers, meter_provider=meters, slow_threshold_ms=0)
con = duckdb.connect("trades.duckdb")
con.execute("SELECT count(*) FROM range(10)").fetchall()
encode_spans(spans.get_finished_spans())
encode_metrics(memory.get_metrics_data())
text = page.render()[0].decode()
print(ascii([line for line in text.splitlines() if line.startswith(("duckdb_memory_used", "target_info"))]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="names of other systems are always Unicode")
def test_variables_and_files_that_are_not_utf8_lose_no_telemetry(tmp_path):
    program = tmp_path / os.fsdecode(b"app\xff.py")
    program.write_text(PROGRAM, encoding="utf-8")
    variables = {b"OTEL_DUCKDB_INSTANCE_ID": b"gw\xe9", b"OTEL_SERVICE_NAME": b"caf\xe9"}
    done = subprocess.run(
        [sys.executable, program],
        cwd=tmp_path,
        env={**os.environb, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert r"gw\\\\udce9" in done.stdout
    assert r"caf\\\\udce9" in done.stdout
    assert "inside the instrumentation" not in done.stderr


def test_no_name_and_no_text_forges_a_line_of_the_log(telemetry, caplog):
    telemetry.instrument(slow_threshold_ms=0)
    con = duckdb.connect()
    con.execute('CREATE TABLE "a\nERROR forged \x1b[31m" (i INTEGER)')
    con.execute('SELECT i AS "x\r\nERROR forged" FROM "a\nERROR forged \x1b[31m"').fetchall()
    messages = [record.getMessage() for record in caplog.records if record.name == "otel_duckdb.slow_query"]
    assert len(messages) == 2
    for message in messages:
        assert len(message.splitlines()) == 1
        assert "\x1b" not in message


def test_a_slow_query_of_odd_text_is_a_record_that_can_be_exported(telemetry):
    kept = []

    class Keep(LogRecordProcessor):
        def on_emit(self, log_record):
            kept.append(getattr(log_record, "log_record", log_record))

        emit = on_emit  # what it was named before OpenTelemetry 1.36

        def shutdown(self):
            pass

        def force_flush(self, timeout_millis=0):
            return True

    provider = LoggerProvider()
    provider.add_log_record_processor(Keep())
    telemetry.instrument(slow_threshold_ms=0, logger_provider=provider, raw_query_text=True)
    with suppress(Exception):
        duckdb.connect().execute(f"SELECT '{HALF}'")
    assert kept
    for record in kept:
        for text in (record.body, *map(str, dict(record.attributes).values())):
            text.encode()
    provider.shutdown()
