"""What a sync, and a user's own sync, tell: spans, events, links, metrics."""

import asyncio
import time

import duckdb
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource

from clickhouse_standin import Fault, Kind
from otel_duckdb import DuckDBInstrumentor, contract
from otel_duckdb.sync import Limits, Retry, Sync, Table
from otel_duckdb.sync.signals import SyncSignals, trace_sync
from otel_duckdb.testing import RecordedTelemetry

INSERT = "^INSERT INTO .*ticks"


class Telemetry(RecordedTelemetry):
    def __init__(self):
        super().__init__()
        self.signals = SyncSignals(self.tracer_provider, self.meter_provider)

    def ended(self, prefix=""):
        """The ended spans, in the order of their end."""
        return [span for span in self.exporter.get_finished_spans() if span.name.startswith(prefix)]

    def told(self, label="ticks"):
        """The value of each metric of one table."""
        return {
            name: point.value
            for name, points in self.metrics().items()
            for point in points
            if point.attributes[contract.TABLE_NAME] == label
        }


@pytest.fixture
def telemetry():
    one = Telemetry()
    yield one
    one.close()


@pytest.fixture
def sync(buffer, served, telemetry):
    buffer.execute("CREATE TABLE ticks AS SELECT range AS a FROM range(2500)")
    retry = Retry(attempts=3, seconds=20, initial_delay=0.01, max_delay=0.02)
    with Sync(buffer, ["ticks"], served, batch=Limits(rows=1000), retry=retry, signals=telemetry.signals) as one:
        yield one


def test_a_pass_is_a_span_with_a_child_for_each_batch(sync, telemetry):
    sync.run_once()
    (whole,) = telemetry.ended("duckdb.sync ticks")
    batches = telemetry.ended("duckdb.sync.batch ticks")
    assert len(batches) == 3
    assert {span.parent.span_id for span in batches} == {whole.context.span_id}
    assert sum(span.attributes[contract.SYNC_ROWS] for span in batches) == 2500
    assert whole.attributes[contract.SYNC_ROWS] == 2500
    assert whole.attributes[contract.SYNC_TARGET] == "ticks"
    assert len({span.attributes[contract.SYNC_BATCH_TOKEN] for span in batches}) == 3


def test_each_retry_is_an_event_with_its_attempt_delay_and_error(server, sync, telemetry):
    with server.fault(Fault(Kind.ERROR, INSERT, after=1, times=2, code=252)):
        sync.run_once()
    second = telemetry.ended("duckdb.sync.batch ticks")[1]
    events = [event for event in second.events if event.name == contract.EVENT_SYNC_RETRY]
    assert [event.attributes[contract.SYNC_ATTEMPT] for event in events] == [2, 3]
    assert events[0].attributes[contract.SYNC_RETRY_DELAY] >= 10
    assert "252" in events[0].attributes["exception.message"]
    metrics = telemetry.told()
    assert metrics["duckdb_sync_retry_attempts"] == 2
    assert metrics["duckdb_sync_failure_count"] == 2
    assert metrics["duckdb_sync_success_count"] == 3
    assert metrics["duckdb_sync_rows"] == 2500
    assert metrics["duckdb_sync_latency_ms"] > 0


def test_a_failed_batch_is_an_error_and_the_next_pass_links_to_it(server, sync, telemetry):
    with server.fault(Fault(Kind.ERROR, INSERT, after=1, code=60)):
        sync.run_once()
    (whole,) = telemetry.ended("duckdb.sync ticks")
    failed = telemetry.ended("duckdb.sync.batch ticks")[1]
    for span in (whole, failed):
        assert span.status.status_code.name == "ERROR"
        assert span.attributes[contract.ERROR_TYPE] == "TargetError"
        assert [event.name for event in span.events] == ["exception"]
    metrics = telemetry.told()
    assert metrics["duckdb_sync_pending_rows"] == 1500
    assert metrics["duckdb_sync_lag_seconds"] > 0
    sync.run_once()
    again = telemetry.ended("duckdb.sync.batch ticks")[2]
    assert [link.context.trace_id for link in again.links] == [whole.context.trace_id]
    metrics = telemetry.told()
    assert (metrics["duckdb_sync_pending_rows"], metrics["duckdb_sync_lag_seconds"]) == (0, 0)


