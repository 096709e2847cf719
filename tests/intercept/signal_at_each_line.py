"""A signal arrives at one line of ours after another, and its handler queries; a hang is told with its stack.

With `sdk` it arrives at lines of OpenTelemetry's SDK, which the program itself called: the handler finds locks held.
With `finalizer` a thread of the program called the SDK, and at each line a query comes as a finalizer's does. With
`careless` as the second word what keeps it from hanging is taken out, and it must hang: a plain lock is held while an
operation ends, the handler does not know that our code was interrupted, and the SDK is not looked for.
"""

from __future__ import annotations

import contextvars
import faulthandler
import itertools
import signal
import sys
import threading
from pathlib import Path

import duckdb
import opentelemetry.sdk.metrics
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import otel_duckdb
from otel_duckdb.core.dispatcher import Dispatcher
from otel_duckdb.telemetry import section

EVERYTHING, FINALIZER = sys.argv[1] == "everything", sys.argv[1] == "finalizer"
SDK = FINALIZER or sys.argv[1] == "sdk"
CARELESS = sys.argv[2:] == ["careless"]
if CARELESS:
    end, plain_lock = Dispatcher.end, threading.Lock()

    def end_with_a_lock(*arguments, **keywords):
        with plain_lock:
            return end(*arguments, **keywords)

    Dispatcher.end = end_with_a_lock
    section._judge_once = lambda _file: False
    if section.inside_the_sdk is not section.python_inside_the_sdk:
        section._section.judge_by(lambda _file: False)
HOME = str(Path(opentelemetry.sdk.metrics.__file__).parents[1] if SDK else Path(otel_duckdb.__file__).parent)

provider, reader = TracerProvider(), InMemoryMetricReader()
provider.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
trace.set_tracer_provider(provider)
meters = MeterProvider([reader])
options = {"meter_provider": meters, "slow_threshold_ms": 0.0001, "repeated_threshold": 2}
if not EVERYTHING:
    options = {"engine_metrics": False, "profile": "off"}
otel_duckdb.DuckDBInstrumentor().instrument(**options)
number, connection, own, held = itertools.count(), duckdb.connect(), duckdb.connect(), duckdb.connect()
closed = []
counter = meters.get_meter("program").create_counter("requests")
connection.execute("create table t (i int)")


def handle(*_):
    if FINALIZER:
        closed.pop().fetchall()  # ends an operation that was begun before
        closed.pop().close()  # the same
    elif SDK:
        held.fetchall()
        closed.pop().close()
    own.execute(f"select 1 as h{next(number)}").fetchall()


signal.signal(signal.SIGUSR1, (lambda *_: contextvars.Context().run(handle)) if CARELESS else handle)


def program(line):
    if SDK:
        counter.add(1)
        with trace.get_tracer("program").start_as_current_span("own"):
            pass
        reader.get_metrics_data()
        return
    connection.execute(f"select i + {line} as n{line} from t").fetchall()
    connection.execute("insert into t values (1)")
    if EVERYTHING:
        connection.sql("from t").fetchall()
        reader.get_metrics_data()


def signal_at(line):
    left = [line]

    def local(frame, event, arg):
        if event == "line":
            left[0] -= 1
            if left[0] == 0:
                sys.settrace(None)
                signal.raise_signal(signal.SIGUSR1)
        return local if left[0] > 0 else None

    def tracer(frame, event, arg):
        code = frame.f_code
        looks = code.co_name == "python_inside_the_sdk"  # at frame after frame; it holds nothing
        return local if left[0] > 0 and not looks and code.co_filename.startswith(HOME) else None

    if SDK:
        held.execute("select 1")
        closed.append(duckdb.connect().execute("select 1"))
    faulthandler.dump_traceback_later(3 if CARELESS else 8, exit=True)
    with trace.get_tracer("program").start_as_current_span("parent"):
        sys.settrace(tracer)
        program(line)
        sys.settrace(None)
    return left[0] <= 0


def finalize_at_each_line():
    lines = itertools.count()

    def local(frame, event, arg):
        if event == "line":
            next(lines)
            handle()
        return local

    def run():
        with trace.get_tracer("program").start_as_current_span("parent"):
            sys.settrace(lambda frame, event, arg: local if frame.f_code.co_filename.startswith(HOME) else None)
            program(1)
            sys.settrace(None)

    closed.extend(connection.cursor().execute("select 1") for _ in range(2000))
    faulthandler.dump_traceback_later(3 if CARELESS else 20, exit=True)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return next(lines)


step, line = (5 if EVERYTHING else 1), 1
if FINALIZER:
    line = finalize_at_each_line()
else:
    while signal_at(line):
        line += step
print(line, "lines tried")  # noqa: T201 - a program
