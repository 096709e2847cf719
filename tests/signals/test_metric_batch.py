"""Measurements that are recorded in batches are all there, whoever asks and however the program goes on or ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import duckdb
import pytest
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import DropAggregation, View
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from otel_duckdb import DuckDBInstrumentor, contract
from otel_duckdb.telemetry.batch import MeasurementBatch
from otel_duckdb.telemetry.histogram import create_wanted_histogram

LATENCY = contract.QUERY_LATENCY.name
DURATION = contract.OPERATION_DURATION.name
TIMES = (contract.DUCKDB_EXECUTE_TIME, contract.DUCKDB_FETCH_TIME)
QUERIES = 150
SETUP = """
import atexit, os, signal, sys, threading, duckdb
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    InMemoryMetricReader, MetricExporter, MetricExportResult, PeriodicExportingMetricReader)
from otel_duckdb import DuckDBInstrumentor

def selects(data):
    return sum(
        point.count
        for resource in data.resource_metrics for scope in resource.scope_metrics for metric in scope.metrics
        if metric.name == "duckdb_query_latency_ms"
        for point in metric.data.data_points if point.attributes["query_type"] == "SELECT"
    )

class Printing(MetricExporter):
    def export(self, data, timeout_millis=0, **_):
        print(os.getpid() == parent, selects(data), flush=True)
        return MetricExportResult.SUCCESS
    def force_flush(self, timeout_millis=0):
        return True
    def shutdown(self, timeout_millis=0, **_):
        pass

parent = os.getpid()
def instrument(reader):
    provider = MeterProvider([reader])
    DuckDBInstrumentor().instrument(meter_provider=provider, metric_batch=1000, engine_metrics=False)
    return provider

def query(times):
    con = duckdb.connect()
    for _ in range(times):
        con.execute("select 1").fetchall()
"""


class Recording:
    def __init__(self):
        self.recorded = []

    def record(self, amount, attributes, context):
        if amount < 0:
            raise ValueError(amount)
        self.recorded.append(amount)


def run(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", SETUP + program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def query(times=QUERIES):
    with duckdb.connect() as con:
        for number in range(times):
            con.execute("select ?", [number]).fetchall()


def test_a_collection_sees_all_that_was_measured_before_it(telemetry):
    telemetry.instrument(metric_batch=1000)
    for queries in range(1, 4):
        query(1)
        assert telemetry.value(LATENCY, query_type="SELECT") == queries
        assert sum(point.count for point in telemetry.points(contract.SELECT_LATENCY.name)) == queries
        assert sum(point.count for point in telemetry.points(contract.RETURNED_ROWS.name)) == queries


def test_measurements_are_kept_until_a_batch_is_full():
    histogram = Recording()
    batch = MeasurementBatch(4, print)
    kept = batch.keep(histogram)
    for number in range(3):
        kept.record(number, {}, None)
    assert histogram.recorded == []
    kept.record(3, {}, None)
    assert histogram.recorded == [0, 1, 2, 3]
    batch.stop()
    kept.record(4, {}, None)
    assert histogram.recorded == [0, 1, 2, 3, 4]


def test_a_measurement_that_cannot_be_recorded_is_reported_and_loses_no_other():
    faults = []
    histogram = Recording()
    kept = MeasurementBatch(3, lambda component, fault: faults.append((component, str(fault)))).keep(histogram)
    for amount in (1, -1, 2):
        kept.record(amount, {}, None)
    assert histogram.recorded == [1, 2]
    assert faults == [("histograms", "-1")]


@pytest.mark.parametrize(
    "batch", [7, pytest.param(2, marks=pytest.mark.slow), pytest.param(64, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("temporality", [AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA])
def test_totals_are_exact_in_many_threads_that_end_while_readers_collect(batch, temporality):
    readers = [InMemoryMetricReader({Histogram: temporality, Counter: temporality}) for _ in range(2)]
    DuckDBInstrumentor().instrument(
        meter_provider=MeterProvider(readers, shutdown_on_exit=False), metric_batch=batch, engine_metrics=False
    )
    threads = [threading.Thread(target=query) for _ in range(6)]
    totals = [0, 0]

    def collect():
        for number, reader in enumerate(readers):
            data = reader.get_metrics_data()
            found = sum(
                point.count
                for resource in data.resource_metrics
                for scope in resource.scope_metrics
                for metric in scope.metrics
                if metric.name == LATENCY
                for point in metric.data.data_points
                if point.attributes["query_type"] == "SELECT"
            )
            totals[number] = found + (totals[number] if temporality is AggregationTemporality.DELTA else 0)

    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        collect()
    for thread in threads:
        thread.join()
    collect()
    assert totals == [len(threads) * QUERIES] * 2


def test_failed_operations_are_among_them(telemetry):
    telemetry.instrument(metric_batch=1000)
    con = duckdb.connect()
    for _ in range(3):
        with pytest.raises(duckdb.CatalogException):
            con.execute("from missing")
    points = {point.attributes.get("error.type"): point.count for point in telemetry.points(DURATION)}
    assert points["CatalogException"] == 3


def test_the_end_of_the_instrumentation_records_what_is_kept(telemetry):
    telemetry.instrument(metric_batch=1000)
    query(5)
    telemetry.uninstrument()
    assert telemetry.value(LATENCY, query_type="SELECT") == 5


def test_an_operation_that_ends_after_the_instrumentation_is_counted(telemetry):
    telemetry.instrument(metric_batch=1000)
    started, go_on = threading.Event(), threading.Event()

    def wait() -> int:
        started.set()
        go_on.wait(20)
        return 1

    con = duckdb.connect()
    con.create_function("wait", wait, [], "INTEGER")
    thread = threading.Thread(target=lambda: con.execute("create table t as select wait()"))
    thread.start()
    assert started.wait(20)
    telemetry.uninstrument()
    go_on.set()
    thread.join()
    assert telemetry.value(LATENCY, query_type="CREATE") == 1


def test_exemplars_of_a_batch_lead_to_its_slowest_operations(telemetry):
    telemetry.instrument(metric_batch=1000)
    query(20)
    times = {span.context.span_id: sum(map(span.attributes.get, TIMES)) for span in telemetry.spans("SELECT")}
    exemplars = {each.span_id for point in telemetry.points(LATENCY) for each in point.exemplars}
    assert max(times, key=times.get) in exemplars
    assert exemplars <= times.keys() | {span.context.span_id for span in telemetry.openings()}


def test_a_collection_waits_for_no_thread_for_ever(telemetry):
    telemetry.instrument(metric_batch=2)
    entered, go_on = threading.Event(), threading.Event()

    batch = telemetry.instrumentor._running._batch

    def record_slowly():
        with batch._lock:
            entered.set()
            go_on.wait(20)

    thread = threading.Thread(target=record_slowly)
    thread.start()
    entered.wait(20)
    query(5)  # nothing waits for the lock
    began = time.monotonic()
    batch.record_all()
    assert 0.5 < time.monotonic() - began < 5
    began = time.monotonic()
    telemetry.points(LATENCY)  # asks for each of its metrics, and waits no more
    assert time.monotonic() - began < 5
    go_on.set()
    thread.join()
    assert telemetry.value(LATENCY, query_type="SELECT") == 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only POSIX forks")
def test_a_fork_doubles_nothing_and_loses_nothing():
    lines = run("""