def test_a_table_that_takes_long_to_look_at_is_not_said_to_wait_once_it_is_sent(sync, telemetry, buffer, monkeypatch):
    monkeypatch.setattr("otel_duckdb.sync.observing._SHARE", 1_000_000)  # a look is remembered for minutes
    assert telemetry.told()["duckdb_sync_pending_rows"] == 2500
    sync.run_once()
    metrics = telemetry.told()
    assert (metrics["duckdb_sync_pending_rows"], metrics["duckdb_sync_lag_seconds"]) == (0, 0)


def test_a_sync_that_is_closed_ends_no_other_that_took_its_place(telemetry):
    signals = telemetry.signals.table("orders", "buffer")
    first, second = (lambda: (1, 0.0)), (lambda: (2, 0.0))
    signals.observe_with(first)
    signals.observe_with(second)
    signals.observe_no_more(first)
    assert telemetry.told("orders")["duckdb_sync_pending_rows"] == 2
    signals.observe_no_more(second)
    assert "duckdb_sync_pending_rows" not in telemetry.told("orders")


def test_counters_start_at_zero(sync, telemetry):
    telemetry.signals.table("ticks")
    metrics = telemetry.told()
    assert [metrics[f"duckdb_sync_{name}"] for name in ("success_count", "failure_count", "retry_attempts")] == [
        0,
        0,
        0,
    ]


def test_every_metric_is_in_the_contract_as_it_is_made(sync, telemetry):
    sync.run_once()
    known = {metric.name: metric for metric in contract.METRICS}
    data = telemetry.reader.get_metrics_data()
    for metric in data.resource_metrics[0].scope_metrics[0].metrics:
        assert (metric.unit, metric.description) == (known[metric.name].unit, known[metric.name].description)
        for point in metric.data.data_points:
            assert set(point.attributes) <= set(known[metric.name].labels)


def test_trace_sync_reports_a_block(telemetry):
    with trace_sync("ticks", signals=telemetry.signals) as sync:
        sync.record(rows=10, size=80)
        sync.retry(2, 0.5, TimeoutError("slow"))
        with sync.batch("token-1", rows=10):
            pass
    (span,) = telemetry.ended("duckdb.sync ticks")
    assert (span.attributes[contract.SYNC_ROWS], span.events[0].name) == (10, contract.EVENT_SYNC_RETRY)
    assert telemetry.ended("duckdb.sync.batch ticks")[0].parent.span_id == span.context.span_id
    metrics = telemetry.told()
    assert (metrics["duckdb_sync_success_count"], metrics["duckdb_sync_failure_count"]) == (1, 0)
    assert (metrics["duckdb_sync_rows"], metrics["duckdb_sync_bytes"]) == (10, 80)


def test_trace_sync_counts_a_failure_and_lets_it_go_on(telemetry):
    with pytest.raises(KeyError), trace_sync("ticks", signals=telemetry.signals):
        raise KeyError("gone")
    (span,) = telemetry.ended("duckdb.sync ticks")
    assert (span.status.status_code.name, span.attributes[contract.ERROR_TYPE]) == ("ERROR", "KeyError")
    assert telemetry.told()["duckdb_sync_failure_count"] == 1


def test_trace_sync_decorates_functions_and_coroutines(telemetry):
    @trace_sync("ticks", signals=telemetry.signals)
    def copy(rows):
        """Copy."""
        return rows * 2

    @trace_sync("ticks", signals=telemetry.signals)
    async def copy_soon(rows):
        await asyncio.sleep(0)
        return rows * 3

    assert (copy(4), copy.__doc__, asyncio.run(copy_soon(4))) == (8, "Copy.", 12)
    assert telemetry.told()["duckdb_sync_success_count"] == 2
    assert len(telemetry.ended("duckdb.sync ticks")) == 2


def test_without_an_sdk_the_sync_works_and_tells_nothing(buffer, target):
    buffer.execute("CREATE TABLE ticks AS SELECT 1 AS a")
    with Sync(buffer, ["ticks"], target) as one:
        assert one.run_once()[0].rows == 1


def test_an_instrumented_program_sees_its_own_queries_and_none_of_the_sync(buffer, target, telemetry):
    buffer.execute("CREATE TABLE ticks AS SELECT 1 AS a")
    instrumentor = DuckDBInstrumentor()
    instrumentor.instrument(tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider)
    try:
        with Sync(buffer, ["ticks"], target, signals=telemetry.signals) as one:
            assert one.run_once()[0].rows == 1
            one.status()
        buffer.execute("SELECT count(*) FROM ticks").fetchall()
    finally:
        instrumentor.uninstrument()
    names = [span.name for span in telemetry.ended()]
    assert names == ["duckdb.sync.batch ticks", "duckdb.sync ticks", "SELECT ticks"]


