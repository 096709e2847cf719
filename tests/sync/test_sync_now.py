"""A running sync that is asked to go on at once."""

import threading
import time

import pytest

from otel_duckdb.sync.pause import Pause
from otel_duckdb.telemetry.syncs import TablePass, running_syncs


@pytest.mark.slow
def test_a_running_sync_sends_at_once_what_would_have_waited_for_an_hour(buffer, sync, query):
    buffer.execute("CREATE TABLE ticks AS SELECT range AS id FROM range(10)")
    one = sync()
    assert one.sync_now(1) == []  # it does not run
    one.start(3600)
    assert one in running_syncs(one.path)
    while not one.reports:
        time.sleep(0.01)
    buffer.execute("INSERT INTO ticks SELECT range FROM range(5)")
    assert one.pending_rows() == 5
    assert one.sync_now(20) == [TablePass("ticks", 5, None)]
    assert one.pending_rows() == 0
    assert query("SELECT count(*) FROM {}.ticks") == [(15,)]
    one.stop()
    assert one not in running_syncs(one.path)


def test_who_hurries_waits_for_a_pass_that_begins_afterwards():
    stopping = threading.Event()
    pause, passes = Pause(stopping), []

    def work():
        while not stopping.is_set():
            pause.begin()
            time.sleep(0.05)
            passes.append(1)
            pause.rest(3600)

    thread = threading.Thread(target=work)
    thread.start()
    number = pause.hurry()  # a pass may be under way: the one after it counts
    assert pause.reached(number, 10)
    assert len(passes) >= number
    assert not pause.reached(number + 1, 0.01)
    stopping.set()
    pause.end()
    thread.join(5)
    assert not thread.is_alive()
