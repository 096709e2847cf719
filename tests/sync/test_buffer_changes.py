"""A buffer that others changed between two passes: what the sync goes on with, and what it refuses."""

import pytest

from otel_duckdb.sync import BufferChangedError, Sync, Table
from sync_passes import arrived, failure, fine, rows


@pytest.mark.parametrize("checkpoint", [False, True], ids=["at once", "after a checkpoint"])
def test_rows_deleted_by_others_after_they_were_sent_are_noticed(buffer, sync, ticks, query, checkpoint):
    one = sync()
    ticks(0, 300_000)
    buffer.execute("CHECKPOINT")
    fine(one.run_once())
    buffer.execute("DELETE FROM ticks WHERE a < 250000")
    ticks(300_000, 600_000)
    if checkpoint:
        buffer.execute("CHECKPOINT")
    assert isinstance(failure(one.run_once()), BufferChangedError)
    assert arrived(query) == rows(*range(300_000))


def test_a_table_made_anew_is_refused_until_it_is_reset(buffer, sync, ticks, query):
    one = sync()
    ticks(0, 10)
    fine(one.run_once())
    buffer.execute("CREATE OR REPLACE TABLE ticks AS SELECT 100 + range AS a, 'new' AS s FROM range(20)")
    buffer.execute("ALTER TABLE ticks ALTER a TYPE BIGINT")
    error = failure(one.run_once())
    assert isinstance(error, BufferChangedError)
    assert "--reset" in str(error)
    one.reset("ticks")
    assert fine(one.run_once()) == 20
    assert arrived(query) == rows(*range(10), *range(100, 120))


def _copied(buffer, path):
    buffer.execute("CHECKPOINT")
    buffer.execute(f"ATTACH '{path}' AS copy")
    buffer.execute("COPY FROM DATABASE buffer TO copy")
    buffer.execute("DETACH copy")
    return path


def test_an_older_copy_of_the_database_is_refused(tmp_path, ticks, sync, buffer, target):
    one = sync()
    ticks(0, 10)
    fine(one.run_once())
    one.close()
    copy = _copied(buffer, tmp_path / "copy.duckdb")
    ticks(10, 20)
    later = sync()
    fine(later.run_once())
    later.close()
    with Sync(copy, ["ticks"], target) as restored:
        assert "older copy" in str(failure(restored.run_once()))


def test_an_older_copy_of_a_table_with_a_key_is_refused_until_what_was_sent_is_deleted(
    tmp_path, ticks, sync, buffer, target, query
):
    table = Table(name="ticks", key=["a"])
    one = sync([table])
    ticks(0, 5)
    fine(one.run_once())
    one.close()
    copy = _copied(buffer, tmp_path / "copy.duckdb")
    buffer.execute("DELETE FROM ticks WHERE a = 1")
    buffer.execute("UPDATE ticks SET s = 'later' WHERE a = 2")
    ticks(5, 6)
    later = sync([table])
    fine(later.run_once())
    later.close()
    with Sync(copy, [table], target) as restored:
        for delete_sent in (False, True):
            error = str(failure(restored.run_once()))
            assert "older copy" in error
            assert "--reset ticks --delete-sent" in error
            restored.reset("ticks", delete_sent=delete_sent)
        assert fine(restored.run_once()) == 5
        assert query("SELECT a, s FROM {}.ticks FINAL ORDER BY a") == [(each, f"n{each}") for each in range(5)]
    assert "another buffer" in str(failure(sync([table]).run_once()))


def test_a_column_added_to_the_buffer_is_added_to_the_target(buffer, sync, ticks, query):
    one = sync()
    ticks(0, 10)
    fine(one.run_once())
    buffer.execute("ALTER TABLE ticks ADD COLUMN venue VARCHAR DEFAULT 'XETR'")
    buffer.execute("INSERT INTO ticks VALUES (10, 'n10', 'XNAS')")
    assert fine(one.run_once()) == 1
    assert query("SELECT venue, count() FROM {}.ticks GROUP BY venue ORDER BY venue") == [("XNAS", 1), (None, 10)]
    ticks_after = "INSERT INTO ticks VALUES (11, 'n11', 'XLON')"
    buffer.execute(ticks_after)
    assert fine(one.run_once()) == 1


