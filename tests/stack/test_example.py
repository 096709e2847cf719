"""The example program of compose.yaml runs with the environment that it is given there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stack import eventually
from stack.pipeline import CONFIGURATION
from stack.programs import ROOT

COMPOSE = yaml.safe_load((CONFIGURATION / "compose.yaml").read_text())
NAME = COMPOSE["services"]["example"]["environment"]["OTEL_SERVICE_NAME"]


@pytest.fixture(scope="module")
def program(stack, tmp_path_factory):
    """The example under `opentelemetry-instrument`, until the tests of this file end; what it wrote shows no fault."""
    log = tmp_path_factory.mktemp("example") / "log"
    addresses = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": stack.otlp_endpoint,
        "CLICKHOUSE_HOST": stack.clickhouse.host,
        "CLICKHOUSE_PORT": str(stack.clickhouse.port),
        "CLICKHOUSE_USER": "default",
        "CLICKHOUSE_PASSWORD": "",
    }
    instrument = Path(sys.executable).with_name("opentelemetry-instrument")
    with log.open("wb") as output:
        running = subprocess.Popen(
            [instrument, sys.executable, ROOT / "examples" / "gateway.py"],
            env={**os.environ, **COMPOSE["services"]["example"]["environment"], **addresses},
            stdout=output,
            stderr=output,
        )
        yield running
        running.terminate()
        assert running.wait(30) == 0
    assert log.read_text() == "The gateway serves; Ctrl-C ends it.\n"


def test_its_requests_and_their_queries_are_one_trace_in_jaeger(stack, clickhouse, program):
    query = f"SELECT TraceId FROM otel_traces WHERE ServiceName = '{NAME}' AND SpanName = 'GET /prices' LIMIT 1"
    ((identity,),) = eventually(lambda: clickhouse.query(query).result_rows)
    spans = eventually(lambda: stack.jaeger_probe.spans(identity), lambda seen: len(seen) == 3)
    assert sorted(span["name"] for span in spans) == ["GET /prices", "SELECT ticks", "SELECT ticks"]


def test_its_latencies_are_in_prometheus(stack, program):
    expression = f'sum by (query_type) (duckdb_query_latency_ms_count{{job="{NAME}"}})'
    series = eventually(lambda: stack.prometheus_probe.query(expression), lambda seen: len(seen) >= 3)
    assert {one["metric"]["query_type"] for one in series} >= {"SELECT", "INSERT"}


def test_a_counter_recorded_within_a_trace_does_not_end_the_scrape(stack, program):
    """Such a counter carries an exemplar, which OpenMetrics' text allows only for names in `_total`."""
    counter = f'duckdb_sync_rows{{job="{NAME}"}}'
    eventually(lambda: (stack.prometheus_probe.value(counter) or 0) > 100)
    eventually(lambda: stack.prometheus_probe.value('up{job="duckdb"}') == 1)  # a busy machine misses one now and then


def test_its_ticks_reach_clickhouse_and_the_sync_is_traced(clickhouse, program):
    there = "SELECT count() FROM system.tables WHERE database = 'default' AND name = 'ticks'"
    eventually(lambda: clickhouse.command(there))
    eventually(lambda: clickhouse.command("SELECT uniqExact(symbol) FROM default.ticks"), lambda count: count == 4)
    spans = f"SELECT count() FROM otel_traces WHERE ServiceName = '{NAME}' AND SpanName = 'duckdb.sync ticks'"
    eventually(lambda: clickhouse.command(spans))
