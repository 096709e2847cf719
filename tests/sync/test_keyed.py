"""Tables with a key: the target holds, under FINAL, what the buffer holds."""

import pytest

from clickhouse_standin import Fault, Kind
from otel_duckdb.sync import DuplicateKeyError, Limits, Retry, Sync, SyncConfigError, Table

KEYED = Table(name="orders", key=["venue", "id"])


@pytest.fixture
def orders(buffer):
    buffer.execute("CREATE TABLE orders (venue VARCHAR, id HUGEINT, state VARCHAR, legs INTEGER[])")
    buffer.execute("INSERT INTO orders SELECT 'X' || range % 3, range, 'new', [range] FROM range(5000)")


def now_stored(query):
    return query(
        "SELECT venue, count(), sum(id), countIf(state = 'new'), countIf(legs_is_null) FROM {}.orders FINAL "
        "GROUP BY venue ORDER BY venue"
    )


def in_buffer(buffer):
    return buffer.execute(
        "SELECT venue, count(*), sum(id)::BIGINT, count(*) FILTER (state = 'new'), count(*) FILTER (legs IS NULL) "
        "FROM orders WHERE venue < 'X9' GROUP BY venue ORDER BY venue"
    ).fetchall()


def test_new_changed_and_deleted_rows_follow(buffer, sync, orders, query):
    one = sync([KEYED], batch=Limits(rows=700))
    assert one.run_once()[0].rows == 5000
    assert now_stored(query) == in_buffer(buffer)
    buffer.execute("UPDATE orders SET state = 'filled', legs = NULL WHERE id % 10 = 0")
    buffer.execute("DELETE FROM orders WHERE id < 100")
    buffer.execute("INSERT INTO orders VALUES ('X9', 170141183460469231731687303715884105727, 'new', [])")
    (report,) = one.run_once()
    assert (report.error, report.rows) == (None, 490 + 100 + 1)
    assert [row[0] for row in now_stored(query)] == ["X0", "X1", "X2", "X9"]
    assert now_stored(query)[:3] == in_buffer(buffer)[:3]
    assert one.run_once()[0].rows == 0


def test_a_key_that_comes_back_is_not_deleted_any_more(buffer, sync, orders, query):
    one = sync([KEYED])
    one.run_once()
    buffer.execute("DELETE FROM orders WHERE id = 7")
    one.run_once()
    buffer.execute("INSERT INTO orders VALUES ('X1', 7, 'again', [])")
    one.run_once()
    assert query("SELECT state FROM {}.orders FINAL WHERE id = 7") == [("again",)]


def test_an_update_that_commits_late_is_not_missed(buffer, sync, orders, query):
    one = sync([KEYED])
    early = buffer.cursor()
    early.execute("BEGIN")
    early.execute("UPDATE orders SET state = 'late' WHERE id = 1")
    buffer.execute("UPDATE orders SET state = 'soon' WHERE id = 2")
    one.run_once()
    early.execute("COMMIT")
    assert one.run_once()[0].rows == 1
    assert query("SELECT state FROM {}.orders FINAL WHERE id IN (1, 2) ORDER BY id") == [("late",), ("soon",)]


def test_an_answer_lost_leaves_each_row_once(buffer, server, served, orders, served_query):
    retry = Retry(attempts=1, seconds=5)
    with Sync(buffer, [KEYED], served, batch=Limits(rows=700), retry=retry) as one:
        with server.fault(Fault(Kind.LOST_ANSWER, "^INSERT INTO", after=1, times=2, seconds=0.05)):
            assert one.run_once()[0].error is not None
            buffer.execute("UPDATE orders SET state = 'filled' WHERE id % 2 = 0")
            assert one.run_once()[0].error is not None
        assert one.run_once()[0].error is None
    assert now_stored(served_query) == in_buffer(buffer)


def test_after_a_reset_newer_versions_still_win(buffer, sync, orders, query):
    one = sync([KEYED])
    one.run_once()
    buffer.execute("UPDATE orders SET state = 'filled'")
    one.run_once()
    one.reset("orders")
    buffer.execute("UPDATE orders SET state = 'new' WHERE id = 5")
    one.run_once()
    assert now_stored(query) == in_buffer(buffer)


def test_a_column_added_is_filled_for_all_rows(buffer, sync, orders, query):
    one = sync([KEYED])
    one.run_once()
    buffer.execute("ALTER TABLE orders ADD COLUMN desk VARCHAR DEFAULT 'london'")
    assert one.run_once()[0].rows == 5000
    assert query("SELECT desk, count() FROM {}.orders FINAL GROUP BY desk") == [("london", 5000)]


