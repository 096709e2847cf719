"""A signal arrives at one line of the monitor after another, and its handler queries and asks the monitor.

A hang is told with its stack, an error with its line.
"""

from __future__ import annotations

import faulthandler
import itertools
import signal
import sys
import tempfile
import time
from pathlib import Path

import duckdb

import otel_duckdb
from otel_duckdb.monitor import Monitor

HOME = str(Path(otel_duckdb.__file__).parent)
folder = Path(tempfile.mkdtemp())
otel_duckdb.DuckDBInstrumentor().instrument(repeated_threshold=2)
number, connection, own = itertools.count(), duckdb.connect(), duckdb.connect()
monitor = Monitor(serve=False, interval_ms=60_000, audit_file=str(folder / "audit.jsonl"), actions=["checkpoint"])
told = []


def handle(*_):
    own.execute(f"select 1 as h{next(number)}").fetchall()
    monitor.status()
    monitor.statements()
    monitor.running()
    monitor.metrics()
    monitor.silence("Nothing", 0.001)
    monitor.alerts()
    monitor.run_action("checkpoint")
    monitor.stop()


signal.signal(signal.SIGUSR1, handle)


def program(line):
    connection.execute(f"select {line} as n{line}").fetchall()
    monitor.start()
    monitor.on("cleanup", told.append)
    monitor.statements()
    monitor.running()
    monitor.metrics()
    monitor.silence("Nothing", 0.001)
    monitor.alerts()
    monitor.status()
    monitor.run_action("checkpoint")
    monitor.clean_up()
    monitor.export_metrics(folder / "metrics.json")
    monitor.make_report()
    monitor.off("cleanup", told.append) if hasattr(monitor, "off") else monitor.events.off(told.append)
    monitor.stop()


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
        return local if left[0] > 0 and frame.f_code.co_filename.startswith(HOME) else None

    faulthandler.dump_traceback_later(20, exit=True)
    sys.settrace(tracer)
    program(line)
    sys.settrace(None)
    return left[0] <= 0


line, step = 1, int(sys.argv[1])
b = time.time()
while signal_at(line) and time.time() - b < 240:
    line += step
print(line, "lines tried")  # noqa: T201 - a program
