"""One sender, however hostile, leaves the others seen; and what a sender claims to be is not believed."""

from __future__ import annotations

import re
import time
import urllib.request
from collections import Counter
from typing import TYPE_CHECKING

import psutil
import pytest

from otel_duckdb import contract
from stack import Stack, eventually
from stack.addresses import http
from stack.senders import Sender, counter, gauge, program

if TYPE_CHECKING:
    from collections.abc import Iterator

HOSTILE = 600_000
"""Series."""
POSTED = 20_000
"""Series of one request."""
MEMORY_LIMIT = 512 * 2**20
SCRAPE_TIMEOUT = 1.0
FLEET = 100
BUDGET = 1_500
"""Series of a program with fifty tables."""
PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"


@pytest.fixture(scope="module")
def limited(programs, tmp_path_factory) -> Iterator[Stack]:
    """A pipeline of its own: what is sent here is shown for minutes."""
    with Stack(programs, tmp_path_factory.mktemp("limited")) as stack:
        yield stack


def resident(stack: Stack) -> int:
    return int(psutil.Process(stack.collector.pid).memory_info().rss)


def scrape(stack: Stack, accept: str) -> tuple[bytes, float]:
    """What Prometheus would get, and how long the collector works for it; on a busy machine the clock says nothing."""
    collector = psutil.Process(stack.collector.pid)
    spent = sum(collector.cpu_times()[:2])
    request = urllib.request.Request(http(stack.ports.collector_prometheus, "/metrics"), headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=100) as answer:
        content = answer.read()
    return content, sum(collector.cpu_times()[:2]) - spent


def processor_seconds_of_a_scrape(stack: Stack) -> float:
    return min(scrape(stack, PROTOBUF)[1] for _ in range(3))


@pytest.mark.timeout(240)
def test_six_hundred_thousand_hostile_series_neither_blind_prometheus_nor_fill_the_memory(limited):
    honest, hostile = Sender(limited.otlp_endpoint, "honest"), Sender(limited.otlp_endpoint, "hostile")
    assert honest.metrics(program(50, 1, time.time_ns())) == 200
    for start in range(0, HOSTILE, POSTED):
        labels = [{contract.TABLE_NAME: f"t{number}"} for number in range(start, start + POSTED)]
        hostile.metrics([gauge("duckdb_select_queries_per_sec", labels, 1.0, time.time_ns())])
    late = Sender(limited.otlp_endpoint, "late")
    assert late.metrics(program(50, 1, time.time_ns())) == 200
    prometheus = limited.prometheus_probe
    for sender in ("honest", "late"):
        eventually(lambda sender=sender: prometheus.query(f'duckdb_query_latency_ms_count{{job="{sender}"}}'))
    eventually(lambda: prometheus.value('count({job="hostile", __name__=~"duckdb_.+"})'), lambda seen: seen == 10_000)
    eventually(
        lambda: prometheus.value("sum(otelcol_processor_sender_limit_dropped_points_total)"),
        lambda dropped: dropped == HOSTILE - 10_000,
    )
    assert resident(limited) < MEMORY_LIMIT
    assert processor_seconds_of_a_scrape(limited) < SCRAPE_TIMEOUT


def test_a_request_that_is_too_large_is_refused_and_the_next_is_taken(limited):
    sender = Sender(limited.otlp_endpoint, "large")
    labels = [{contract.TABLE_NAME: "t" * 500 + str(number)} for number in range(20_000)]
    assert sender.metrics([gauge("duckdb_select_queries_per_sec", labels, 1.0, time.time_ns())]) in {400, 413}
    assert sender.metrics([gauge("duckdb_select_queries_per_sec", labels[:10], 1.0, time.time_ns())]) == 200


def test_what_a_sender_may_not_claim_is_dropped_or_renamed(limited):
    now = time.time_ns()
    claims = Sender(limited.otlp_endpoint, "collector")
    here = [{"database": "app"}]
    claims.metrics(
        [
            gauge("up", here, 1.0, now),
            gauge("ALERTS", [{"alertname": "DuckDBDiskHigh", "alertstate": "firing"}], 1.0, now),
            counter("otelcol_exporter_sent_spans_total", here, 7, now),
            gauge("duckdb_memory_used_bytes", here, 7.0, now),
        ]
    )
    prometheus = limited.prometheus_probe
    eventually(lambda: prometheus.query('duckdb_memory_used_bytes{job="claimed_collector"}'))
    assert prometheus.query('duckdb_memory_used_bytes{job="collector"}') == []
    assert len(prometheus.query('up{job="collector"}')) == 1
    assert prometheus.query('ALERTS{alertname="DuckDBDiskHigh"}') == []
    assert prometheus.query("otelcol_exporter_sent_spans_total == 7") == []


@pytest.mark.timeout(240)
def test_a_hundred_programs_with_fifty_tables_stay_within_the_budget(limited):
    for number in range(FLEET):
        sender = Sender(limited.otlp_endpoint, f"program{number}")
        assert sender.metrics(program(50, 1, time.time_ns())) == 200
    limited.prometheus.stop()  # a scrape each second would be measured too
    text = scrape(limited, "text/plain")[0].decode()
    series = Counter(re.findall(r'^[a-z_]+\{.*\bjob="(program\d+)"', text, re.MULTILINE))
    assert len(series) == FLEET
    assert max(series.values()) <= BUDGET
    assert resident(limited) < MEMORY_LIMIT
    assert processor_seconds_of_a_scrape(limited) < SCRAPE_TIMEOUT
