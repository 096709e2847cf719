"""A target that lost what it acknowledged is told at the next pass, and starting over keeps the target right."""

import pytest

from otel_duckdb.sync import Sync, Table, TargetChangedError
from sync_passes import failure, fine

KEYED = Table(name="ticks", key=["a"])


@pytest.fixture
def ticks(buffer):
    buffer.execute("CREATE TABLE ticks AS SELECT range AS a, 'x' AS v FROM range(10)")


def error_of(one):
    return one.run_once()[0].error


@pytest.mark.parametrize("table", ["ticks", KEYED], ids=["append-only", "with a key"])
@pytest.mark.parametrize("again", [False, True], ids=["while it runs", "between two runs"])
@pytest.mark.parametrize(
    "loss",
    ["TRUNCATE TABLE {}.ticks", "DROP TABLE {}.ticks SYNC", "ALTER TABLE {}.ticks DELETE WHERE a = 3"],
    ids=["emptied", "dropped", "a row deleted"],
)
def test_rows_that_are_gone_from_the_target_are_told_at_the_next_pass(buffer, sync, ticks, query, table, again, loss):
    one = sync([table])
    assert error_of(one) is None
    query(loss + (" SETTINGS mutations_sync = 2" if "DELETE" in loss else ""))
    if again:
        one.close()
        one = sync([table])
    for _ in range(2):
        error = error_of(one)
        assert isinstance(error, TargetChangedError)
        assert "--reset" in str(error)
    assert not one.status()[0].healthy
    one.reset("ticks")
    assert error_of(one) is None
    assert query(
        "SELECT uniqExact(a) FROM {}.ticks FINAL" if table is KEYED else "SELECT uniqExact(a) FROM {}.ticks"
    ) == [(10,)]


def test_a_target_that_is_gone_is_not_made_anew(sync, ticks, query):
    one = sync()
    fine(one.run_once())
    one.close()
    query("DROP TABLE {}.ticks SYNC")
    assert "is gone" in str(failure(sync().run_once()))


def test_an_older_version_of_a_row_in_the_target_is_told(buffer, sync, ticks, query):
    one = sync([KEYED])
    assert error_of(one) is None
    buffer.execute("UPDATE ticks SET v = 'y'")
    assert error_of(one) is None
    query("ALTER TABLE {}.ticks DELETE WHERE v = 'y' SETTINGS mutations_sync = 2")
    one.close()
    assert "older versions" in str(error_of(sync([KEYED])))


def test_rows_may_leave_a_target_that_expires_them(buffer, sync, ticks, query):
    one = sync([Table(name="ticks", expires=True)])
    assert error_of(one) is None
    query("TRUNCATE TABLE {}.ticks")
    buffer.execute("INSERT INTO ticks VALUES (10, 'x')")
    assert error_of(one) is None
    assert query("SELECT a FROM {}.ticks") == [(10,)]


@pytest.mark.parametrize("delete_sent", [False, True])
def test_starting_over_keeps_deletions_of_a_table_with_a_key(buffer, sync, ticks, query, delete_sent):
    one = sync([KEYED])
    assert error_of(one) is None
    buffer.execute("DELETE FROM ticks WHERE a < 5")
    assert "deleted" in one.describe_reset("ticks") if not delete_sent else "DELETED"
    one.reset("ticks", delete_sent=delete_sent)
    assert error_of(one) is None
    assert query("SELECT count(), min(a) FROM {}.ticks FINAL") == [(5, 5)]
    assert one.run_once()[0].rows == 0


@pytest.mark.parametrize("delete_sent", [False, True])
def test_starting_over_leaves_or_deletes_what_an_append_only_table_sent(
    buffer, sync, ticks, query, target, delete_sent
):
    one = sync()
    assert error_of(one) is None
    assert "the 10 sent before" in one.describe_reset("ticks")
    one.reset("ticks", delete_sent=delete_sent)
    assert ("the 0 sent" if delete_sent else "those sent before") in one.describe_reset("ticks")
    assert error_of(one) is None
    one.close()
    with Sync(buffer, ["ticks"], target) as again:  # the rows from before are its own
        assert error_of(again) is None
    assert query("SELECT count(), uniqExact(a) FROM {}.ticks") == [(10 if delete_sent else 20, 10)]


def test_a_key_may_change_by_starting_over_into_another_target(buffer, sync, ticks, query):
    one = sync([KEYED])
    assert error_of(one) is None
    one.close()
    other = sync([Table(name="ticks", key=["a", "v"], target="pairs")])
    assert "start over" in str(error_of(other))
    other.reset("ticks")
    assert error_of(other) is None
    assert query("SELECT count() FROM {}.pairs FINAL") == [(10,)]


@pytest.mark.parametrize(
    ("table", "column", "loss"),
    [
        ("ticks", "v", "DROP COLUMN v"),
        ("ticks", "l_is_null", "DROP COLUMN l_is_null"),
        (KEYED, "l", "DROP COLUMN l"),
        (Table(name="ticks", expires=True), "v", "RENAME COLUMN v TO other"),
    ],
    ids=["append-only", "what tells NULL", "with a key", "renamed"],
)
def test_a_column_that_is_gone_from_the_target_is_told_and_not_made_anew(
    buffer, sync, ticks, query, table, column, loss
):
    buffer.execute("ALTER TABLE ticks ADD COLUMN l INTEGER[]")
    one = sync([table])
    assert error_of(one) is None
    query("ALTER TABLE {}.ticks " + loss)
    buffer.execute("INSERT INTO ticks VALUES (10, 'x', [1])")
    error_of(one)
    one.close()
    again = sync([table])
    for _ in range(2):
        error = error_of(again)
        assert isinstance(error, TargetChangedError)
        assert f"no column {column!r}" in str(error)
    buffer.execute("ALTER TABLE ticks ADD COLUMN later INTEGER")
    assert f"no column {column!r}" in str(error_of(again))
    assert query("SELECT count() FROM {}.ticks") == [(10,)]
    query("DROP TABLE {}.ticks SYNC")
    again.reset("ticks")
    assert error_of(again) is None
