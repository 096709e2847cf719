"""The monitor in a program: what it tells, and that it harms nothing."""

import asyncio
import os
import sys
import threading
import time
from multiprocessing import get_context

import duckdb
import pytest

from eventually import eventually
from otel_duckdb import DuckDBInstrumentor, SettingError, contract
from otel_duckdb.core.listener import Listener
from otel_duckdb.monitor import Monitor
from otel_duckdb.monitor.monitor import CancellingIsOffError
from otel_duckdb.monitor.running import NotRunningError
from otel_duckdb.testing import RecordedTelemetry


@pytest.fixture
def instrumented():
    DuckDBInstrumentor().instrument()
    yield
    DuckDBInstrumentor().uninstrument()


@pytest.fixture
def monitor(instrumented):
    with Monitor(interval_ms=100, cancel=True) as found:
        yield found


@pytest.fixture
def con():
    with duckdb.connect() as connection:
        yield connection


def shape(monitor, word):
    return next((each for each in monitor.statements()["statements"] if word in each["text"]), None)


def test_statements_are_added_up_by_their_shape_without_an_sdk(monitor, con):
    con.execute("CREATE TABLE trades AS SELECT range AS id FROM range(10)")
    for number in range(3):
        con.execute(f"SELECT id FROM trades WHERE id < {number + 4}").fetchall()
    with pytest.raises(duckdb.ConversionException):
        con.execute("SELECT 'secret'::INTEGER FROM trades").fetchall()
    found = shape(monitor, "id <")
    assert (found["calls"], found["errors"], found["rows"]) == (3, 0, 15)
    assert found["total_ms"] == pytest.approx(found["execute_ms"] + found["fetch_ms"])
    assert 0 < found["p50_ms"] <= found["p99_ms"] <= found["max_ms"] <= found["total_ms"]
    assert 0 < found["share"] < 1
    failed = shape(monitor, "::INTEGER")
    assert (failed["calls"], failed["errors"]) == (1, 1)
    assert "secret" not in str(monitor.statements())


def test_what_is_more_than_the_limit_becomes_one_remainder(instrumented, con):
    with Monitor(statements=10, interval_ms=3_600_000) as monitor:
        for number in range(25):
            con.execute(f"SELECT 1 AS column_{number}").fetchall()
        told = monitor.statements(limit=100)
    assert len(told["statements"]) <= 10
    assert told["dropped"] == told["remainder"]["calls"] > 0
    assert sum(each["calls"] for each in told["statements"]) + told["remainder"]["calls"] == 25


def test_every_thread_is_counted(monitor, con):
    def work():
        with con.cursor() as cursor:
            for _ in range(150):
                cursor.execute("SELECT 42").fetchall()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shape(monitor, "SELECT")["calls"] == 1200


def test_an_unknown_sort_key_is_refused_by_its_name(monitor):
    with pytest.raises(ValueError, match="sort is 'size'; allowed is total, mean"):
        monitor.statements(sort="size")


def test_a_running_query_is_seen_and_cancelled(monitor, con):
    errors = []

    def work():
        try:
            con.execute("SELECT count(*) FROM range(100000000000) a, range(1000) b").fetchall()
        except duckdb.InterruptException as error:
            errors.append(error)

    thread = threading.Thread(target=work, name="the user's")
    thread.start()
    running = eventually(lambda: [each for each in monitor.running()["operations"] if each["phase"] == "execute"])
    assert running[0]["text"].startswith("SELECT count(*)")
    assert running[0]["thread"] == "the user's"
    eventually(lambda: monitor.running()["operations"][0]["elapsed_seconds"] > 0.2)
    assert monitor.cancel(running[0]["id"])["text"] == running[0]["text"]
    thread.join(30)
    assert len(errors) == 1
    assert monitor.running()["operations"] == []


def test_an_open_result_is_idle_and_is_not_cancelled(monitor, con):
    con.execute("BEGIN")
    con.execute("SELECT * FROM range(100000)")
    con.fetchone()
    told = monitor.running()
    assert [(each["phase"], each["rows"]) for each in told["operations"]] == [("idle result", 1)]
    assert told["transactions"][0]["aborted"] is False
    with pytest.raises(NotRunningError, match="does not work on operation"):
        monitor.cancel(told["operations"][0]["id"])
    with pytest.raises(NotRunningError, match="no operation 4711 runs"):
        monitor.cancel(4711)


def test_cancelling_is_off_unless_it_was_switched_on(instrumented):
    with Monitor() as monitor, pytest.raises(CancellingIsOffError, match="OTEL_DUCKDB_MONITOR_CANCEL=true"):
        monitor.cancel(1)


def test_whoever_stops_listening_leaves_the_others_to_listen(monitor, con):
    class Passing(Listener):
        component = "passing"

        def started(self, operation, context):
            pass

    passing = Passing()
    monitor.source.listen(passing)
    monitor.source.forget(passing)
    con.execute("SELECT 4711 AS passed").fetchall()
    assert shape(monitor, "passed")["calls"] == 1