@pytest.mark.parametrize("key", [[], ["id"]], ids=["append-only", "with a key"])
def test_columns_that_change_their_names_with_each_other_leave_no_value_in_the_wrong_one(buffer, sync, query, key):
    buffer.execute("CREATE TABLE ticks AS SELECT range AS id, range * 2 AS bid, range * 3 AS ask FROM range(5)")
    one = sync([Table(name="ticks", key=key)])
    fine(one.run_once())
    for old, new in (("bid", "other"), ("ask", "bid"), ("other", "ask")):
        buffer.execute(f"ALTER TABLE ticks RENAME COLUMN {old} TO {new}")
    buffer.execute("INSERT INTO ticks VALUES (5, 15, 10)")
    if key:
        fine(one.run_once())
        assert (
            query("SELECT id, bid, ask FROM {}.ticks FINAL ORDER BY id")
            == buffer.sql("SELECT id, bid, ask FROM ticks ORDER BY id").fetchall()
        )
        assert fine(one.run_once()) == 0
    else:
        assert isinstance(failure(one.run_once()), BufferChangedError)


@pytest.mark.parametrize("key", [[], ["id"]], ids=["append-only", "with a key"])
def test_a_table_made_anew_with_its_columns_in_another_order_goes_on(buffer, sync, query, key):
    buffer.execute("CREATE TABLE ticks AS SELECT range AS id, 'x' || range AS s FROM range(5)")
    one = sync([Table(name="ticks", key=key)])
    fine(one.run_once())
    buffer.execute("CREATE OR REPLACE TABLE ticks AS SELECT s, id FROM ticks")
    buffer.execute("INSERT INTO ticks VALUES ('x5', 5)")
    assert fine(one.run_once()) == 1
    buffer.execute("ALTER TABLE ticks ADD COLUMN more INTEGER")
    buffer.execute("INSERT INTO ticks VALUES ('x6', 6, 1)")
    assert fine(one.run_once()) == (7 if key else 1)
    assert fine(one.run_once()) == 0
    assert query(
        "SELECT id, s FROM {}.ticks FINAL ORDER BY id" if key else "SELECT id, s FROM {}.ticks ORDER BY id"
    ) == [(number, f"x{number}") for number in range(7)]


def test_a_column_that_is_gone_is_refused_by_name(buffer, sync, ticks):
    one = sync()
    ticks(0, 10)
    fine(one.run_once())
    buffer.execute("ALTER TABLE ticks DROP COLUMN s")
    assert "column 's' (VARCHAR) is gone" in str(failure(one.run_once()))


def test_values_may_be_added_to_an_enum_and_lists_of_one_arrive(buffer, sync, query):
    buffer.execute("CREATE TABLE ticks (a INTEGER, e ENUM('x', 'y'), l ENUM('x', 'y')[])")
    buffer.execute("INSERT INTO ticks VALUES (1, 'x', ['y', NULL])")
    one = sync()
    fine(one.run_once())
    buffer.execute("ALTER TABLE ticks ALTER e TYPE ENUM('z', 'x', 'y')")
    buffer.execute("INSERT INTO ticks VALUES (2, 'z', NULL)")
    fine(one.run_once())
    assert query("SELECT a, e, l, l_is_null FROM {}.ticks ORDER BY a") == [
        (1, "x", ["y", None], False),
        (2, "z", [], True),
    ]


def test_rows_sent_before_a_list_was_added_have_null_there(buffer, sync, ticks, query):
    one = sync()
    ticks(0, 3)
    fine(one.run_once())
    buffer.execute("ALTER TABLE ticks ADD COLUMN l INTEGER[]")
    buffer.execute("INSERT INTO ticks VALUES (3, '', [])")
    fine(one.run_once())
    assert query("SELECT a, l_is_null FROM {}.ticks ORDER BY a") == [(0, True), (1, True), (2, True), (3, False)]
