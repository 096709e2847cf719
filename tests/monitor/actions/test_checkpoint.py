"""The checkpoint: it empties the log, and disturbs nobody."""

import threading
import time

import duckdb
import pytest

from otel_duckdb.engine.cursor import PrivateCursor
from otel_duckdb.engine.database import Database
from otel_duckdb.monitor.actions.action import Outcome
from otel_duckdb.monitor.actions.ladder import EMERGENCY


def test_a_checkpoint_empties_the_log(runner, tmp_path):
    con = duckdb.connect(str(tmp_path / "x.db"))
    con.execute("set wal_autocheckpoint = '1GB'")
    con.execute("create table t as select range i from range(100000)")
    con.execute("insert into t select * from range(1000)")
    assert (tmp_path / "x.db.wal").stat().st_size > 0
    assert runner.run_one("checkpoint").outcome is Outcome.DONE
    wal = tmp_path / "x.db.wal"
    assert not wal.exists() or wal.stat().st_size == 0


def test_a_checkpoint_that_a_writer_is_in_the_way_of_is_refused_and_disturbs_nobody(runner, tmp_path):
    con = duckdb.connect(str(tmp_path / "x.db"))
    con.execute("create table t as select range i from range(3000000)")
    done = []
    writer = threading.Thread(target=lambda: done.append(con.cursor().execute("update t set i = i + 1").fetchall()))
    writer.start()
    time.sleep(0.05)
    result = runner.run_one("checkpoint")
    began = time.monotonic()
    assert con.execute("select count(*) from t").fetchone() == (3_000_000,)
    assert time.monotonic() - began < 3
    writer.join()
    assert done
    assert result.outcome in {Outcome.REFUSED, Outcome.DONE}


@pytest.mark.parametrize("path", [":memory:", "readonly"])
def test_there_is_nothing_to_checkpoint_in_memory_or_where_nothing_is_written(runner, tmp_path, path):
    if path == "readonly":
        path = str(tmp_path / "x.db")
        duckdb.connect(path).close()
        con = duckdb.connect(path, read_only=True)
    else:
        con = duckdb.connect(path)
    assert runner.run_one("checkpoint").outcome is Outcome.NOTHING
    con.close()


def test_what_actions_look_at_is_in_the_way_of_no_checkpoint_of_the_user_s(runner, tmp_path, monkeypatch):
    cursors, open_cursor = [], Database.open_cursor

    def within_a_transaction(database):
        cursors.append(open_cursor(database))
        cursors[-1].run("begin")
        return cursors[-1]

    monkeypatch.setattr(Database, "open_cursor", within_a_transaction)
    monkeypatch.setattr(PrivateCursor, "close", lambda _: None)
    with duckdb.connect(str(tmp_path / "x.db")) as con:
        con.execute("create table t as select range i from range(1000)")
        con.execute("set memory_limit = '1GB'")
        results = [runner.run_one(name, dry_run=True) for name in EMERGENCY]
        assert Outcome.FAILED not in {result.outcome for result in results}
        con.execute("create or replace table t as select 1 as a")
        con.execute("checkpoint")
        monkeypatch.undo()
        assert cursors
        for cursor in cursors:
            cursor.close()
