"""DuckDB may be used by whatever runs in the middle of our code: hooks, log handlers, signal handlers, finalizers."""

from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import pytest
from opentelemetry.sdk.trace import SpanProcessor

from otel_duckdb.telemetry import locks


@pytest.fixture
def look_up():
    connection = duckdb.connect()
    connection.execute("create table tenants as select 'acme' as name")
    return lambda: connection.execute("select name from tenants").fetchone()[0]


def queries(connection):
    """One operation of each way to run and to end, seven in all."""
    connection.execute("create table t as from range(3000)")
    connection.execute("select * from t").fetchall()
    connection.execute("select * from t").fetchmany(5)
    while connection.fetchone():
        pass
    connection.sql("select count(*) from t").fetchall()
    connection.executemany("insert into t values (?)", [[1], [2]])
    with pytest.raises(duckdb.Error):
        connection.execute("select * from missing")
    cursor = connection.cursor()  # on DuckDB 1.4 a relation does not outlive its connection
    relation = cursor.sql("select * from range(10)")
    (getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader)().read_all()


class TestHooks:
    def test_that_query_are_called_once_an_operation_and_their_queries_are_not_recorded(self, telemetry, look_up):
        calls = []

        def hook(kind):
            def call(span, operation):
                calls.append(kind)
                span.set_attribute("tenant", look_up())

            return call

        telemetry.instrument(request_hook=hook("request"), response_hook=hook("response"))
        queries(duckdb.connect())
        spans = telemetry.openings() + telemetry.spans()
        assert calls.count("request") == calls.count("response") == len(spans)
        assert {span.attributes["tenant"] for span in spans} == {"acme"}
        assert not [span for span in spans if "tenants" in span.name]
        assert telemetry.faults() == 0

    def test_that_query_the_very_connection_leave_the_next_operation_its_own(self, telemetry):
        connection = duckdb.connect()
        telemetry.instrument(response_hook=lambda span, operation: connection.execute("select 7").fetchall())
        connection.execute("create table t (i int)")
        connection.execute("insert into t values (1)")
        assert telemetry.names()[-2:] == ["CREATE TABLE t", "INSERT t"]
        assert telemetry.faults() == 0

    def test_of_span_processors_and_exporters_are_not_recorded(self, telemetry, look_up):
        class Processor(SpanProcessor):
            def on_start(self, span, parent_context=None):
                look_up()

            def on_end(self, span):
                look_up()

        telemetry.tracer_provider.add_span_processor(Processor())
        telemetry.instrument()
        duckdb.connect().execute("select 1").fetchall()
        assert len([name for name in telemetry.names() if name.startswith("SELECT")]) == 1


