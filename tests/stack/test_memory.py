"""What waits behind the collector, or is asked of it, never fills its memory: all programs would be refused."""

from __future__ import annotations

import socket
import time
from collections import Counter
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

from stack import Stack, eventually
from stack.addresses import HOST
from stack.senders import Sender, program

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = 50
TABLES = 50
ABANDONED = 40
"""Scrapes whose asker has hung up, begun within a moment: as many as a busy machine piles up within 40 seconds."""
ATTRIBUTES = {f"db.attribute.{number}": "a value of some length" for number in range(10)}
REFUSING_BYTES = (512 - 128) * 2**20
"""Where the limiter of the deployed configuration begins to refuse."""


@pytest.fixture(scope="module")
def stack(programs, tmp_path_factory) -> Iterator[Stack]:
    """A pipeline with the queues and limits that users deploy."""
    with Stack(
        programs, tmp_path_factory.mktemp("memory"), environment={"OTELCOL_RETRY_MAX_INTERVAL": "1s"}
    ) as running:
        yield running


def own(stack: Stack, expression: str) -> float:
    """What the collector's own metrics say."""
    return stack.prometheus_probe.value(expression) or 0.0


def most_memory(stack: Stack, seconds: float) -> float:
    return own(stack, f"max_over_time(otelcol_process_runtime_heap_alloc_bytes[{int(seconds) + 2}s])")


@pytest.mark.timeout(120)
def test_scrapes_that_were_given_up_neither_pile_up_nor_refuse_what_a_fleet_sends(stack):
    fleet = [Sender(stack.otlp_endpoint, f"fleet{number}") for number in range(PROGRAMS)]
    answers, begin = Counter(), time.monotonic()

    def post(count: int) -> None:
        now = time.time_ns()
        answers.update(sender.metrics(program(TABLES, count, now)) for sender in fleet)

    post(1)
    for _ in range(ABANDONED):
        with socket.create_connection((HOST, stack.ports.collector_prometheus), timeout=30) as asker:
            asker.sendall(b"GET /metrics HTTP/1.1\r\nHost: collector\r\n\r\n")
            time.sleep(0.01)
    for count in range(2, 6):
        post(count)
    assert answers == {HTTPStatus.OK: 5 * PROGRAMS}
    eventually(lambda: own(stack, 'count(duckdb_queries_per_sec{job=~"fleet.*"})') == 5 * PROGRAMS)
    assert most_memory(stack, time.monotonic() - begin) < REFUSING_BYTES


@pytest.mark.timeout(120)
def test_with_jaeger_and_clickhouse_down_for_longer_than_a_queue_lasts_nothing_is_refused(stack):
    sender, answers, begin = Sender(stack.otlp_endpoint, "flood"), Counter(), time.monotonic()
    dropped = 'sum(otelcol_exporter_enqueue_failed_spans_total{exporter="otlp_grpc/jaeger"})'
    stack.jaeger.stop()
    try:
        with stack.clickhouse.refusing():
            for _ in range(150):  # 150 MB
                answers[sender.spans(2000, now=time.time_ns(), attributes=ATTRIBUTES)] += 1
            eventually(lambda: own(stack, dropped) > 0)
            assert answers == {HTTPStatus.OK: 150}
            assert most_memory(stack, time.monotonic() - begin) < REFUSING_BYTES
    finally:
        stack.jaeger.start()
        stack.jaeger.wait_until_ready()
