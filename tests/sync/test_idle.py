"""Idle tables are looked at together; whatever may be there to do is found by a pass of the table's own."""

import itertools
import threading

import pytest

from clickhouse_standin import Fault, Kind
from eventually import eventually
from otel_duckdb.sync import Table
from otel_duckdb.sync.idle import IdleTables
from otel_duckdb.sync.journal import Journal
from otel_duckdb.sync.passes import TableWorker
from otel_duckdb.sync.state import State

TABLES = ["a", "b", Table(name="k", key=["id"]), Table(name="m", key=["id"])]


@pytest.fixture
def passes(monkeypatch):
    """The tables that had a pass of their own."""
    names, run = [], TableWorker._run

    def told(worker, *arguments):
        names.append(worker.options.name)
        return run(worker, *arguments)

    monkeypatch.setattr(TableWorker, "_run", told)
    return names


@pytest.fixture
def idle(buffer, sync, passes):
    """A sync whose four tables are idle."""
    for name in ("a", "b", "k", "m"):
        buffer.execute(f"CREATE TABLE {name} AS SELECT range AS id, 'x' AS v FROM range(10)")
    one = sync(TABLES)
    settled(one, passes)
    return one


def settled(one, passes):
    """Let passes go by until a pass is idle."""
    for _ in range(3):
        passes.clear()
        assert [report.error for report in one.run_once()] == [None] * 4
    assert passes == []


CHANGES = {
    "INSERT INTO a VALUES (10, 'x')": ("a", 1),
    "INSERT INTO k VALUES (10, 'x')": ("k", 1),
    "UPDATE k SET v = 'y' WHERE id = 3": ("k", 1),
    "DELETE FROM k WHERE id = 4": ("k", 1),
    "ALTER TABLE a ADD COLUMN w INTEGER DEFAULT 7": ("a", 0),
    "ALTER TABLE k ADD COLUMN w INTEGER DEFAULT 7": ("k", 10),
}


def test_a_change_of_one_idle_table_is_sent_at_the_next_pass_and_the_others_rest(buffer, idle, passes, query):
    for change, (name, rows) in CHANGES.items():
        buffer.execute(change)
        passes.clear()
        reports = idle.run_once()
        assert passes == [name]
        assert {report.name: report.rows for report in reports if report.rows or report.error} == (
            {name: rows} if rows else {}
        )
        settled(idle, passes)
    assert query("SELECT count(), count(w) FROM {}.a") == [(11, 0)]
    assert query("SELECT count(), sum(v = 'y'), sum(w) FROM {}.k FINAL") == [(10, 1, 70)]


LOSSES = {
    "INSERT INTO k VALUES (3, 'x')": ("k", "those of more than one row"),
    "DROP TABLE m": ("m", "table 'm' is gone from"),
    "DELETE FROM b WHERE id = 2": ("b", "deleted or changed by others"),
    "UPDATE a SET v = 'y' WHERE id = 9": ("a", "deleted or changed by others"),
}


def test_what_a_pass_refuses_is_refused_of_an_idle_table(buffer, idle, passes):
    refused = {}
    for change, (name, words) in LOSSES.items():
        buffer.execute(change)
        refused[name] = words
        errors = {report.name: str(report.error) for report in idle.run_once() if report.error}
        assert errors.keys() == refused.keys()
        assert words in errors[name]
    passes.clear()
    buffer.execute("DELETE FROM k WHERE rowid = 10")
    assert [report.error is None for report in idle.run_once()] == [False, False, True, False]
    assert sorted(passes) == ["a", "b", "k", "m"]


def test_an_idle_table_whose_target_lost_rows_is_told(idle, passes, query):
    query("TRUNCATE TABLE {}.a")
    query("DROP TABLE {}.k SYNC")
    passes.clear()
    errors = {report.name for report in idle.run_once() if report.error}
    assert errors == {"a", "k"} == set(passes)


def test_those_who_ask_while_others_are_answered_are_answered_together(buffer, idle, monkeypatch):
    looks, answer = [], IdleTables._answer

    def told(tables, requests):
        looks.append(len(requests))
        answer(tables, requests)

    monkeypatch.setattr(IdleTables, "_answer", told)
    tables = idle._shared.idle_tables
    buffer.execute("INSERT INTO b VALUES (10, 'x')")
    found = {}
    threads = [
        threading.Thread(target=lambda worker=worker: found.update({worker.options.name: tables.rests(worker, -1.0)}))
        for worker in idle._workers
    ]
    with tables._asking:
        for thread in threads:
            thread.start()
        eventually(lambda: len(tables._waiting) == len(threads))
    for thread in threads:
        thread.join()
    assert looks == [4]
    assert found == {"a": True, "b": False, "k": True, "m": True}


def test_the_moment_a_table_was_caught_up_is_written_now_and_then_however_short_the_pauses_are(buffer):
    journal = Journal(buffer.cursor())
    states = [
        State("ticks", 1, "market.ticks", (), (), "2026-01-01T00:00:00+00:00", f"2026-01-01T00:00:{second}+00:00")
        for second in ("00", "20", "40", "59")
    ]
    journal.store(states[0])
    written = []
    for before, after in itertools.pairwise(states):
        journal.settle((before, after))
        written.append(journal.load("ticks").caught_up[17:19])
    assert written == ["00", "40", "40"]
    journal.close()


@pytest.mark.slow
def test_an_idle_pass_asks_the_target_anew_after_a_fault(buffer, sync, server, served):
    buffer.execute("CREATE TABLE ticks AS SELECT range AS id FROM range(10)")
    one = sync(target=served)
    for _ in range(2):
        assert one.run_once()[0].error is None
    server.arm(Fault(Kind.ERROR, "system.tables", times=2))
    assert one.run_once()[0].error is None
