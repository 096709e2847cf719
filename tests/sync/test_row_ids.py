"""A checkpoint may give row ids anew between any two statements of the sync; the position is found all the same."""

import random
import threading
from contextlib import suppress

import duckdb
import pytest

from otel_duckdb.sync import BufferChangedError, Limits, Table
from otel_duckdb.sync.source import Source
from sync_passes import arrived, fine, rows


@pytest.fixture
def ticks(buffer):
    buffer.execute("CREATE TABLE ticks AS SELECT range AS a FROM range(300000)")
    buffer.execute("CHECKPOINT")
    return buffer


@pytest.fixture
def checkpoint_after(buffer, monkeypatch):
    """Makes a checkpoint come after every call of a method of Source."""

    def arrange(name):
        genuine = getattr(Source, name)

        def method(self, *arguments):
            result = genuine(self, *arguments)
            with suppress(duckdb.TransactionException):  # the sync is writing
                buffer.cursor().execute("CHECKPOINT")
            return result

        monkeypatch.setattr(Source, name, method)

    return arrange


def test_a_position_survives_the_renumbering_of_row_ids(sync, ticks, query):
    """Rows deleted before they were sent leave gaps, that a checkpoint closes."""
    one = sync([Table(name="ticks")], batch=Limits(rows=50_000))
    ticks.execute("DELETE FROM ticks WHERE a < 200000")
    fine(one.run_once())
    before = ticks.execute("SELECT max(rowid) FROM ticks").fetchall()
    ticks.execute("CHECKPOINT")
    assert ticks.execute("SELECT max(rowid) FROM ticks").fetchall() != before
    ticks.execute("INSERT INTO ticks SELECT range FROM range(300000, 300500)")
    assert fine(one.run_once()) == 500
    assert arrived(query) == rows(*range(200_000, 300_500))


@pytest.mark.parametrize("name", ["_next_row", "_count", "_row_at", "total"])
def test_a_checkpoint_between_statements_of_a_read_loses_nothing(ticks, sync, query, checkpoint_after, name):
    one = sync([Table(name="ticks", delete=True, keep_rows=50)], batch=Limits(rows=50_000))
    assert one.run_once()[0].error is None
    ticks.execute("INSERT INTO ticks SELECT range FROM range(300000, 500000)")
    ticks.execute("DELETE FROM ticks WHERE a BETWEEN 300000 AND 449999")  # unsent, so they need not arrive
    checkpoint_after(name)
    assert one.run_once()[0].error is None
    assert arrived(query) == rows(*range(300_000), *range(450_000, 500_000))


@pytest.mark.parametrize("keep", [0, 50])
@pytest.mark.parametrize("name", ["verify", "_row_at", "_next_row"])
def test_a_checkpoint_between_statements_of_a_deletion_deletes_no_unsent_row(
    ticks, sync, query, checkpoint_after, name, keep
):
    ticks.execute("DELETE FROM ticks WHERE a < 250000")
    one = sync([Table(name="ticks", delete=True, keep_rows=keep)])
    checkpoint_after(name)
    genuine = Source.delete

    def delete(self, *arguments):
        ticks.execute("INSERT INTO ticks SELECT range FROM range(300000, 400000)")
        Source.delete = genuine
        return genuine(self, *arguments)

    Source.delete = delete
    try:
        assert one.run_once()[0].error is None
    finally:
        Source.delete = genuine
    assert one.run_once()[0].error is None
    assert arrived(query) == rows(*range(250_000, 400_000))
    assert ticks.execute("SELECT count(*) FROM ticks").fetchall() == [(keep,)]


@pytest.mark.parametrize("passes", [10, pytest.param(50, marks=pytest.mark.slow)])
@pytest.mark.parametrize("keep", [0, 50])
def test_checkpoints_and_deletions_at_any_moment_leave_each_row_once(buffer, sync, query, keep, passes):
    buffer.execute("CREATE TABLE ticks (a BIGINT)")
    one = sync([Table(name="ticks", delete=True, keep_rows=keep)], batch=Limits(rows=300))
    ending, written = threading.Event(), [0]

    def write(cursor):
        while not ending.wait(random.random() * 0.04):
            cursor.execute("INSERT INTO ticks SELECT range FROM range($1, $1 + 50)", [written[0]])
            written[0] += 50

    def checkpoint(cursor):
        while not ending.wait(random.random() * 0.01):
            with suppress(duckdb.TransactionException):  # others write
                cursor.execute("CHECKPOINT")

    threads = [threading.Thread(target=work, args=(buffer.cursor(),)) for work in (write, checkpoint)]
    for thread in threads:
        thread.start()
    try:
        errors = [one.run_once()[0].error for _ in range(passes)]
    finally:
        ending.set()
        for thread in threads:
            thread.join()
    errors.append(one.run_once()[0].error)
    assert errors == [None] * (passes + 1)
    assert arrived(query) == rows(*range(written[0]))


def test_a_short_batch_does_not_make_the_anchor_short(buffer, sync, query):
    buffer.execute("CREATE TABLE ticks AS SELECT range + 1 AS a FROM range(10)")
    one = sync()
    assert one.run_once()[0].error is None
    buffer.execute("INSERT INTO ticks VALUES (7)")
    assert one.run_once()[0].rows == 1
    buffer.execute("INSERT INTO ticks VALUES (7), (100)")
    buffer.execute("DELETE FROM ticks WHERE a = 3")
    assert isinstance(one.run_once()[0].error, BufferChangedError)


def test_a_table_replaced_by_one_with_an_equal_row_in_that_place_is_refused(buffer, sync):
    buffer.execute("CREATE TABLE ticks AS SELECT range AS a FROM range(12)")
    one = sync(batch=Limits(rows=1))
    assert one.run_once()[0].rows == 12
    buffer.execute(
        "CREATE OR REPLACE TABLE ticks AS SELECT CASE range WHEN 11 THEN 11 ELSE 500 + range END AS a FROM range(12)"
    )
    assert isinstance(one.run_once()[0].error, BufferChangedError)


def test_the_order_that_a_session_prefers_matters_not(buffer, sync, query):
    buffer.execute("CREATE TABLE ticks AS SELECT range AS a, 'n' || range AS s FROM range(3000)")
    one = sync(batch=Limits(rows=1000))
    assert one.run_once()[0].error is None
    buffer.execute("SET GLOBAL default_order = 'DESC'")
    buffer.execute("SET GLOBAL preserve_insertion_order = false")
    buffer.execute("INSERT INTO ticks SELECT range, 'n' || range FROM range(3000, 5000)")
    assert one.run_once()[0].error is None
    one.close()
    buffer.execute("INSERT INTO ticks VALUES (5000, 'n')")
    assert sync().run_once()[0].error is None
    assert arrived(query) == rows(*range(5001))