def test_the_status_has_the_fields_of_the_guide(monitor, tmp_path):
    with duckdb.connect(tmp_path / "trades.duckdb") as con:
        con.execute("CREATE TABLE trades AS SELECT range AS id FROM range(100000)")
        eventually(lambda: monitor.status()["metrics"].get("memory", {}).get("duckdb_memory_bytes"))
        status = monitor.status()
        assert status["summary"]["status"] == "healthy"
        metrics = status["metrics"]
        assert metrics["timestamp"].endswith("Z")
        assert 0 < metrics["memory"]["duckdb_memory_percent"] < 100
        assert 0 <= metrics["system"]["cpu_usage_percent"] <= 100
        assert eventually(lambda: monitor.status()["metrics"]["queries"]["active_queries"] == 0)  # at the next sample
        [database] = status["databases"]
        assert (database["name"], database["connections"]) == ("trades", 1)


def test_it_says_so_where_nothing_is_instrumented(monkeypatch):
    with Monitor(interval_ms=100) as monitor:
        assert monitor.status()["summary"]["reasons"] == ["DuckDB is not instrumented in this process"]
        with monkeypatch.context() as without:
            without.delitem(sys.modules, "duckdb")
            assert monitor.status()["summary"]["reasons"] == ["DuckDB is not imported in this process yet"]
        assert monitor.running() == {"operations": [], "transactions": [], "pool_requests": []}


def test_it_follows_whoever_instruments_later_and_anew(con):
    instrumentor = DuckDBInstrumentor()
    with Monitor(interval_ms=100) as monitor:
        for calls in (1, 2):
            instrumentor.instrument()
            con.execute("SELECT 42").fetchall()
            instrumentor.uninstrument()
            con.execute("SELECT 42").fetchall()
            assert shape(monitor, "SELECT")["calls"] == calls


def test_its_figures_are_those_of_the_exported_metrics(con):
    telemetry = RecordedTelemetry()
    telemetry.instrument()
    with Monitor(interval_ms=100) as monitor:
        con.execute("CREATE TABLE trades AS SELECT range AS id FROM range(100000)")
        for _ in range(5):
            con.execute("SELECT sum(id) FROM trades").fetchall()
        [point] = [
            each for each in telemetry.points(contract.QUERY_LATENCY.name) if each.attributes["query_type"] == "SELECT"
        ]
        found = shape(monitor, "sum")
        assert found["calls"] == point.count
        assert found["total_ms"] == pytest.approx(point.sum)
        assert found["max_ms"] == pytest.approx(point.max)
        before = monitor._status.sample
        sample = eventually(lambda: monitor._status.sample if monitor._status.sample is not before else None)
        for metric in (contract.ACTIVE_CONNECTIONS, contract.WAL_SIZE, contract.MEMORY_LIMIT, contract.DISK_USAGE):
            exported = {tuple(sorted(each.attributes.items())): each.value for each in telemetry.points(metric.name)}
            assert exported == {series.labels: value for series, value in sample.of(metric)}
    telemetry.close()


def test_the_history_is_told_for_a_range(monitor, con):
    con.execute("SELECT 42").fetchall()
    wanted = [contract.ACTIVE_CONNECTIONS.name]

    def look():
        found = monitor.metrics(wanted)
        series = [each for each in found["series"] if "database" in each["labels"]]
        return series and (found, series[0])

    told, series = eventually(look)
    assert (series["metric"], series["unit"]) == (contract.ACTIVE_CONNECTIONS.name, "{connection}")
    assert len(series["mean"]) == len(told["times"]) <= 502
    assert {1.0} == {value for value in series["mean"] if value is not None}
    with pytest.raises(ValueError, match="the range from"):
        monitor.metrics(start=10, end=5)


def test_handlers_are_told_and_one_that_fails_hangs_or_queries_harms_nothing(monitor, con):
    told, gone = [], threading.Event()

    async def later(status):
        await asyncio.sleep(0)
        told.append(("async", duckdb.connect().execute("SELECT 42").fetchall()))

    monitor.on("check", lambda _: 1 / 0)
    monitor.on("check", later)
    monitor.on("updated", lambda status: told.append(("updated", status["summary"]["status"])))
    eventually(lambda: {kind for kind, _ in told} == {"async", "updated"})
    assert ("async", [(42,)]) in told
    monitor.on("check", lambda _: gone.wait(30))
    time.sleep(0.5)
    con.execute("SELECT 43").fetchall()
    assert monitor.status()["monitor"]["running"]
    gone.set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("raised", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()])
def test_a_handler_that_wants_to_end_the_program_ends_nothing(monitor, raised):
    def ending(_):
        raise raised

    told = []
    monitor.on("check", ending)
    monitor.on("check", told.append)
    eventually(lambda: len(told) > 2)


