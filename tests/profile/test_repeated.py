"""N+1: a statement repeated under one parent marks the parent."""

import time

import pytest


def nap(number):
    time.sleep(0.1)
    return number


@pytest.fixture
def tracer(telemetry):
    return telemetry.tracer_provider.get_tracer("program")


def events(span):
    return [event for event in span.events if event.name == "duckdb.repeated_query"]


def lookup(con, number):
    con.execute(f"SELECT name FROM customer WHERE custkey = {number}").fetchall()


def test_the_parent_of_a_repeated_statement_is_marked_once_with_final_figures(con, telemetry, tracer):
    telemetry.instrument(repeated_threshold=5)
    with tracer.start_as_current_span("request"):
        for number in range(12):
            lookup(con, number)
    request = telemetry.last
    [event] = events(request)
    assert event.attributes["duckdb.repeated.count"] == 5
    assert event.attributes["db.query.summary"] == "SELECT customer"
    assert event.attributes["db.query.text"] == "SELECT name FROM customer WHERE custkey = ?"
    assert request.attributes["duckdb.repeated.count"] == 12
    assert request.attributes["duckdb.repeated.summary"] == "SELECT customer"
    total = sum(
        span.attributes["duckdb.execute_time_ms"] + span.attributes["duckdb.fetch_time_ms"]
        for span in telemetry.ended[:-1]
    )
    assert request.attributes["duckdb.repeated.total_time_ms"] == pytest.approx(total)


def test_fewer_executions_and_different_statements_mark_nothing(con, telemetry, tracer):
    telemetry.instrument(repeated_threshold=5)
    with tracer.start_as_current_span("request"):
        for number in range(4):
            lookup(con, number)
        for columns in ("custkey", "name", "segment", "custkey, name", "name, segment"):
            con.execute(f"SELECT {columns} FROM customer LIMIT 1").fetchall()
    assert not events(telemetry.last)
    assert "duckdb.repeated.count" not in telemetry.last.attributes


def test_each_parent_counts_for_itself(con, telemetry, tracer):
    telemetry.instrument(repeated_threshold=5)
    for _ in range(3):
        with tracer.start_as_current_span("request"):
            for number in range(4):
                lookup(con, number)
    assert not any(events(span) for span in telemetry.ended)


def test_two_repeated_statements_are_two_events_and_the_attributes_name_the_costlier(con, telemetry, tracer):
    con.create_function("nap", nap, ["BIGINT"], "BIGINT")
    telemetry.instrument(repeated_threshold=5)
    with tracer.start_as_current_span("request"):
        for number in range(6):
            lookup(con, number)
            con.execute("SELECT nap(?)", [number]).fetchall()
            lookup(con, number)
    assert len(events(telemetry.last)) == 2
    assert telemetry.last.attributes["duckdb.repeated.summary"] == "SELECT"


def test_statements_without_a_parent_and_a_threshold_of_none_mark_nothing(con, telemetry, tracer):
    telemetry.instrument(repeated_threshold=0)
    with tracer.start_as_current_span("request"):
        for number in range(30):
            lookup(con, number)
    assert not events(telemetry.last)
