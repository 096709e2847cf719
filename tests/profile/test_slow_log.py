"""The slow-query log: a log record, a line of Python logging, both in the trace and with the caller."""

import contextlib
import logging
import os
import subprocess
import sys
import time
import timeit

import duckdb
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

NAP = "SELECT nap(?), 'secret' AS word"


def nap(seconds):
    time.sleep(seconds)
    return seconds


@pytest.fixture
def con():
    with duckdb.connect() as connection:
        connection.create_function("nap", nap, ["DOUBLE"], "DOUBLE")
        yield connection


def test_a_slow_query_leaves_one_record_in_the_context_of_its_span(con, telemetry):
    telemetry.instrument(slow_threshold_ms=400)
    con.execute(NAP, [0.5]).fetchall()
    con.execute(NAP, [0.0]).fetchall()
    [record] = telemetry.records()
    span = telemetry.ended[0]
    named = record.event_name if hasattr(record, "event_name") else record.attributes["event.name"]  # until 1.34
    assert named == "duckdb.slow_query"
    assert record.severity_text == "WARN"
    assert (record.trace_id, record.span_id) == (span.context.trace_id, span.context.span_id)
    attributes = record.attributes
    assert attributes["db.system.name"] == "duckdb"
    assert attributes["db.query.summary"] == "SELECT"
    assert attributes["duckdb.duration_ms"] >= 500
    assert attributes["db.response.returned_rows"] == 1
    assert attributes["code.line.number"] == span.attributes["code.line.number"]


def test_literals_are_hidden_in_the_record_and_in_the_line(con, telemetry, caplog):
    telemetry.instrument(slow_threshold_ms=20)
    con.execute("SELECT nap(0.03), 'secret' AS word").fetchall()
    [record] = telemetry.records()
    assert record.attributes["db.query.text"] == "SELECT nap(?), ? AS word"
    assert "secret" not in f"{record.body} {caplog.text}"


def test_a_slow_query_leaves_a_line_of_python_logging_inside_its_span(con, telemetry, caplog):
    seen = []

    class Handler(logging.Handler):
        def emit(self, record):
            seen.append((record.getMessage(), trace.get_current_span().get_span_context().span_id))

    handler = Handler()
    logging.getLogger("otel_duckdb.slow_query").addHandler(handler)
    try:
        telemetry.instrument(slow_threshold_ms=20)
        con.execute("SELECT nap(0.03)").fetchall()
    finally:
        logging.getLogger("otel_duckdb.slow_query").removeHandler(handler)
    [(message, span_id)] = seen
    assert message.startswith("slow query: SELECT took ")
    assert f"({__file__}:" in message
    assert message.endswith(": SELECT nap(?)")
    assert span_id == telemetry.last.context.span_id


def test_a_slow_query_that_fails_says_with_what(con, telemetry):
    telemetry.instrument(slow_threshold_ms=20)
    con.execute("CREATE TABLE naps AS SELECT 0.03 AS seconds")
    with pytest.raises(duckdb.Error):
        con.execute("SELECT error(nap(seconds)::VARCHAR) FROM naps").fetchall()
    record = telemetry.records()[-1]
    assert record.attributes["error.type"] == "InvalidInputException"
    assert "failed with InvalidInputException" in record.body


def test_a_slow_query_is_logged_though_its_span_is_not_sampled(con, telemetry):
    telemetry.tracer_provider = TracerProvider(sampler=ALWAYS_OFF)
    telemetry.instrument(slow_threshold_ms=20)
    con.execute("SELECT nap(0.03)").fetchall()
    assert len(telemetry.records()) == 1


def test_a_span_made_at_its_end_is_the_one_the_record_leads_to(con, telemetry):
    telemetry.instrument(slow_threshold_ms=20, min_duration_ms=1)
    con.execute("SELECT nap(0.03)").fetchall()
    assert telemetry.records()[0].span_id == telemetry.last.context.span_id


