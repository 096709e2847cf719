"""Operations that have ended, on their way to what the monitor keeps: each is counted once, whatever comes between."""

import gc
import sys
import threading
from operator import attrgetter
from pathlib import Path

import duckdb
import pytest

import otel_duckdb.monitor
from otel_duckdb import contract
from otel_duckdb.monitor import Monitor, ended
from otel_duckdb.monitor.ended import EndedOperations
from otel_duckdb.monitor.statements import Statements
from otel_duckdb.monitor.traces import Traces
from otel_duckdb.testing import RecordedTelemetry

MONITOR = str(Path(otel_duckdb.monitor.__file__).parent)
NEVER_MS = 3_600_000


def test_the_figures_are_those_of_the_exported_metrics_while_threads_hand_them_over_and_somebody_reads(monkeypatch):
    monkeypatch.setattr(ended, "MOST_WAITING", 7)
    telemetry = RecordedTelemetry()
    telemetry.instrument()
    with Monitor(interval_ms=NEVER_MS, serve=False) as monitor, duckdb.connect() as con:

        def work():
            with con.cursor() as cursor:
                for _ in range(25):
                    cursor.execute("SELECT 42").fetchall()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        while any(map(threading.Thread.is_alive, threads)):
            monitor.statements()
        for thread in threads:
            thread.join()
        [found] = monitor.statements()["statements"]
        [point] = telemetry.points(contract.QUERY_LATENCY.name)
        assert (found["calls"], found["rows"]) == (point.count, 100) == (100, 100)
        assert found["total_ms"] == pytest.approx(point.sum)
        assert found["max_ms"] == pytest.approx(point.max)
    telemetry.close()


def test_they_do_not_wait_for_a_sample_that_is_late(monkeypatch, heard):
    monkeypatch.setattr(ended, "MOST_WAITING", 7)
    with Monitor(interval_ms=NEVER_MS, serve=False) as monitor, duckdb.connect() as con:
        waited = []
        for _ in range(20):
            con.execute("SELECT 42").fetchall()
            waited.append(len(monitor._ended._waiting))
        assert max(waited) == 7


def filled(followers):
    """Operations of three shapes that wait, and whom they are handed to."""
    waiting = EndedOperations()
    waiting.followers = followers(waiting)
    for number in range(12):
        figures = (None, None, number, 0, 0, 10, 5, 2, None, ("Error", "") if number % 6 == 5 else None, None, None)
        waiting._waiting.append((f"SELECT {number % 3}", "shop", None, *figures))
    return waiting


def test_what_a_handler_breaks_off_is_counted_once_all_the_same():
    """Ctrl-C comes at each call and return within the monitor, one after the other; Python looks for signals there."""
    figures = attrgetter("calls", "errors", "rows", "total_ns")
    for stop in range(1, 1000):
        waiting = filled(lambda waiting: (Statements(waiting), Traces(waiting)))
        statements, seen, another = waiting.followers[0], 0, waiting._waiting[0]

        def interrupt(frame, event, _arg, stop=stop):
            nonlocal seen
            if frame.f_code.co_filename.startswith(MONITOR):
                seen += 1
                if seen == stop:
                    raise KeyboardInterrupt(event)

        sys.setprofile(interrupt)
        try:
            waiting._hand_over_unless_held()
        except KeyboardInterrupt:
            pass
        else:
            break
        finally:
            sys.setprofile(None)
        waiting._waiting.append(another)  # it is in none of what was broken off
        statements.as_json()
        told = [figures(each) for each in statements._statements.values()]
        assert told == [(5, 0, 10, 75), (4, 0, 8, 60), (4, 2, 8, 60)]
    assert stop > 100


def test_a_fault_of_one_that_keeps_them_disturbs_no_other_and_is_not_repeated():
    class Faulty:
        def take(self, _batch, _number):
            raise ValueError("a fault")

    waiting = filled(lambda waiting: (Faulty(), Statements(waiting)))
    statements = waiting.followers[1]
    with pytest.raises(ValueError, match="a fault"):
        statements.as_json()
    assert [each["calls"] for each in statements.as_json()["statements"]] == [4, 4, 4]


def test_nothing_is_held_but_figures(heard):
    class Value(int):
        """One of the user's."""

    with Monitor(interval_ms=NEVER_MS, serve=False) as monitor, duckdb.connect() as con:
        con.execute("SELECT ?::INTEGER AS held", [Value(42)])
        con.fetchall()
        with pytest.raises(duckdb.ConversionException):
            con.execute("SELECT ?::INTEGER", ["secret"]).fetchall()
        assert len(monitor._ended._waiting) == 2
        assert "secret" not in str(monitor._ended._waiting)
        gc.collect()
        assert not [each for each in gc.get_objects() if isinstance(each, Value)]
        assert monitor._running.running == set()
