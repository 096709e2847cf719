"""At each line of the monitor a handler queries and asks the monitor, as one of a signal or a finalizer may.

A hang is told with its stack, and ends with 1. The lines of Python's own locks, events and queues are tried as well.
"""

from __future__ import annotations

import faulthandler
import itertools
import queue
import sys
import tempfile
import threading
from pathlib import Path

import duckdb

import otel_duckdb
from otel_duckdb.monitor import Monitor

FILES = (str(Path(otel_duckdb.__file__).parent / "monitor"), threading.__file__, queue.__file__)
TURNS = int(sys.argv[1])
folder = Path(tempfile.mkdtemp())
otel_duckdb.DuckDBInstrumentor().instrument(repeated_threshold=2)
number, connection, own = itertools.count(), duckdb.connect(), duckdb.connect()
seen = set()
monitor = Monitor(
    serve=False,
    interval_ms=60_000,
    audit_file=str(folder / "audit.jsonl"),
    actions=["checkpoint"],
    export_folder=str(folder),
)
told = []
monitor.on("cleanup", told.append)


def handle():
    own.execute(f"select {next(number)} as h").fetchall()
    asked = next(number) % 6
    if asked == 0:
        monitor.status()
        monitor.statements()
    elif asked == 1:
        monitor.running()
        monitor.metrics()
    elif asked == 2:
        monitor.silence("Nothing", 0.001)
        monitor.alerts()
    elif asked == 3:
        monitor.run_action("checkpoint", dry_run=True)
    elif asked == 4:
        monitor.clean_up()
    else:
        monitor.receive_alertmanager({"version": "4", "groupKey": "g", "alerts": []})


def program():
    for turn in range(TURNS):
        seen.clear()
        connection.execute(f"select {turn} as n").fetchall()
        monitor.start()
        monitor.statements()
        monitor.running()
        monitor.metrics()
        monitor.silence("Nothing", 0.001)
        monitor.alerts()
        monitor.status()
        monitor.run_action("checkpoint")
        monitor.clean_up()
        monitor.export_metrics(folder / "metrics.json")
        monitor.receive_alertmanager({"version": "4", "groupKey": "g", "alerts": []})
        monitor.stop()


def local(frame, event, arg):
    place = frame.f_code.co_filename, frame.f_lineno
    if event == "line" and place not in seen:
        seen.add(place)
        faulthandler.dump_traceback_later(15, exit=True)
        handle()
    return local


sys.settrace(lambda frame, event, arg: local if frame.f_code.co_filename.startswith(FILES) else None)
program()
sys.settrace(None)
print(len(seen), "lines tried")  # noqa: T201 - a program
