"""What each action does to a real DuckDB: what it gives, and what it leaves alone."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import pytest
from opentelemetry.trace import StatusCode

from otel_duckdb import contract
from otel_duckdb.core import source
from otel_duckdb.core.listener import Listener
from otel_duckdb.monitor.actions.action import Outcome
from otel_duckdb.monitor.actions.all import all_actions
from otel_duckdb.monitor.actions.ladder import AUTOMATIC, EMERGENCY, clean_up
from otel_duckdb.monitor.actions.memory_limit import MemoryLimits
from otel_duckdb.monitor.actions.runner import ActionRunner
from otel_duckdb.settings import SettingError

ALL = {*EMERGENCY, "interrupt"}
IS_2 = not duckdb.__version__.startswith("1.")


class Started(Listener):
    """Knows operations by their text."""

    component = "test"

    def __init__(self):
        self.operations = {}

    def started(self, operation, context):
        self.operations[operation.text] = operation


@pytest.fixture
def running(telemetry):
    """A runner of all actions, on DuckDB instrumented; operations are found by their text."""
    telemetry.instrument(engine_metrics=True)
    present = source._current
    started = Started()
    present.listen(started)
    limits = MemoryLimits()
    meter, tracer = (
        telemetry.meter_provider.get_meter(contract.SCOPE),
        telemetry.tracer_provider.get_tracer(contract.SCOPE),
    )
    runner = ActionRunner(all_actions(limits, started.operations.get), ALL, limits, tracer, meter)
    runner.source = present
    present.listen(limits)
    yield runner
    present.forget(limits, started)
    assert telemetry.faults() == 0


def only(results):
    (result,) = results
    return result


def full(path, rows=3_000_000, **config):
    con = duckdb.connect(path, config={"memory_limit": "1GB", "threads": "2", **config})
    con.execute(f"create table t as select range i, random() r from range({rows})")
    con.execute("checkpoint")
    con.execute("select count(distinct r) from t").fetchall()
    return con


def test_memory_goes_back_to_the_system_and_nothing_is_evicted(running, tmp_path):
    con = full(str(tmp_path / "x.db"))
    told = con.execute("select current_setting('memory_limit')").fetchone()
    result = only(running.run("release_memory", by="test"))
    assert result.outcome is Outcome.DONE
    assert result.after["used"] == result.before["used"] > 0
    assert result.freed > 50e6 or duckdb.__version__ == "1.4.1"  # which keeps what it freed; 1.4.5 gives it back
    assert con.execute("select current_setting('memory_limit')").fetchone() == told


def test_a_limit_does_not_creep_however_often_memory_is_released(running, tmp_path):
    con = duckdb.connect(str(tmp_path / "x.db"), config={"memory_limit": "1GB"})
    for _ in range(50):
        assert "1000000000 bytes" in only(running.run("release_memory", by="test")).detail
    con.execute("set memory_limit = '777 MB'")
    assert "777000000 bytes" in only(running.run("release_memory", by="test")).detail
    con.execute("pragma memory_limit='1.5GiB'")
    assert "1610612736 bytes" in only(running.run("release_memory", by="test")).detail


def test_the_default_limit_is_known(running, tmp_path):
    duckdb.connect(str(tmp_path / "x.db")).execute("select 1")
    con = duckdb.connect(str(tmp_path / "x.db"))
    told = con.execute("select current_setting('memory_limit')").fetchone()
    assert only(running.run("release_memory", by="test")).outcome is Outcome.DONE
    assert con.execute("select current_setting('memory_limit')").fetchone() == told


def test_a_limit_whose_bytes_are_not_known_is_left_alone(running, tmp_path):
    con = duckdb.connect(str(tmp_path / "x.db"))
    con.execute("set memory_limit = '123456789B'")
    running.limits._set.clear()
    result = only(running.run("release_memory", by="test"))
    assert result.outcome is Outcome.REFUSED
    assert "bytes are not known" in result.detail


def test_memory_is_released_in_the_middle_of_a_query_which_goes_on_right(running, tmp_path):
    con = full(str(tmp_path / "x.db"))
    answers = []
    query = "select count(*), count(distinct r) from (select r + j as r from t, range(2) s(j))"
    worker = threading.Thread(target=lambda: answers.append(con.execute(query).fetchone()))
    worker.start()
    results = []
    while worker.is_alive():
        results += running.run("release_memory", by="test")
        time.sleep(0.05)
    worker.join()
    assert {result.outcome for result in results} == {Outcome.DONE}
    assert answers[0][0] == 6_000_000


def test_the_allocators_threads_are_switched_on_once(running, tmp_path):
    con = duckdb.connect(str(tmp_path / "x.db"))
    assert only(running.run("allocator_threads", by="test")).outcome is Outcome.DONE
    assert con.execute("select current_setting('allocator_background_threads')").fetchone() == (True,)
    assert only(running.run("allocator_threads", by="test")).outcome is Outcome.NOTHING


def test_a_limit_is_raised_by_a_quarter_and_never_above_the_cap(running, tmp_path):
    con = duckdb.connect(str(tmp_path / "x.db"), config={"memory_limit": "400MB"})
    result = only(running.run("raise_memory_limit", by="test"))
    assert (result.before["limit"], result.after["limit"]) == (400_000_000, 500_000_000)
    running.actions["raise_memory_limit"]._cap = 1e-6
    assert only(running.run("raise_memory_limit", by="test")).outcome is Outcome.REFUSED
    con.close()


def test_the_cache_is_emptied_where_nothing_runs(running, tmp_path):
    con = full(str(tmp_path / "x.db"))
    result = only(running.run("empty_cache", by="test"))
    assert result.outcome is Outcome.DONE, result.detail
    assert result.after["used"] < 5e6 < result.before["used"]
    assert only(running.run("empty_cache", by="test")).outcome is Outcome.NOTHING
    assert con.execute("select count(*) from t").fetchone() == (3_000_000,)


@pytest.mark.parametrize("statement", ["begin", "select * from t"])
def test_the_cache_is_left_alone_where_something_is_open(running, tmp_path, statement):
    con = full(str(tmp_path / "x.db"), 300_000)
    con.execute(statement)
    assert only(running.run("empty_cache", by="test")).outcome is Outcome.REFUSED


@pytest.mark.slow
def test_no_query_fails_or_is_wrong_while_the_cache_is_emptied_again_and_again(running, tmp_path):
    con = full(str(tmp_path / "x.db"), 1_000_000)
    failures, answers, stopping = [], [], threading.Event()

    def work():
        cursor = con.cursor()
        while not stopping.is_set():
            try:
                answers.append(cursor.execute("select count(*), count(distinct i % 1000) from t").fetchone())
            except Exception as error:
                failures.append(error)
            cursor.execute("select 1").fetchall()
            time.sleep(0.005)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    outcomes = [only(running.run("empty_cache", by="test")).outcome for _ in range(40)]
    stopping.set()
    for worker in workers:
        worker.join()
    assert not failures
    assert set(answers) == {(1_000_000, 1000)}
    assert Outcome.FAILED not in outcomes


def test_a_checkpoint_empties_the_log(running, tmp_path):
    con = duckdb.connect(str(tmp_path / "x.db"))
    con.execute("set wal_autocheckpoint = '1GB'")
    con.execute("create table t as select range i from range(100000)")
    con.execute("insert into t select * from range(1000)")
    assert (tmp_path / "x.db.wal").stat().st_size > 0
    assert only(running.run("checkpoint", by="test")).outcome is Outcome.DONE
    wal = tmp_path / "x.db.wal"
    assert not wal.exists() or wal.stat().st_size == 0


def test_a_checkpoint_that_a_writer_is_in_the_way_of_is_refused_and_disturbs_nobody(running, tmp_path):
    con = duckdb.connect(str(tmp_path / "x.db"))
    con.execute("create table t as select range i from range(3000000)")
    done = []
    writer = threading.Thread(target=lambda: done.append(con.cursor().execute("update t set i = i + 1").fetchall()))
    writer.start()
    time.sleep(0.05)
    result = only(running.run("checkpoint", by="test"))
    began = time.monotonic()
    assert con.execute("select count(*) from t").fetchone() == (3_000_000,)
    assert time.monotonic() - began < 3
    writer.join()
    assert done
    assert result.outcome in {Outcome.REFUSED, Outcome.DONE}


@pytest.mark.parametrize("path", [":memory:", "readonly"])
def test_there_is_nothing_to_checkpoint_in_memory_or_where_nothing_is_written(running, tmp_path, path):
    if path == "readonly":
        path = str(tmp_path / "x.db")
        duckdb.connect(path).close()
        con = duckdb.connect(path, read_only=True)
    else:
        con = duckdb.connect(path)
    assert only(running.run("checkpoint", by="test")).outcome is Outcome.NOTHING
    con.close()


def fail_inside(con):
    con.execute("create table if not exists u (i int primary key)")
    con.execute("begin")
    con.execute("insert into u values (1)")
    with pytest.raises(duckdb.ConstraintException):
        con.execute("insert into u values (1)")


def test_an_aborted_transaction_is_rolled_back_and_its_owner_goes_on(running, telemetry, tmp_path):
    con = duckdb.connect(str(tmp_path / "x.db"))
    fail_inside(con)
    assert "1 aborted transaction" in only(running.run("rollback_aborted", by="test")).detail
    con.execute("insert into u values (7)")
    assert con.execute("from u").fetchall() == [(7,)]
    assert only(running.run("rollback_aborted", by="test")).outcome is Outcome.NOTHING
    assert telemetry.value(contract.TRANSACTION_FAILURE.name) == 1


def test_a_healthy_transaction_is_never_rolled_back(running, tmp_path):
    con = duckdb.connect(str(tmp_path / "x.db"))
    con.execute("create table u (i int)")
    con.execute("begin")
    con.execute("insert into u values (1)")
    assert only(running.run("rollback_aborted", by="test")).outcome is Outcome.NOTHING
    con.execute("insert into u values (2)")
    con.execute("rollback")
    assert con.execute("from u").fetchall() == []


def test_a_running_operation_is_interrupted_by_its_id(running, tmp_path):
    con = duckdb.connect(str(tmp_path / "x.db"))
    text = "select count(*) from range(100000) a(i), range(100000) b(j) where (i * j) % 7 = 3"
    ended = []

    def work():
        try:
            con.execute(text).fetchall()
        except BaseException as error:
            ended.append(type(error).__name__)

    present = running.source
    worker = threading.Thread(target=work)
    worker.start()
    deadline = time.monotonic() + 20
    while not any(one.busy_thread for one in present.live_connections()) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    result = only(running.run("interrupt", by="test", argument=text))
    if result.outcome is not Outcome.DONE:
        con.interrupt()
    worker.join(20)
    assert result.outcome is Outcome.DONE, result.detail
    assert ended == ["InterruptException"]
    assert only(running.run("interrupt", by="test", argument=text)).outcome is Outcome.NOTHING
    assert only(running.run("interrupt", by="test")).outcome is Outcome.REFUSED


SPILL = """
import duckdb, sys, time
con = duckdb.connect(sys.argv[1], config={"memory_limit": "60MB", "threads": "2", "temp_directory": sys.argv[2]})
print("begun", flush=True)
con.execute("create or replace temp table s as select range i, random() r, repeat('x', 100) s from range(1500000)")
print("done", flush=True)
time.sleep(60)
"""


def spilled(database, folder):
    """Spill files of a process; the process."""
    process = subprocess.Popen(
        [sys.executable, "-c", SPILL, database, folder], stdout=subprocess.PIPE, text=True, cwd=Path(folder).parent
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not any(name.endswith(".tmp") for name in listed(folder)):
        time.sleep(0.05)
    assert listed(folder)
    return process


def end(process):
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def listed(folder):
    return sorted(path.name for path in Path(folder).glob("*"))


def age(folder):
    for name in listed(folder):
        os.utime(Path(folder) / name, (1e9, 1e9))


def test_spill_files_of_a_killed_process_are_removed_and_those_of_a_living_one_are_not(running, tmp_path):
    database = str(tmp_path / "x.db")
    folder = f"{database}.tmp"
    process = spilled(database, folder)
    copy = tmp_path / "copy"
    end(process)
    shutil.copytree(folder, copy)
    (Path(folder) / "report.tmp").write_text("mine")
    (Path(folder) / "duckdb_temp_storage_link.tmp").symlink_to("/etc/hostname")
    con = duckdb.connect(database)
    assert only(running.run("remove_temporary_files", by="test")).outcome is Outcome.NOTHING  # they are too young
    age(copy)
    for name in listed(copy):
        shutil.copy2(copy / name, Path(folder) / name)
    planned = only(running.run("remove_temporary_files", by="test", dry_run=True))
    assert planned.outcome is Outcome.PLANNED, planned.detail
    assert len(listed(folder)) > 2
    result = only(running.run("remove_temporary_files", by="test"))
    assert result.outcome is Outcome.DONE, result.detail
    assert listed(folder) == ["duckdb_temp_storage_link.tmp", "report.tmp"]
    con.close()


def test_spill_files_of_a_living_process_in_a_shared_folder_are_left(running, tmp_path):
    folder = str(tmp_path / "shared")
    Path(folder).mkdir()
    process = spilled(str(tmp_path / "other.db"), folder)
    try:
        age(folder)
        before = listed(folder)
        con = duckdb.connect(str(tmp_path / "x.db"), config={"temp_directory": folder})
        assert only(running.run("remove_temporary_files", by="test")).outcome is Outcome.NOTHING
        assert set(before) <= set(listed(folder))
        con.close() if IS_2 else None  # on DuckDB 1 the close itself deletes files of others
    finally:
        end(process)


def test_what_is_not_switched_on_is_refused_and_what_is_unknown_is_an_error(running, tmp_path):
    duckdb.connect(str(tmp_path / "x.db"))
    running.allowed = frozenset()
    with pytest.raises(SettingError, match="'checkpoint' is not switched on"):
        running.run("checkpoint", by="test")
    with pytest.raises(SettingError, match="no action is called 'drop'"):
        running.run("drop", by="test")
    with pytest.raises(SettingError, match="no action is called 'drop'"):
        ActionRunner(
            [], ["drop"], MemoryLimits(), running._tracer, __import__("opentelemetry.metrics").metrics.get_meter("x")
        )
    assert clean_up(running, by="test") == []


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(running, tmp_path):
    con = full(str(tmp_path / "x.db"), 300_000)
    settings = "select name, value from duckdb_settings() where name like 'allocator%' or name like '%memory%'"
    before = con.execute(settings).fetchall()
    results = clean_up(running, by="test", emergency=True, dry_run=True)
    assert [result.action for result in results] == list(EMERGENCY)
    assert {result.outcome for result in results} <= {Outcome.PLANNED, Outcome.NOTHING, Outcome.REFUSED}
    assert con.execute(settings).fetchall() == before


def test_every_action_is_a_span_and_a_count_with_what_came_of_it(running, telemetry, tmp_path):
    con = duckdb.connect(str(tmp_path / "x.db"))
    results = clean_up(running, by="test")
    assert [result.action for result in results] == list(AUTOMATIC)
    spans = telemetry.spans("duckdb.action")
    assert [span.attributes["duckdb.action.name"] for span in spans] == list(AUTOMATIC)
    for span, result in zip(spans, results, strict=True):
        assert span.attributes["duckdb.action.outcome"] == result.outcome.value
        assert span.attributes["duckdb.action.detail"] == result.detail
        assert ("duckdb.action.resident_bytes_before" in span.attributes) == bool(result.after)
        assert telemetry.value(contract.MONITOR_ACTIONS.name, action=result.action, outcome=result.outcome.value) == 1
    assert running.results()[0]["action"] == AUTOMATIC[-1]
    con.close()


def test_an_action_that_duckdb_refuses_fails_by_itself(telemetry, tmp_path):
    telemetry.instrument(engine_metrics=True)
    con = duckdb.connect(str(tmp_path / "x.db"))

    class Broken:
        name, meaning, measures = "broken", "", ()

        def run(self, target):
            target.cursor.run("select 'secret' + 1 from nowhere")

    limits = MemoryLimits()
    runner = ActionRunner(
        [Broken()],
        ["broken"],
        limits,
        telemetry.tracer_provider.get_tracer(contract.SCOPE),
        telemetry.meter_provider.get_meter(contract.SCOPE),
    )
    runner.source = source._current
    result = only(runner.run("broken", by="test"))
    assert (result.outcome, result.detail) == (Outcome.FAILED, "CatalogException")
    (span,) = telemetry.spans("duckdb.action")
    assert span.status.status_code is StatusCode.ERROR
    assert telemetry.faults() == 1
    con.close()


def test_an_action_that_hangs_in_duckdb_is_interrupted_at_its_deadline(telemetry, tmp_path):
    telemetry.instrument(engine_metrics=True)
    con = duckdb.connect(str(tmp_path / "x.db"))

    class Endless:
        name, meaning, measures = "endless", "", ()

        def run(self, target):
            target.cursor.rows("select count(*) from range(1000000) a(i), range(1000000) b(j) where (i * j) % 7 = 3")

    runner = ActionRunner(
        [Endless()],
        ["endless"],
        MemoryLimits(),
        telemetry.tracer_provider.get_tracer(contract.SCOPE),
        telemetry.meter_provider.get_meter(contract.SCOPE),
        deadline=0.3,
    )
    runner.source = source._current
    began = time.monotonic()
    assert only(runner.run("endless", by="test")).detail == "InterruptException"
    assert time.monotonic() - began < 5
    con.close()


def test_closing_the_database_meanwhile_is_no_fault(running, tmp_path):
    con = duckdb.connect(str(tmp_path / "x.db"))
    (database,) = running.source.live_databases()
    con.close()
    assert running.run("checkpoint", by="test") == []
    assert database.open_cursor() is None
