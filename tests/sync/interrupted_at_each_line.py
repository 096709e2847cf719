"""At each line of the sync a handler queries, asks for the status and stops it, as one of a signal or a finalizer may.

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
from otel_duckdb.sync import Retry, Sync, Target

FILES = (str(Path(otel_duckdb.__file__).parent / "sync"), threading.__file__, queue.__file__)
otel_duckdb.DuckDBInstrumentor().instrument()
lines, own = itertools.count(), duckdb.connect()
buffer = duckdb.connect(str(Path(tempfile.mkdtemp()) / "buffer.duckdb"))
buffer.execute("create table t as select 1 as i")
current: list[Sync] = []


def handle():
    own.execute(f"select 1 as h{next(lines)}").fetchall()
    for sync in current:
        sync.status()
        sync.stop(0)


def program():
    nowhere = Target(host="127.0.0.1", port=1)
    with Sync(buffer, ["t"], target=nowhere, retry=Retry(attempts=1, seconds=1)) as sync:
        current.append(sync)
        sync.status()
        sync.start(60)
        sync.stop()
        current.clear()


def local(frame, event, arg):
    if event == "line":
        faulthandler.dump_traceback_later(15, exit=True)
        handle()
    return local


sys.settrace(lambda frame, event, arg: local if frame.f_code.co_filename.startswith(FILES) else None)
program()
sys.settrace(None)
print(next(lines), "lines tried")  # noqa: T201 - a program
