"""A forked child tells of what it does itself; what was open at the fork is its parent's to tell."""

import gc
import json
import math
import os
import signal
import subprocess
import sys
import threading

import duckdb
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader

from otel_duckdb import DuckDBInstrumentor
from otel_duckdb.monitor import Monitor

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),  # of Python 3.12 and later, beside threads
]


def in_child(work):
    """What `work` returns in a forked child, as JSON has it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        gc.disable()  # DuckDB itself dies where a forked child drops a connection of its parent
        signal.alarm(20)
        try:
            os.write(writing, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        told = answer.read()
    _, status = os.waitpid(child, 0)
    assert (status, bool(told)) == (0, True)
    return json.loads(told)


def test_the_end_of_a_child_ends_no_operation_and_fails_no_transaction_of_its_parent(telemetry):
    telemetry.instrument()
    writer, holder, streamer = duckdb.connect(), duckdb.connect(), duckdb.connect()
    writer.execute("create table t (i int)")
    writer.begin()
    writer.execute("insert into t values (1)")
    holder.execute("select * from range(100000)").fetchone()
    relation = streamer.sql("select * from range(100000)")
    reader = (getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader)(2000)
    reader.read_next_batch()
    failed = telemetry.value("duckdb_transaction_failure_count", database="memory")
    before = len(telemetry.spans())

    def end():
        DuckDBInstrumentor()._running._exit()  # as at the exit of the process
        return [telemetry.names()[before:], telemetry.value("duckdb_transaction_failure_count", database="memory")]

    assert in_child(end) == [[], failed]
    writer.commit()
    holder.close()
    reader.close()
    del reader, relation
    assert len(telemetry.spans()) >= before + 3
    assert telemetry.value("duckdb_transaction_failure_count", database="memory") == failed


def test_a_forked_child_works(heard):
    def query():
        return duckdb.connect().execute("select 42").fetchall(), len(heard.spans())

    assert in_child(query) == [[[42]], 1]


def test_a_child_records_its_own_queries(telemetry):
    telemetry.instrument()
    held = duckdb.connect()
    held.execute("select * from range(100000)").fetchone()
    before = len(telemetry.spans())

    def query():
        duckdb.connect().execute("select 1 as own").fetchall()
        return telemetry.names()[before:]

    assert in_child(query) == ["SELECT"]


def test_a_query_of_another_thread_does_not_run_for_ever_in_a_child(telemetry):
    telemetry.instrument()
    connection, inside, go_on = duckdb.connect(), threading.Event(), threading.Event()

    def wait(number: int) -> int:
        inside.set()
        go_on.wait()
        return number

    connection.create_function("wait", wait, side_effects=True)
    thread = threading.Thread(target=lambda: connection.execute("select wait(1::bigint)").fetchall())
    thread.start()
    inside.wait()
    try:
        assert telemetry.value("duckdb_active_queries", database="memory") == 1
        names = "duckdb_active_queries", "duckdb_oldest_query_seconds"
        told = in_child(lambda: [telemetry.value(name, database="memory") for name in names])
    finally:
        go_on.set()
        thread.join()
    assert told == [0, 0]


ENDING = """
import os, sys, threading
import duckdb
from otel_duckdb import DuckDBInstrumentor
from otel_duckdb.monitor import Monitor
from opentelemetry.sdk.metrics import MeterProvider
DuckDBInstrumentor().instrument(meter_provider=MeterProvider())
connection = duckdb.connect()
connection.execute("create table t as from range(10)").fetchall()
if os.fork() == 0:
    thread = threading.Thread(target=int)  # takes the place that a thread of DuckDB's had
    thread.start()
    thread.join()
    if sys.argv[1] == "closes":
        connection.close()
    sys.exit(0)
_, status = os.wait()
sys.exit(status != 0)
"""


@pytest.mark.parametrize("end", ["closes", "leaves"])
def test_a_child_may_close_the_connections_of_its_parent_and_end_as_any_program_does(end):
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", ENDING, end]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_monitor_in_a_child_leaves_the_history_file_to_its_parent(tmp_path):
    file = tmp_path / "history.sqlite"
    with Monitor(serve=False, interval_ms=100, history_file=str(file)) as monitor:
        before = [type(part).__name__ for part in monitor.parts]
        after = in_child(lambda: [type(part).__name__ for part in monitor.parts])
    assert "HistoryFile" in before
    assert after == [name for name in before if name != "HistoryFile"]


@pytest.mark.parametrize("slow", ["collecting", "sending"])
def test_a_child_of_a_process_that_just_tells_its_metrics_tells_its_own(telemetry, slow):
    parent, begun, over, told = os.getpid(), threading.Event(), threading.Event(), []

    def wait(*_):
        if os.getpid() == parent:
            begun.set()
            over.wait(20)
        return []

    class Exporter(ConsoleMetricExporter):
        def export(self, metrics_data, *_, **__):
            told.append(metrics_data)
            if slow == "sending":
                wait()

    reader = PeriodicExportingMetricReader(Exporter(), math.inf)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    telemetry.instrument(meter_provider=provider)
    if slow == "collecting":
        provider.get_meter("another's").create_observable_gauge("slow", [wait])
    thread = threading.Thread(target=reader.collect)
    thread.start()
    assert begun.wait(20)

    def work():
        told.clear()
        provider.get_meter("another's").create_observable_gauge("more", [wait])
        duckdb.connect().execute("select 1").fetchall()
        reader.collect()
        return len(told)

    try:
        assert in_child(work) == 1
    finally:
        over.set()
        thread.join()
        provider.shutdown()


@pytest.mark.parametrize("where", ["callback", "exporter"])
def test_a_child_that_was_forked_in_the_middle_of_the_sdk_returns_from_it(telemetry, caplog, where):
    children = []

    def fork(*_):
        children.append(os.fork())
        return []

    class Exporter(ConsoleMetricExporter):
        def export(self, *_, **__):
            if where == "exporter":
                fork()

    reader = PeriodicExportingMetricReader(Exporter(), math.inf)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    telemetry.instrument(meter_provider=provider)
    if where == "callback":
        provider.get_meter("another's").create_observable_gauge("forks", [fork])
    try:
        reader.collect()
        whole = not caplog.records  # what fails in an exporter is logged
    except RuntimeError:  # of a lock that was let go twice
        whole = False
    if children[0] == 0:
        os._exit(0 if whole else 1)
    assert os.waitpid(children[0], 0)[1] == 0
    provider.shutdown()
