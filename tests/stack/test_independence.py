"""One exporter's trouble is its own: what goes to the others is neither refused nor delayed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from clickhouse_standin import Fault, Kind
from stack import Stack, eventually
from stack.senders import Sender, gauge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SMALL = {"OTELCOL_QUEUE_BYTES": "20000", "OTELCOL_JAEGER_QUEUE_BYTES": "400000", "OTELCOL_RETRY_MAX_INTERVAL": "1s"}
"""Queues that are full after some requests; Jaeger's has room for what waits a second for its batch."""
PROMPT = 30.0
"""Seconds in which something is seen that nothing holds up, on any machine; what is held up here never comes."""


@pytest.fixture(scope="module")
def stack(programs, tmp_path_factory) -> Iterator[Stack]:
    """A pipeline with small queues."""
    with Stack(programs, tmp_path_factory.mktemp("independent"), environment=SMALL) as running:
        yield running


class Feed:
    """A program that sends a bit of everything, and how it was answered."""

    def __init__(self, stack: Stack, name: str) -> None:
        self.stack = stack
        self.sender = Sender(stack.otlp_endpoint, name)
        self.name = name
        self.statuses: set[int] = set()
        self.slowest = 0.0
        self.sent = 0
        self.last = 0

    def send(self, times: int) -> None:
        for _ in range(times):
            self.sent += 1
            started = time.monotonic()
            self.last = time.time_ns()
            points = gauge("duckdb_memory_used_bytes", [{"database": "app"}], float(self.sent), self.last)
            self.statuses |= {self.sender.metrics([points]), self.sender.spans(20, now=self.last)}
            self.slowest = max(self.slowest, time.monotonic() - started)

    def check(self, *, in_jaeger: bool) -> None:
        """Nothing was refused or slow, and the newest is where it belongs."""
        assert self.statuses == {200}
        assert self.slowest < PROMPT
        metric = f'duckdb_memory_used_bytes{{job="{self.name}"}}'
        eventually(lambda: self.stack.prometheus_probe.value(metric) == self.sent, within=PROMPT)
        if in_jaeger:
            trace = self.last.to_bytes(16, "big").hex()
            eventually(lambda: self.stack.jaeger_probe.spans(trace), within=PROMPT)


def enqueue_failed(stack: Stack, exporter: str) -> float:
    name = f'otelcol_exporter_enqueue_failed_spans_total{{exporter="{exporter}"}}'
    return stack.prometheus_probe.value(f"sum({name})") or 0.0


def fill(stack: Stack, feed: Feed, exporter: str) -> None:
    """Send until the exporter's queue is full and drops."""
    before = enqueue_failed(stack, exporter)

    def dropped() -> bool:
        feed.send(20)
        return enqueue_failed(stack, exporter) > before

    eventually(dropped)


def test_with_clickhouse_down_and_its_queue_full_prometheus_and_jaeger_get_everything(stack):
    feed = Feed(stack, "clickhouse-down")
    with stack.clickhouse.refusing():
        fill(stack, feed, "clickhouse")
        feed.send(5)
        feed.check(in_jaeger=True)


def test_with_clickhouse_slow_and_its_queue_full_prometheus_and_jaeger_get_everything(stack):
    feed = Feed(stack, "clickhouse-slow")
    with stack.clickhouse.fault(Fault(Kind.SLOW, "INSERT INTO", seconds=8)):
        fill(stack, feed, "clickhouse")
        feed.send(5)
        feed.check(in_jaeger=True)


def test_with_jaeger_down_and_its_queue_full_the_others_get_everything(stack):
    feed = Feed(stack, "jaeger-down")
    stack.jaeger.stop()
    try:
        fill(stack, feed, "otlp_grpc/jaeger")
        feed.send(5)
        feed.check(in_jaeger=False)
    finally:
        stack.jaeger.start()
        stack.jaeger.wait_until_ready()

    def arrives_again() -> bool:
        feed.send(1)  # as long as the queue is full, the newest is dropped
        time.sleep(2)
        return bool(stack.jaeger_probe.spans(feed.last.to_bytes(16, "big").hex()))

    eventually(arrives_again)


def test_with_prometheus_down_jaeger_gets_everything(stack):
    feed = Feed(stack, "prometheus-down")
    stack.prometheus.stop()
    try:
        feed.send(20)
        trace = feed.last.to_bytes(16, "big").hex()
        eventually(lambda: stack.jaeger_probe.spans(trace), within=PROMPT)
    finally:
        stack.prometheus.start()
        stack.prometheus.wait_until_ready()
    feed.send(1)
    feed.check(in_jaeger=True)


@pytest.fixture
def restart(stack) -> Iterator[Callable[..., None]]:
    """Starts the collector anew with another environment or behind other commands, and puts it back."""
    environment, command = dict(stack.collector.environment), list(stack.collector.command)

    def start(behind: tuple[str, ...] = (), **variables: str) -> None:
        stack.collector.stop()
        stack.collector.command = [*behind, *command]
        stack.collector.environment = {**environment, **variables}
        stack.collector.start()
        stack.collector.wait_until_ready()

    yield start
    start()


def test_the_collector_starts_without_clickhouse_and_delivers_what_waited_when_it_is_there(stack, restart):
    feed = Feed(stack, "started-alone")
    with stack.clickhouse.refusing():
        restart(OTELCOL_CLICKHOUSE_DATABASE="late")
        feed.send(2)
        feed.check(in_jaeger=True)
    sent = 'sum(otelcol_exporter_sent_spans_total{exporter="clickhouse"})'
    eventually(lambda: (stack.prometheus_probe.value(sent) or 0) >= 40)


def with_a_disk_of(size: str, folder: Path) -> tuple[str, ...]:
    """What runs a program with a small file system of its own at a folder, which ends with the program."""
    script = 'mount -t tmpfs -o "size=$0" tmpfs "$1" && shift && exec "$@"'
    return ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, size, str(folder))


def test_with_a_full_disk_for_clickhouses_queue_prometheus_and_jaeger_get_everything(stack, restart, tmp_path):
    with stack.clickhouse.refusing():
        restart(with_a_disk_of("1m", tmp_path), OTELCOL_QUEUE_DIRECTORY=str(tmp_path), OTELCOL_QUEUE_BYTES="1000000000")
        feed = Feed(stack, "disk-full")
        fill(stack, feed, "clickhouse")
        feed.send(5)
        feed.check(in_jaeger=True)