def test_a_program_without_logging_finds_nothing_on_its_stderr():
    program = (
        "import duckdb, otel_duckdb\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "otel_duckdb.DuckDBInstrumentor().instrument(tracer_provider=TracerProvider(), slow_threshold_ms=0)\n"
        "print(duckdb.execute('SELECT 1').fetchall())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("[(1,)]\n", "")


def test_the_caller_is_the_users_frame_behind_those_of_libraries(con, telemetry):
    telemetry.instrument(slow_threshold_ms=20)

    def load():
        with contextlib.ExitStack() as stack:
            stack.callback(con.execute, "SELECT nap(0.03)")

    load()
    line = load.__code__.co_firstlineno + 1
    con.close()
    attributes = telemetry.last.attributes
    assert attributes["code.file.path"] == __file__
    assert line <= attributes["code.line.number"] <= line + 1
    assert attributes["code.function.name"].endswith("libraries.<locals>.load")


def test_the_caller_is_whoever_made_it_slow_not_whoever_ended_it(con, telemetry):
    telemetry.instrument(slow_threshold_ms=20)

    def starts():
        con.execute("SELECT nap(0.03) FROM range(5000)")
        con.fetchmany(1)

    def ends():
        con.execute("SELECT 1").fetchall()

    starts()
    ends()
    assert telemetry.ended[0].attributes["code.function.name"].endswith("<locals>.starts")


FETCHES = {
    "fetchall": lambda relation: relation.fetchall(),
    "fetchmany": lambda relation: (
        relation.fetchmany(100_000) if hasattr(relation, "fetchmany") else relation.fetchall()
    ),
    "iter_rows": lambda relation: list(relation.iter_rows() if hasattr(relation, "iter_rows") else relation.fetchall()),
    "df": lambda relation: relation.df(),
    "pl": lambda relation: relation.pl(),
    "fetchnumpy": lambda relation: relation.fetchnumpy(),
    "arrow table": lambda relation: relation.to_arrow_table(),
    "reader": lambda relation: relation.fetch_arrow_reader(1000).read_all(),
    "repr": repr,
    "insert": lambda relation: relation.insert_into("slow"),
    "write": lambda relation: relation.write_parquet(os.devnull),
}


@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
@pytest.mark.parametrize("how", FETCHES)
def test_a_slow_relation_tells_its_caller_whatever_runs_it(con, telemetry, how):
    con.execute("CREATE OR REPLACE TEMP TABLE slow (a INT)")
    telemetry.instrument(slow_threshold_ms=20)

    def reads(relation):
        FETCHES[how](relation)

    reads(con.sql("SELECT nap(0.00002 * (range % 7))::INT AS a FROM range(1000)"))
    [span] = [span for span in telemetry.spans() if "code.file.path" in span.attributes]
    assert span.attributes["code.file.path"] == __file__
    [record] = telemetry.records()
    assert record.attributes["code.file.path"] == __file__


@pytest.mark.parametrize("how", ["fetchall", "df", "fetchnumpy"])
def test_a_relation_whose_rows_are_slow_to_hand_over_tells_its_caller(con, telemetry, how):
    relation = con.sql("SELECT range AS a, 'row ' || range AS b FROM range(400_000)")
    took = min(timeit.repeat(getattr(relation, how), number=1, repeat=3)) * 1000
    telemetry.instrument(slow_threshold_ms=took / 4)
    getattr(relation, how)()
    assert telemetry.span().attributes["code.file.path"] == __file__


def test_quick_queries_carry_no_caller(con, telemetry):
    telemetry.instrument()
    con.execute("SELECT 1").fetchall()
    assert "code.file.path" not in telemetry.last.attributes
    assert telemetry.records() == []


def test_duckdb_without_profiles_says_so_in_one_line(telemetry, caplog):
    caplog.set_level(logging.INFO, "otel_duckdb")
    telemetry.instrument()
    lines = [each for each in caplog.messages if "profile" in each]
    readable = hasattr(duckdb.DuckDBPyConnection, "get_profiling_information")
    assert len(lines) == (0 if readable else 1)
