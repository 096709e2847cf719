"""What time is an operation's: that of its execute and of its fetches, and none of its caller's."""

from __future__ import annotations

import time

import pytest

SCAN = "select i from range(1000000) r(i)"


def test_an_aggregate_s_time_is_in_execute_and_the_caller_s_own_time_is_in_neither(heard, connection):
    connection.execute("select sum(sqrt(i)) from range(3000000) r(i)")
    time.sleep(0.3)
    connection.fetchall()
    attributes = heard.span().attributes
    assert attributes["duckdb.execute_time_ms"] > attributes["duckdb.fetch_time_ms"]
    [point] = [each for each in heard.points("duckdb_query_latency_ms") if each.attributes["query_type"] == "SELECT"]
    assert point.sum == pytest.approx(attributes["duckdb.execute_time_ms"] + attributes["duckdb.fetch_time_ms"])


def test_a_scan_s_time_is_in_the_fetch(heard, connection):
    connection.execute(SCAN)
    connection.df()
    attributes = heard.span().attributes
    assert attributes["duckdb.fetch_time_ms"] > attributes["duckdb.execute_time_ms"]


def test_a_span_ends_with_the_last_call_that_served_it(heard, connection):
    connection.execute(SCAN)
    connection.fetchmany(10)
    before = time.time_ns()
    time.sleep(0.05)
    connection.execute("select 1").fetchall()
    first = heard.spans()[0]
    assert first.end_time <= before + 5_000_000


def test_a_long_fetchone_loop_is_counted_exactly_and_timed_fairly(heard, connection):
    connection.execute("select i from range(100000) r(i)")
    before, count = time.perf_counter_ns(), 0
    while connection.fetchone() is not None:
        count += 1
    took = (time.perf_counter_ns() - before) / 1e6
    span = heard.span()
    assert span.attributes["db.response.returned_rows"] == count == 100_000
    assert took * 0.2 < span.attributes["duckdb.fetch_time_ms"] < took * 2