reader = InMemoryMetricReader()
instrument(reader)
query(5)
child = os.fork()
query(3 if child == 0 else 2)
if child:
    os.waitpid(child, 0)
print(child == 0, selects(reader.get_metrics_data()), flush=True)
if child == 0:
    os._exit(0)
""")
    assert sorted(lines) == ["False 7", "True 8"]  # the SDK's totals go on in a child


@pytest.mark.parametrize(
    "end", ["", "sys.exit(0)", "provider.shutdown(); os._exit(0)", "provider.force_flush(); os._exit(0)"]
)
def test_the_end_of_the_process_loses_nothing(end):
    lines = run(f"""
provider = instrument(PeriodicExportingMetricReader(Printing(), 3_600_000))
thread = threading.Thread(target=query, args=(4,))
thread.start()
thread.join()
query(3)
{end}
""")
    assert lines[0] == "True 7"


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="only POSIX has timers that send signals")
def test_signal_handlers_that_query_and_flush_lose_nothing():
    (line,) = run("""
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
reader, spans, tracers = InMemoryMetricReader(), InMemorySpanExporter(), TracerProvider()
tracers.add_span_processor(SimpleSpanProcessor(spans))
DuckDBInstrumentor().instrument(
    meter_provider=MeterProvider([reader]), tracer_provider=tracers, metric_batch=5, engine_metrics=False)
own, times, busy = duckdb.connect(), [0], []
def handle(*_):
    if busy:
        return
    busy.append(1)
    times[0] += 1
    own.execute("select 2").fetchall()
    busy.clear()
signal.signal(signal.SIGALRM, handle)
con = duckdb.connect()
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
for _ in range(600):
    con.execute("select 1").fetchall()
signal.setitimer(signal.ITIMER_REAL, 0)
asked = sum(span.attributes["duckdb.query.type"] == "SELECT" for span in spans.get_finished_spans())
print(times[0] > 20, asked >= 600, selects(reader.get_metrics_data()) == asked)
""")
    assert line == "True True True"


def test_a_histogram_that_all_views_drop_is_not_recorded():
    reader = InMemoryMetricReader()
    views = [
        View(instrument_name=LATENCY, aggregation=DropAggregation()),
        View(instrument_name=DURATION, name="renamed"),
    ]
    provider = MeterProvider([reader], views=views, shutdown_on_exit=False)
    assert create_wanted_histogram(provider.get_meter("test"), contract.QUERY_LATENCY) is None
    assert create_wanted_histogram(provider.get_meter("test"), contract.OPERATION_DURATION) is not None
    DuckDBInstrumentor().instrument(meter_provider=provider, engine_metrics=False)
    query(2)
    data = reader.get_metrics_data()
    names = {
        metric.name
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert LATENCY not in names
    assert {"renamed", contract.SELECT_LATENCY.name} <= names


def test_exemplars_of_what_was_sampled_out_name_no_span(telemetry):
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], exemplar_filter=AlwaysOnExemplarFilter(), shutdown_on_exit=False)
    telemetry.instrument(tracer_provider=TracerProvider(sampler=ALWAYS_OFF), meter_provider=meters)
    query(1)
    exemplars = [
        exemplar
        for resource in reader.get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == LATENCY
        for point in metric.data.data_points
        for exemplar in point.exemplars
    ]
    assert exemplars
    assert {exemplar.span_id for exemplar in exemplars} == {None}