def test_null_in_a_key_is_refused_with_its_row(buffer, sync, orders):
    buffer.execute("INSERT INTO orders VALUES (NULL, 1, 'x', [])")
    assert "column 'venue'" in str(sync([KEYED]).run_once()[0].error)


def test_a_table_does_not_change_between_keyed_and_append_only(sync, orders):
    one = sync([KEYED])
    one.run_once()
    one.close()
    error = sync(["orders"]).run_once()[0].error
    assert isinstance(error, SyncConfigError)


def test_deleting_from_the_buffer_and_a_key_exclude_each_other():
    with pytest.raises(SyncConfigError, match="`delete`"):
        Table(name="orders", key=["id"], delete=True)


@pytest.mark.parametrize(
    ("change", "meanwhile", "stored"),
    [
        ("INSERT INTO orders VALUES (1, 'new')", "DELETE FROM orders WHERE id = 1", []),
        ("UPDATE orders SET state = 'odd' WHERE id = 0", "UPDATE orders SET state = 'new'", [(0, "new")]),
        ("DELETE FROM orders", "INSERT INTO orders VALUES (0, 'new')", [(0, "new")]),
    ],
    ids=["inserted, then gone", "changed, then changed back", "gone, then back"],
)
def test_what_arrived_without_an_answer_is_set_right(buffer, server, served, served_query, change, meanwhile, stored):
    buffer.execute("CREATE TABLE orders AS SELECT 0 AS id, 'new' AS state")
    with Sync(buffer, [Table(name="orders", key=["id"])], served, retry=Retry(attempts=1, seconds=5)) as one:
        assert one.run_once()[0].error is None
        buffer.execute(change)
        with server.fault(Fault(Kind.LOST_ANSWER, "^INSERT INTO", times=1, seconds=0.05)):
            assert one.run_once()[0].error is not None
        buffer.execute(meanwhile)
        assert one.run_once()[0].error is None
        assert one.run_once()[0].rows == 0
    rest = [(0, "new")] if "id = 1" in meanwhile else []
    assert served_query("SELECT id, state FROM {}.orders FINAL ORDER BY id") == stored + rest


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("DECIMAL(38, 2)", "0", "-0.01"),
        ("HUGEINT", "0", "-1"),
        ("DOUBLE", "0.0", "'-0.0'::DOUBLE"),
        ("INTERVAL", "INTERVAL 30 DAY", "INTERVAL 1 MONTH"),
        ("INTEGER[]", "[]", "NULL"),
        ("STRUCT(a INTEGER)", "{'a': NULL}", "NULL"),
    ],
)
def test_a_change_is_seen_that_duckdb_gives_the_same_hash(buffer, sync, query, kind, before, after):
    buffer.execute(f"CREATE TABLE orders (id INTEGER PRIMARY KEY, v {kind})")
    buffer.execute(f"INSERT INTO orders VALUES (1, {before})")
    one = sync([Table(name="orders", key=["id"])])
    assert one.run_once()[0].rows == 1
    buffer.execute("DELETE FROM orders")  # DuckDB's UPDATE leaves a value alone that compares as equal
    buffer.execute(f"INSERT INTO orders VALUES (1, {after})")
    assert one.run_once()[0].rows == 1
    assert one.run_once()[0].rows == 0


def test_rows_that_share_a_key_are_refused_with_the_query_that_finds_them(buffer, sync):
    buffer.execute("CREATE TABLE orders AS SELECT range % 3000 AS id, range AS v FROM range(3007)")
    one = sync([Table(name="orders", key=["id"])], batch=Limits(rows=1000))
    (report,) = one.run_once()
    assert isinstance(report.error, DuplicateKeyError)
    assert "7 of its keys" in str(report.error)
    assert 'GROUP BY "id" HAVING count(*) > 1' in str(report.error)
    buffer.execute("DELETE FROM orders WHERE v >= 3000")
    assert one.run_once()[0].rows == 3000


def test_deletions_wait_too(buffer, sync, orders):
    one = sync([KEYED])
    one.run_once()
    buffer.execute("DELETE FROM orders WHERE id < 10")
    assert one.status()[0].pending_rows == 10
    one.run_once()
    assert one.status()[0].pending_rows == 0


def test_a_name_with_a_quote_has_a_status(buffer, sync):
    buffer.execute('CREATE TABLE orders ("i""d" INTEGER, v INTEGER)')
    buffer.execute("INSERT INTO orders VALUES (1, 2)")
    one = sync([Table(name="orders", key=['i"d'])])
    assert one.run_once()[0].rows == 1
    assert one.status()[0].pending_rows == 0