class TestLogHandlers:
    def test_that_store_slow_queries_in_duckdb_store_each_once(self, telemetry):
        telemetry.instrument(slow_threshold_ms=0.001)
        store = duckdb.connect()
        store.execute("create table logs (line varchar)")

        class Store(logging.Handler):
            def emit(self, record):
                store.execute("insert into logs values (?)", [record.getMessage()])

        handler = Store()
        logger = logging.getLogger("otel_duckdb.slow_query")
        logger.addHandler(handler)
        try:
            duckdb.connect().execute("select sum(range) from range(2000000)").fetchall()
        finally:
            logger.removeHandler(handler)
        (stored,) = store.execute("select count(*) from logs where line like '%sum%'").fetchall()[0]
        assert stored == 1
        assert telemetry.faults() == 0

    def test_of_two_threads_that_query_wait_for_no_lock_of_each_other(self, telemetry):
        telemetry.instrument(slow_threshold_ms=0.0001)
        both_emit = threading.Barrier(2, timeout=20)

        class Query(logging.Handler):
            def emit(self, record):
                if record.name in ("first", "second"):
                    both_emit.wait()
                    duckdb.connect().execute("select 1").fetchall()

        handlers = {name: Query() for name in ("first", "second")}
        slow = logging.getLogger("otel_duckdb.slow_query")
        for name, handler in handlers.items():
            logging.getLogger(name).addHandler(handler)
            slow.addHandler(handler)
        threads = [
            threading.Thread(target=logging.getLogger(name).warning, args=("x",), daemon=True) for name in handlers
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(10)
            assert not any(thread.is_alive() for thread in threads)
        finally:
            for name, handler in handlers.items():
                logging.getLogger(name).removeHandler(handler)
                slow.removeHandler(handler)


class TestFinalizers:
    def test_that_query_in_the_middle_of_our_code_do_not_hang(self, telemetry, look_up):
        class Last:
            def __init__(self):
                self.itself = self

            def __del__(self):
                look_up()

        def leave(span, operation):
            Last()
            gc.collect()

        telemetry.instrument(request_hook=leave, response_hook=leave)
        queries(duckdb.connect())
        assert telemetry.faults() == 0


SIGNALS = Path(__file__).with_name("signal_at_each_line.py")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("options", ["plain", pytest.param("everything", marks=pytest.mark.slow)])
def test_a_signal_handler_may_query_at_any_line_of_ours(options):
    done = subprocess.run([sys.executable, SIGNALS, options], check=False, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[0]) > 50


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("interruption", [pytest.param("sdk", marks=pytest.mark.slow), "finalizer"])
def test_a_signal_handler_or_a_finalizer_may_query_at_any_line_of_the_sdk_that_the_program_called(interruption):
    done = subprocess.run(
        [sys.executable, SIGNALS, interruption], check=False, capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[0]) > 500


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("options", ["plain", "everything", "sdk", "finalizer"])
def test_these_programs_tell_of_a_hang_where_a_lock_is_held_and_nothing_looks_for_it(options):
    command = [sys.executable, SIGNALS, options, "careless"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=110)
    assert done.returncode == 1
    assert "Timeout (0:00:" in done.stderr
    assert "signal_at_each_line.py" in done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_forked_child_finds_every_lock_of_ours_free(telemetry):
    telemetry.instrument(engine_metrics=True, repeated_threshold=2)
    queries(duckdb.connect())
    held, release = threading.Event(), threading.Event()

    def hold():
        for lock in list(locks._made):
            lock.acquire()
        held.set()
        release.wait()
        for lock in list(locks._made):
            lock.release()

    holder = threading.Thread(target=hold)
    with telemetry.tracer().start_as_current_span("parent"):
        holder.start()
        held.wait()
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            queries(duckdb.connect())
            telemetry.reader.get_metrics_data()
            os._exit(0)
        release.set()
        holder.join()
        _, status = os.waitpid(child, 0)
    assert status == 0


def test_no_lock_of_ours_is_made_but_by_the_function_that_a_fork_renews():
    source = Path(locks.__file__).parent.parent
    made = [
        f"{path.relative_to(source)}: {line.strip()}"
        for path in source.rglob("*.py")
        if path.name != "locks.py" and path.relative_to(source).parts[0] not in ("sync", "demo", "web", "exporters")
        for line in path.read_text().splitlines()
        if "Lock()" in line.replace("make_lock()", "").replace("make_reentrant_lock()", "")
    ]
    assert not made


@pytest.mark.slow
def test_threads_signals_and_collections_do_not_hang():
    stress = Path(__file__).with_name("stress.py")
    began = time.monotonic()
    done = subprocess.run([sys.executable, stress, "5"], check=False, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - began < 100


@pytest.mark.parametrize("options", [[], pytest.param(["slow"], marks=pytest.mark.slow)])
def test_ctrl_c_in_any_call_of_ours_leaves_the_connection_heard_and_nothing_open(options):
    program = Path(__file__).with_name("broken_off_at_each_call.py")
    done = subprocess.run([sys.executable, program, *options], check=False, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[0]) > 200
