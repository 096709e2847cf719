"""A sync that runs in a thread of its own, until the program or its own progress stops it."""

import threading
import time

import pytest

from otel_duckdb.sync import Limits, SyncError
from sync_passes import arrived, rows


def test_a_thread_syncs_until_it_is_stopped(sync, ticks, query):
    one = sync()
    one.start(interval=0.01)
    with pytest.raises(SyncError, match="running already"):
        one.start()
    ticks(0, 10)
    for _ in range(500):
        if one.status()[0].acknowledged_rows == 10:
            break
        threading.Event().wait(0.01)
    assert one.stop(10)
    assert arrived(query) == rows(*range(10))


def test_progress_may_stop_the_sync_and_may_fail(sync, ticks):
    ticks(0, 3000)
    told = []

    def progress(name, count):
        told.append(count)
        assert one.stop() is False
        raise KeyError(name)

    one = sync(batch=Limits(rows=1000), progress=progress)
    one.start(interval=0.01)
    deadline = time.monotonic() + 10
    while not told and time.monotonic() < deadline:
        time.sleep(0.01)
    assert one.stop(timeout=10)
    assert one.status()[0].acknowledged_rows == sum(told) > 0
