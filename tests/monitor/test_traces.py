"""The traces that the monitor keeps: with and without an SDK, what they tell, and that they stay within bounds."""

import random
import string
import time
import weakref

import duckdb
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, use_span

from otel_duckdb import DuckDBInstrumentor
from otel_duckdb.core.operation import OperationAttributes
from otel_duckdb.monitor import Monitor
from otel_duckdb.monitor.ended import EndedOperations
from otel_duckdb.monitor.traces import NoSuchTraceError, Traces, traces

NEVER_MS = 3_600_000


@pytest.fixture
def instrumented():
    DuckDBInstrumentor().instrument()
    yield
    DuckDBInstrumentor().uninstrument()


@pytest.fixture
def monitor(instrumented):
    with Monitor(interval_ms=NEVER_MS, serve=False) as found:
        yield found


@pytest.fixture
def con(monitor):
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE trades AS SELECT range AS id, range % 7 AS kind FROM range(1000)")
        yield connection


def found(monitor, words, **options):
    return [monitor.trace(each["trace_id"]) for each in monitor.traces(name=words, limit=1000, **options)]


def test_without_an_sdk_each_operation_is_a_trace_of_its_own(monitor, con):
    con.execute("SELECT count(*) FROM trades WHERE id > 41").fetchall()
    con.execute("SELECT count(*) FROM trades WHERE id > 42").fetchall()

    first, second = found(monitor, "count(*)")
    assert first["trace_id"] != second["trace_id"]
    assert not first["sampled"]
    [span] = first["spans"]
    assert (span["kind"], span["parent_id"], span["status"]["code"]) == ("operation", None, "UNSET")
    assert span["attributes"]["db.query.text"] == "SELECT count(*) FROM trades WHERE id > ?"
    assert span["attributes"]["db.response.returned_rows"] == 1
    assert 0 < span["duckdb_ms"] <= span["duration_ms"] == pytest.approx(first["duration_ms"])


def test_with_an_sdk_a_trace_has_its_true_identity_and_the_span_it_was_called_in():
    tracers = TracerProvider()
    DuckDBInstrumentor().instrument(tracer_provider=tracers)
    with Monitor(interval_ms=NEVER_MS, serve=False) as monitor, duckdb.connect() as con:
        with tracers.get_tracer("test").start_as_current_span("GET /trades") as parent:
            con.execute("SELECT 1").fetchall()
            con.execute("SELECT 2").fetchall()
        context = parent.get_span_context()
        [told] = monitor.traces(name="get /trades")
        kept = monitor.trace(f"{context.trace_id:032x}")

    assert (told["trace_id"], told["name"], told["spans"]) == (f"{context.trace_id:032x}", "GET /trades", 2)
    assert told["sampled"]
    caller, first, second = kept["spans"]
    assert (caller["span_id"], caller["kind"], caller["parent_id"]) == (f"{context.span_id:016x}", "program", None)
    assert caller["duration_ms"] >= first["duration_ms"]
    assert first["parent_id"] == second["parent_id"] == caller["span_id"]
    assert first["offset_ms"] == 0 < second["offset_ms"]
    assert len({each["span_id"] for each in kept["spans"]}) == 3


def test_a_query_of_a_python_function_in_a_query_is_its_child():
    tracers = TracerProvider()
    DuckDBInstrumentor().instrument(tracer_provider=tracers)
    with Monitor(interval_ms=NEVER_MS, serve=False) as monitor, duckdb.connect() as con, duckdb.connect() as other:

        def looked_up(number: int) -> int:
            return other.execute("SELECT ? + 1 AS inner_one", [number]).fetchall()[0][0]

        con.create_function("looked_up", looked_up)
        con.execute("SELECT looked_up(1::BIGINT) AS outer_one").fetchall()
        [kept] = [each for each in found(monitor, "outer_one") if len(each["spans"]) > 1]

    outer, inner = kept["spans"]
    assert "outer_one" in outer["attributes"]["db.query.text"]
    assert inner["parent_id"] == outer["span_id"]
    assert kept["name"] == outer["name"]


def test_the_parent_that_came_from_another_program_is_not_taken_for_the_operation(monitor, con):
    remote = trace.SpanContext(0x1234, 0x5678, is_remote=True, trace_flags=trace.TraceFlags(1))
    with trace.use_span(trace.NonRecordingSpan(remote)):
        con.execute("SELECT 1 AS from_afar").fetchall()
        con.execute("SELECT 2 AS from_afar").fetchall()

    [kept] = found(monitor, "from_afar")
    assert kept["trace_id"] == f"{0x1234:032x}"
    spans = [each for each in kept["spans"] if each["kind"] == "operation"]
    assert [each["parent_id"] for each in spans] == [f"{0x5678:016x}"] * 2
    assert len({each["span_id"] for each in kept["spans"]}) == len(kept["spans"])