def test_a_handler_that_never_returns_holds_the_stop_up_for_two_seconds_at_most(instrumented, caplog):
    async def never(_):
        await asyncio.sleep(1e6)

    monitor = Monitor(interval_ms=100, serve=False)
    monitor.on("check", never)
    monitor.start()
    eventually(lambda: monitor.events._busy_since)
    began = time.monotonic()
    monitor.stop()
    assert time.monotonic() - began < 8
    assert "a handler of its events has not returned" in caplog.text


def test_a_wrong_event_and_a_wrong_handler_are_refused(monitor):
    with pytest.raises(ValueError, match="event is 'alarm'; allowed is alert, check"):
        monitor.on("alarm", print)
    with pytest.raises(TypeError, match="handler is 42"):
        monitor.on("alert", 42)


def test_it_is_started_and_stopped_any_number_of_times(instrumented, con):
    monitor = Monitor(interval_ms=100)
    before = set(threading.enumerate())
    for _ in range(3):
        monitor.start()
        monitor.start()
        con.execute("SELECT 42").fetchall()
        monitor.stop()
        monitor.stop()
    assert shape(monitor, "SELECT")["calls"] == 3
    assert set(threading.enumerate()) <= before


def child(monitor, results):
    with duckdb.connect() as connection:
        connection.execute("SELECT 'child'").fetchall()
        eventually(lambda: monitor.status()["metrics"]["timestamp"])
        results.put((os.getpid() == monitor.status()["process"]["pid"], monitor.statements()["statements"]))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_has_a_monitor_of_its_own(monitor, con):
    con.execute("SELECT 'parent' AS parent").fetchall()
    context = get_context("fork")
    results = context.Queue()
    process = context.Process(target=child, args=(monitor, results))
    process.start()
    own, statements = results.get(timeout=60)
    process.join(60)
    assert own
    assert process.exitcode == 0
    assert [each["calls"] for each in statements] == [1]
    assert "parent" not in str(statements)


@pytest.mark.parametrize(
    ("name", "value"), [("interval_ms", 5), ("statements", "many"), ("light", "perhaps"), ("host", " ")]
)
def test_a_bad_option_is_named_with_what_is_allowed(name, value):
    with pytest.raises(SettingError, match=f"{name} is {value!r}; allowed is"):
        Monitor(**{name: value})


def test_an_unknown_option_is_named():
    with pytest.raises(SettingError, match=r"unknown option 'colour' of the monitor; known are .*interval_ms"):
        Monitor(colour="red")


def test_a_fault_of_a_sample_does_not_end_the_monitor(monkeypatch, monitor):
    monkeypatch.setattr("otel_duckdb.monitor.monitor.take_sample", lambda _: 1 / 0)
    time.sleep(0.4)
    monkeypatch.undo()
    before = monitor._status.sample
    eventually(lambda: monitor._status.sample is not before)


def test_a_monitor_that_cannot_start_leaves_the_instrumentation_as_it_is(monkeypatch, con):
    monkeypatch.setattr("otel_duckdb.monitor.Monitor.start", lambda _: 1 / 0)
    DuckDBInstrumentor().instrument(monitor=True)
    assert con.execute("SELECT 42").fetchall() == [(42,)]
    DuckDBInstrumentor().uninstrument()


def test_what_ran_when_it_stopped_is_not_running_for_ever(instrumented, con):
    monitor = Monitor(serve=False)
    monitor.start()
    con.execute("SELECT * FROM range(100000)")
    con.fetchone()
    monitor.stop()
    con.fetchall()
    assert monitor._running.running == set()


def test_the_light_mode_samples_seldom_unless_an_interval_is_given():
    assert Monitor(light=True).settings.interval_seconds == 30
    assert Monitor(light=True, interval_ms=1000).settings.interval_seconds == 1
    assert Monitor().settings.interval_seconds == 1


def test_a_misspelt_variable_is_told_with_the_nearest(monkeypatch, caplog):
    monkeypatch.setenv("OTEL_DUCKDB_MONITOR_LIGTH", "true")
    DuckDBInstrumentor().instrument(monitor=True)
    DuckDBInstrumentor().uninstrument()
    assert "OTEL_DUCKDB_MONITOR_LIGTH is no option; the nearest is OTEL_DUCKDB_MONITOR_LIGHT" in caplog.text


def test_statements_as_long_as_books_are_told_apart_and_kept_short(instrumented, con):
    with Monitor(serve=False) as monitor:
        for name in ("first", "second"):
            con.execute("SELECT " + ", ".join(f"{number} AS {name}{number}" for number in range(2000))).fetchall()
        told = monitor.statements()["statements"]
    assert [each["calls"] for each in told] == [1, 1]
    assert {len(each["text"]) for each in told} == {4096}
