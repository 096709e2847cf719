"""A signal arrives at one line of the sync after another, and its handler queries, asks for the status, and stops it.

A hang is told with its stack, an error with its line. The lines of Python's own locks and queues are tried as well.
"""

from __future__ import annotations

import faulthandler
import itertools
import queue
import signal
import sys
import tempfile
import threading
from pathlib import Path

import duckdb

import otel_duckdb
from otel_duckdb.sync import Retry, Sync, SyncError, Target

FILES = (str(Path(otel_duckdb.__file__).parent), threading.__file__, queue.__file__)
otel_duckdb.DuckDBInstrumentor().instrument()
number, own = itertools.count(), duckdb.connect()
buffer = duckdb.connect(str(Path(tempfile.mkdtemp()) / "buffer.duckdb"))
buffer.execute("create table t as select 1 as i")
current: list[Sync] = []
handled = []


def handle(*_):
    own.execute(f"select 1 as h{next(number)}").fetchall()
    for sync in current:
        sync.status()
        sync.stop(0)
    handled.append(1)


signal.signal(signal.SIGUSR1, handle)


def program():
    nowhere = Target(host="127.0.0.1", port=1)
    with Sync(buffer, ["t"], target=nowhere, retry=Retry(attempts=1, seconds=1)) as sync:
        current.append(sync)
        try:
            sync.status()
            sync.start(60)
            sync.stop()
        finally:
            current.clear()


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
        return local if left[0] > 0 and frame.f_code.co_filename.startswith(FILES) else None

    faulthandler.dump_traceback_later(20, exit=True)
    sys.settrace(tracer)
    try:
        program()
    except SyncError as error:
        if "stop() first" not in str(error):  # the handler's status came between
            raise
    finally:
        sys.settrace(None)
    return left[0] <= 0


line, step = 1, int(sys.argv[1])
while signal_at(line):
    line += step
print(line, "lines tried,", len(handled), "signals")  # noqa: T201 - a program