def test_a_failed_operation_tells_its_kind_without_values(monitor, con):
    with pytest.raises(duckdb.ConversionException):
        con.execute("SELECT 'secret'::INTEGER FROM trades").fetchall()

    [told] = monitor.traces(error=True)
    assert told["error"] == "ConversionException"
    [span] = monitor.trace(told["trace_id"])["spans"]
    assert span["status"]["code"] == "ERROR"
    assert span["events"][0]["name"] == "exception"
    assert span["attributes"]["error.type"] == "ConversionException"
    assert "secret" not in str(span)
    assert told["trace_id"] not in {each["trace_id"] for each in monitor.traces(error=False)}


def test_literals_are_not_shown_even_where_the_spans_show_them():
    DuckDBInstrumentor().instrument(raw_query_text=True, profile="all")
    with Monitor(interval_ms=NEVER_MS, serve=False) as monitor, duckdb.connect() as con:
        con.execute("CREATE TABLE people AS SELECT 'planted' AS name FROM range(10)")
        con.execute("SELECT count(*) FROM people WHERE name LIKE 'planted%'").fetchall()
        told = str(found(monitor, ""))

    assert "LIKE ?" in told
    assert "planted" not in told


def test_a_profiled_operation_has_its_operators_and_the_hottest_is_marked():
    DuckDBInstrumentor().instrument(profile="all")
    with Monitor(interval_ms=NEVER_MS, serve=False) as monitor, duckdb.connect() as con:
        con.execute("CREATE TABLE trades AS SELECT range AS id, range % 7 AS kind FROM range(200_000)")
        con.execute("SELECT kind, count(*) FROM trades WHERE id > 5 GROUP BY kind ORDER BY kind").fetchall()
        spans = [span for each in found(monitor, "group by") for span in each["spans"]]
    if not any("operators" in span for span in spans):
        pytest.skip(f"DuckDB {duckdb.__version__} gives no profile of a connection")
    [span] = spans
    operators = {each["id"]: each for each in span["operators"]}

    assert all(each["parent"] is None or each["parent"] in operators for each in operators.values())
    assert sum(each["parent"] is None for each in operators.values()) == 1
    # The rest is that of the collector, which is not shown: on a busy machine it may be a twentieth.
    assert 0.5 < sum(each["share"] for each in operators.values()) < 1.001
    [hottest] = [each for each in operators.values() if each["hottest"]]
    assert hottest["milliseconds"] == max(each["milliseconds"] for each in operators.values())
    scan = next(each for each in operators.values() if each["target"] == "trades")
    assert scan["rows"] > 0
    assert scan["remark"] == "" or "5" not in scan["remark"]
    assert span["plan"].count("\n") >= 2
    assert span["attributes"]["duckdb.profile.cpu_time_ms"] >= 0


def test_traces_are_found_by_duration_and_sorted_by_it(monitor, con):
    con.execute("SELECT count(*) FROM range(3_000_000) a, range(5) b WHERE (a.range + b.range) % 7 = 3").fetchall()
    con.execute("SELECT 1").fetchall()
    slow = monitor.traces(sort="duckdb")[0]

    assert "range" in monitor.trace(slow["trace_id"])["spans"][0]["attributes"]["db.query.text"]
    assert monitor.traces(sort="start")[0]["trace_id"] != slow["trace_id"]
    assert all(each["duration_ms"] >= slow["duration_ms"] for each in monitor.traces(min_ms=slow["duration_ms"] - 1e-6))
    with pytest.raises(ValueError, match="allowed is start, duration, duckdb"):
        monitor.traces(sort="colour")


def test_a_trace_that_is_not_kept_is_said_to_be_so(monitor):
    for nonsense in ("0" * 32, "", "no number", "ff" * 5000):
        with pytest.raises(NoSuchTraceError, match="not kept"):
            monitor.trace(nonsense)


def test_the_slow_and_the_failed_outlast_the_recent(monitor, con):
    con.execute("SELECT count(*) AS slow_one FROM range(1_000_000) a, range(5) b WHERE (a.range + b.range) % 7 = 3")
    with pytest.raises(duckdb.CatalogException):
        con.execute("SELECT failed_one FROM nowhere")
    for _ in range(3):
        for number in range(300):
            con.execute("SELECT ? AS quick_one", [number]).fetchall()
        monitor.traces()

    assert len(found(monitor, "slow_one")) == len(found(monitor, "failed_one")) == 1
    assert len(found(monitor, "quick_one")) <= traces.RECENT + traces.SLOWEST
    assert len(monitor.traces(limit=10_000)) <= traces.RECENT + traces.SLOWEST + traces.FAILED