def test_each_failed_pass_is_a_failed_attempt_whatever_refused_it(buffer, sync, telemetry):
    sync.run_once()
    buffer.execute("ALTER TABLE ticks ALTER a TYPE VARCHAR")
    for _ in range(3):
        assert sync.run_once()[0].error is not None
    buffer.execute("DROP TABLE ticks")
    for _ in range(2):
        assert sync.run_once()[0].error is not None
    assert telemetry.told()["duckdb_sync_failure_count"] == 5
    assert [span.status.status_code.name for span in telemetry.ended("duckdb.sync ticks")] == ["UNSET"] + ["ERROR"] * 5


def test_a_failed_attempt_that_ends_a_pass_is_counted_once(server, sync, telemetry):
    with server.fault(Fault(Kind.ERROR, INSERT, code=60)):
        assert sync.run_once()[0].error is not None
    with server.fault(Fault(Kind.ERROR, INSERT, code=252)):
        assert sync.run_once()[0].error is not None
    assert telemetry.told()["duckdb_sync_failure_count"] == 1 + 3


@pytest.mark.parametrize("key", [[], ["a"]], ids=["append-only", "with a key"])
def test_what_waits_is_observed_when_it_is_asked_for(buffer, served, telemetry, key):
    buffer.execute("CREATE TABLE ticks AS SELECT 1 AS a")
    with Sync(buffer, [Table(name="ticks", key=key)], served, signals=telemetry.signals) as one:
        assert one.run_once()[0].error is None
        assert telemetry.told()["duckdb_sync_pending_rows"] == 0
        assert telemetry.told()["duckdb_sync_lag_seconds"] == 0
        buffer.execute("INSERT INTO ticks SELECT range + 2 FROM range(100)")
        end = time.monotonic() + 60  # a look that took long is not taken again at once
        while time.monotonic() < end and telemetry.told()["duckdb_sync_lag_seconds"] <= 1.5:
            time.sleep(0.2)
        metrics = telemetry.told()
        assert metrics["duckdb_sync_pending_rows"] == 100
        assert 1.5 < metrics["duckdb_sync_lag_seconds"] < 60
    assert "duckdb_sync_pending_rows" not in telemetry.told()


def test_nobody_is_asked_once_the_connection_is_closed(served, telemetry):
    connection = duckdb.connect()
    connection.execute("CREATE TABLE ticks AS SELECT 1 AS a")
    one = Sync(connection, ["ticks"], served, signals=telemetry.signals)
    connection.close()
    assert "duckdb_sync_pending_rows" not in telemetry.told()
    one.close()


def test_two_readers_see_the_same_latency(sync, telemetry):
    sync.run_once()
    first = telemetry.told()["duckdb_sync_latency_ms"]
    assert first > 0
    assert telemetry.told()["duckdb_sync_latency_ms"] == first


def test_names_given_to_trace_sync_are_bounded(telemetry):
    for number in range(contract.TABLE_NAME_LIMIT + 50):
        with trace_sync(f"table {number}\udcff", signals=telemetry.signals):
            pass
    data = telemetry.reader.get_metrics_data()
    labels = {
        point.attributes[contract.TABLE_NAME]
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
        for point in metric.data.data_points
    }
    assert len(labels) == contract.TABLE_NAME_LIMIT + 1
    assert contract.OTHER in labels
    assert all(label.encode() for label in labels)


def test_a_wrong_option_of_another_part_keeps_no_function_from_running(monkeypatch, telemetry):
    monkeypatch.setenv("OTEL_DUCKDB_PROFILE", "sometimes")
    monkeypatch.setenv("OTEL_DUCKDB_INSTANCE_ID", "gw-7")
    signals = SyncSignals(telemetry.tracer_provider, telemetry.meter_provider)

    @trace_sync("ticks", signals=signals)
    def copy():
        return 7

    assert copy() == 7


def test_the_instance_of_a_meter_provider_labels_every_metric(buffer, target):
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], resource=Resource.create({"service.instance.id": "gw-9"}))
    buffer.execute("CREATE TABLE ticks AS SELECT 1 AS a")
    with Sync(buffer, ["ticks"], target, signals=SyncSignals(None, meters)) as one:
        assert one.run_once()[0].rows == 1
        points = [
            point
            for metric in reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
            for point in metric.data.data_points
        ]
    assert len(points) >= 8
    assert {point.attributes[contract.INSTANCE_ID] for point in points} == {"gw-9"}
    meters.shutdown()