def test_a_trace_keeps_no_more_spans_than_allowed_and_says_how_many_it_left_out():
    tracers = TracerProvider()
    DuckDBInstrumentor().instrument(tracer_provider=tracers)
    with Monitor(interval_ms=NEVER_MS, serve=False) as monitor, duckdb.connect() as con:
        with tracers.get_tracer("test").start_as_current_span("a loop"):
            for number in range(traces.SPANS + 50):
                con.execute("SELECT ?", [number]).fetchall()
        [told] = monitor.traces(name="a loop")
        kept = monitor.trace(told["trace_id"])

    assert told["spans"] == traces.SPANS + 50
    assert kept["left_out"] == 50
    assert len(kept["spans"]) == traces.SPANS + 1


def test_long_texts_do_not_take_more_memory_than_allowed(monitor, con, monkeypatch):
    monkeypatch.setattr(traces, "BYTES", 100_000)
    for number in range(60):
        names = ", ".join(f"{number} AS {''.join(random.choices(string.ascii_lowercase, k=60))}" for _ in range(100))
        con.execute(f"SELECT {names}").fetchall()
    monitor.traces()

    kept = monitor._traces._traces.values()
    assert 50_000 < sum(each.size for each in kept) <= 100_000
    assert all(len(span.text) <= 4096 for each in kept for span in each._spans)


def test_a_trace_for_which_there_is_no_room_pushes_out_no_other():
    DuckDBInstrumentor().instrument(profile="all")
    with Monitor(interval_ms=NEVER_MS, serve=False) as monitor, duckdb.connect() as connection:
        connection.execute("SELECT 1 AS before").fetchall()
        connection.execute(f"SELECT '{'x' * (traces.BYTES + 1)}'").fetchall()  # its plan tells the column's name
        kept = found(monitor, "before")
    DuckDBInstrumentor().uninstrument()

    assert len(kept) == 1


def test_the_light_mode_keeps_no_traces(instrumented):
    with Monitor(light=True) as monitor, duckdb.connect() as con:
        con.execute("SELECT 1").fetchall()
        assert monitor.traces() == []


def test_the_history_has_the_latency_of_the_last_seconds(instrumented):
    with Monitor(interval_ms=100, serve=False) as monitor, duckdb.connect() as con:
        deadline = time.monotonic() + 20
        found = {}
        while not found and time.monotonic() < deadline:
            con.execute("SELECT 1").fetchall()
            time.sleep(0.05)
            told = monitor.metrics(["duckdb_query_latency_ms"])
            found = {each["labels"]["quantile"]: [v for v in each["mean"] if v is not None] for each in told["series"]}

    assert found.keys() == {"0.5", "0.95", "0.99"}
    assert 0 < found["0.5"][-1] <= found["0.99"][-1]


def test_a_statement_tells_of_its_last_minutes(monitor, con):
    con.execute("SELECT count(*) AS lately FROM trades").fetchall()
    [told] = [each for each in monitor.statements()["statements"] if "lately" in each["text"]]

    assert len(told["lately_ms"]) == 30
    assert sum(told["lately_ms"]) == pytest.approx(told["total_ms"], rel=1e-3)


def test_of_many_traces_of_one_moment_the_recent_and_those_slow_in_all_are_kept():
    ended = EndedOperations()
    kept = Traces(ended)
    ended.followers = (kept,)
    attributes = OperationAttributes("SELECT trades", {}, {}, {}, {}, ("SELECT", "trades"))
    ended_by = [(1, 20_000)] * 100 + [(each, 1) for each in range(2, 402)]
    for moment, (trace_id, nanoseconds) in enumerate(ended_by, time.time_ns()):
        context = SpanContext(trace_id, 7, is_remote=False)
        figures = (moment, 0, 0, nanoseconds, 0, 1, None, None, None, None)
        ended._waiting.append(("SELECT 1", "shop", attributes, context, NonRecordingSpan(context), *figures))
    spans = {int(each["trace_id"], 16): each["spans"] for each in kept.as_json(limit=1000)}

    assert spans == {1: 100, **dict.fromkeys(range(202, 402), 1)}


def test_spans_of_the_program_are_let_go_at_the_sample_after_their_end():
    tracer = TracerProvider().get_tracer("program")
    DuckDBInstrumentor().instrument(tracer_provider=TracerProvider())
    with Monitor(interval_ms=NEVER_MS, serve=False) as monitor, duckdb.connect() as con:
        span = tracer.start_span("request")
        with use_span(span):
            con.execute("SELECT 42").fetchall()
        held = weakref.ref(span)
        monitor._traces.sampled(None)
        span.end()
        del span
        assert held() is not None
        monitor._traces.sampled(None)
        assert held() is None
