"""Append-only tables: what is in the buffer arrives once, whatever happens to row ids."""

import threading
import time

import pytest

from clickhouse_standin import Fault, Kind
from otel_duckdb.sync import BufferChangedError, Limits, Retry, Sync, SyncError, Table


def arrived(query, table="ticks"):
    return query(f"SELECT count(), uniqExact(a), sum(a) FROM {{}}.{table}")[0]


def rows(*numbers):
    return (len(numbers), len(set(numbers)), sum(numbers))


def fine(reports):
    assert [report.error for report in reports] == [None] * len(reports)
    return sum(report.rows for report in reports)


def failure(reports):
    (report,) = reports
    assert report.error is not None
    return report.error


@pytest.fixture
def ticks(buffer):
    buffer.execute("CREATE TABLE ticks (a BIGINT, s VARCHAR)")

    def insert(low, high):
        buffer.execute("INSERT INTO ticks SELECT range, 'n' || range FROM range($1, $2)", [low, high])

    return insert


def test_each_pass_sends_what_came_since_the_one_before(sync, ticks, query):
    one = sync()
    ticks(0, 1000)
    assert fine(one.run_once()) == 1000
    assert fine(one.run_once()) == 0
    ticks(1000, 1010)
    assert fine(one.run_once()) == 10
    assert arrived(query) == rows(*range(1010))


def test_a_later_sync_goes_on_where_the_earlier_ended(sync, ticks, query):
    ticks(0, 100)
    one = sync()
    fine(one.run_once())
    one.close()
    ticks(100, 120)
    assert fine(sync().run_once()) == 20
    assert arrived(query) == rows(*range(120))


def test_batches_keep_within_the_limit_of_rows(sync, ticks, query):
    ticks(0, 10_000)
    fine(sync(batch=Limits(rows=3000)).run_once())
    sizes = query("SELECT count() AS n FROM {}.ticks GROUP BY _sync_batch ORDER BY n DESC")
    assert sizes[0][0] <= 3000
    assert sum(size for (size,) in sizes) == 10_000


def test_batches_keep_within_the_limit_of_bytes(buffer, sync, query):
    buffer.execute("CREATE TABLE ticks AS SELECT range AS a, repeat('x', 10000) AS s FROM range(2000)")
    fine(sync(batch=Limits(bytes=1_000_000)).run_once())
    ((largest,),) = query("SELECT max(n) FROM (SELECT count() AS n FROM {}.ticks GROUP BY _sync_batch)")
    assert largest <= 125
    assert arrived(query) == rows(*range(2000))


def test_one_batch_is_one_insert_block(sync, ticks, query):
    ticks(0, 1_200_000)
    fine(sync(batch=Limits(rows=1_100_000)).run_once())  # more than ClickHouse puts into a block by itself
    blocks = query("SELECT uniqExact(_block_number) FROM {}.ticks GROUP BY _sync_batch")
    assert blocks
    assert set(blocks) == {(1,)}


def test_rows_of_concurrent_writers_all_arrive_once(buffer, sync, query):
    buffer.execute("CREATE TABLE ticks (a BIGINT, w INTEGER)")
    one = sync(batch=Limits(rows=500))
    ending = threading.Event()
    written = [0] * 4

    def write(writer, cursor):
        while not ending.is_set():
            cursor.execute("BEGIN")
            low = written[writer]
            cursor.execute(
                "INSERT INTO ticks SELECT $1::BIGINT * 1000000 + range, $1 FROM range($2, $3)", [writer, low, low + 37]
            )
            ending.wait(0.003 * (writer + 1))
            if low % 5 == 4:
                cursor.execute("ROLLBACK")
                written[writer] += 1
            else:
                cursor.execute("COMMIT")
                written[writer] += 37
                done[writer] += 37

    done = [0] * 4
    threads = [threading.Thread(target=write, args=(writer, buffer.cursor())) for writer in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(15):
        fine(one.run_once())
    ending.set()
    for thread in threads:
        thread.join()
    fine(one.run_once())
    assert query("SELECT w, count(), uniqExact(a) FROM {}.ticks GROUP BY w ORDER BY w") == [
        (writer, done[writer], done[writer]) for writer in range(4)
    ]


def test_a_writer_that_commits_late_is_not_missed(buffer, sync, ticks, query):
    one = sync()
    early = buffer.cursor()
    early.execute("BEGIN")
    early.execute("INSERT INTO ticks VALUES (1, 'early to write, late to commit')")
    ticks(10, 20)
    fine(one.run_once())
    early.execute("COMMIT")
    assert fine(one.run_once()) == 1
    assert arrived(query) == rows(1, *range(10, 20))


def test_a_rolled_back_row_is_not_sent(buffer, sync, ticks, query):
    buffer.execute("BEGIN")
    ticks(0, 300_000)
    buffer.execute("ROLLBACK")
    ticks(5, 8)
    fine(sync().run_once())
    assert arrived(query) == rows(5, 6, 7)


def test_stored_rows_leave_the_buffer_and_row_ids_may_be_given_anew(buffer, sync, ticks, query):
    one = sync([Table(name="ticks", delete=True)])
    for step in range(5):
        ticks(step * 1000, step * 1000 + 1000)
        assert fine(one.run_once()) == 1000
        assert buffer.execute("SELECT count(*) FROM ticks").fetchall() == [(0,)]
        buffer.execute("CHECKPOINT")
    assert arrived(query) == rows(*range(5000))


def test_the_newest_stored_rows_stay_where_that_is_wanted(buffer, sync, ticks, query):
    one = sync([Table(name="ticks", delete=True, keep_rows=100)], batch=Limits(rows=50_000))
    for step in range(2):
        ticks(step * 200_000, step * 200_000 + 200_000)
        buffer.execute("CHECKPOINT")
        assert fine(one.run_once()) == 200_000
        buffer.execute("CHECKPOINT")
        assert buffer.execute("SELECT min(a), count(*) FROM ticks").fetchall() == [((step + 1) * 200_000 - 100, 100)]
    assert arrived(query) == rows(*range(400_000))


def test_a_position_survives_the_renumbering_of_row_ids(buffer, sync, ticks, query):
    """Rows deleted before they were sent leave gaps, that a checkpoint closes."""
    one = sync([Table(name="ticks")])
    ticks(0, 300_000)
    buffer.execute("CHECKPOINT")
    buffer.execute("DELETE FROM ticks WHERE a < 200000")
    fine(one.run_once())
    before = buffer.execute("SELECT max(rowid) FROM ticks").fetchall()
    buffer.execute("CHECKPOINT")
    assert buffer.execute("SELECT max(rowid) FROM ticks").fetchall() != before
    ticks(300_000, 300_500)
    assert fine(one.run_once()) == 500
    assert arrived(query) == rows(*range(200_000, 300_500))


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


def test_a_row_changed_by_others_is_not_deleted_from_the_buffer(buffer, sync, ticks):
    fine_one = sync([Table(name="ticks", delete=True, keep_rows=10)])
    ticks(0, 10)
    fine(fine_one.run_once())
    buffer.execute("UPDATE ticks SET s = 'changed' WHERE a = 1")
    ticks(10, 20)
    assert isinstance(failure(fine_one.run_once()), BufferChangedError)
    assert buffer.execute("SELECT count(*) FROM ticks").fetchall() == [(20,)]


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


def test_a_column_that_is_gone_is_refused_by_name(buffer, sync, ticks):
    one = sync()
    ticks(0, 10)
    fine(one.run_once())
    buffer.execute("ALTER TABLE ticks DROP COLUMN s")
    assert "column 's' (VARCHAR) is gone" in str(failure(one.run_once()))


def test_one_bad_table_does_not_stop_the_others(buffer, sync, ticks, query):
    buffer.execute("CREATE TABLE odd (u UNION(n INTEGER, s VARCHAR))")
    ticks(0, 10)
    one = sync(["ticks", "odd", "missing"])
    reports = {report.name: report for report in one.run_once()}
    assert reports["ticks"].error is None
    assert "column 'u'" in str(reports["odd"].error)
    assert "'missing'" in str(reports["missing"].error)
    assert arrived(query) == rows(*range(10))


def test_a_full_buffer_loses_stored_rows_first(buffer, sync, ticks, query):
    ticks(0, 1000)
    one = sync([Table(name="ticks", limit_rows=300, when_full="drop_oldest")])
    assert fine(one.run_once()) == 1000
    assert buffer.execute("SELECT min(a), count(*) FROM ticks").fetchall() == [(700, 300)]
    (status,) = one.status()
    assert (status.deleted_rows, status.dropped_rows) == (700, 0)
    assert arrived(query) == rows(*range(1000))


def test_the_status_tells_a_full_buffer_that_keeps_its_rows(sync, ticks):
    ticks(0, 1000)
    one = sync([Table(name="ticks", limit_rows=300)])
    assert one.status()[0].full
    assert not one.status()[0].healthy
    fine(one.run_once())
    assert one.status()[0].healthy


def test_rows_in_a_target_are_sorted_and_parted_as_asked(sync, ticks, query, target):
    ticks(0, 100)
    fine(sync([Table(name="ticks", order_by=["a"], partition_by="a % 4", target="other")]).run_once())
    ((key, partition, count),) = query(
        f"SELECT sorting_key, partition_key, total_rows FROM system.tables WHERE database = '{target.database}'"
    )
    assert (key.strip("()"), partition, count) == ("a", "a % 4", 100)


def test_null_in_a_column_the_target_sorts_by_is_refused_with_its_row(buffer, sync, ticks):
    ticks(0, 5)
    buffer.execute("INSERT INTO ticks VALUES (NULL, 'x')")
    error = str(failure(sync([Table(name="ticks", order_by=["a"])]).run_once()))
    assert "column 'a'" in error
    assert "rowid 5" in error


def test_an_older_copy_of_the_database_is_refused(tmp_path, ticks, sync, buffer, target):
    one = sync()
    ticks(0, 10)
    fine(one.run_once())
    one.close()
    buffer.execute("CHECKPOINT")
    buffer.execute(f"ATTACH '{tmp_path / 'copy.duckdb'}' AS copy")
    buffer.execute("COPY FROM DATABASE buffer TO copy")
    buffer.execute("DETACH copy")
    ticks(10, 20)
    later = sync()
    fine(later.run_once())
    later.close()
    with Sync(tmp_path / "copy.duckdb", ["ticks"], target) as restored:
        assert "older copy" in str(failure(restored.run_once()))


def test_a_target_that_is_gone_is_not_made_anew(sync, ticks, query):
    one = sync()
    ticks(0, 10)
    fine(one.run_once())
    one.close()
    query("DROP TABLE {}.ticks SYNC")
    assert "is gone" in str(failure(sync().run_once()))


def test_a_target_that_does_not_deduplicate_is_refused_with_the_remedy(sync, ticks, query, target):
    query(f"CREATE DATABASE {target.database}")
    query(
        "CREATE TABLE {}.ticks (a Nullable(Int64), s Nullable(String), _sync_source UInt64, _sync_batch UInt64) "
        "ENGINE = MergeTree ORDER BY tuple()"
    )
    ticks(0, 10)
    one = sync()
    error = str(failure(one.run_once()))
    assert "MODIFY SETTING non_replicated_deduplication_window" in error
    query("ALTER TABLE {}.ticks MODIFY SETTING non_replicated_deduplication_window = 100")
    assert fine(one.run_once()) == 10


def test_a_thread_syncs_until_it_is_stopped(sync, ticks, query):
    one = sync()
    one.start(interval=0.01)
    with pytest.raises(SyncError, match="running already"):
        one.start()
    ticks(0, 10)
    for _ in range(500):
        if one.status()[0].acknowledged_rows == 10:
            break
        threading.Event().wait(0.01)
    assert one.stop(10)
    assert arrived(query) == rows(*range(10))


def test_unsent_rows_are_dropped_only_where_a_pass_failed(buffer, sync, query):
    buffer.execute("CREATE TABLE ticks AS SELECT range AS a FROM range(5000)")
    table = Table(name="ticks", limit_rows=100, when_full="drop_oldest")
    one = sync([table], batch=Limits(rows=1000), progress=lambda *_: one.stop())
    fine(one.run_once())
    assert one.status()[0].pending_rows > 0
    while one.status()[0].pending_rows:
        fine(one.run_once())
    assert one.status()[0].dropped_rows == 0
    assert arrived(query) == rows(*range(5000))


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


@pytest.mark.parametrize("engine", ["SummingMergeTree", "AggregatingMergeTree", "ReplacingMergeTree"])
def test_an_engine_that_merges_rows_is_refused(sync, ticks, engine):
    ticks(0, 3)
    assert "does not keep every row" in str(
        failure(sync([Table(name="ticks", order_by=["a"], engine=engine)]).run_once())
    )


def test_a_table_that_retries_holds_up_no_other(buffer, server, served, served_query):
    buffer.execute("CREATE TABLE ticks AS SELECT 1 AS a")
    buffer.execute("CREATE TABLE bad AS SELECT 1 AS a")
    with Sync(buffer, ["ticks", "bad"], served, retry=Retry(attempts=1000, seconds=60, max_delay=0.1)) as one:
        with server.fault(Fault(Kind.ERROR, "^INSERT INTO .*bad", code=252)):
            one.start(interval=0.01)
            for number in range(2, 5):
                buffer.cursor().execute("INSERT INTO ticks VALUES ($1)", [number])
                deadline = time.monotonic() + 10
                while one.status()[0].pending_rows and time.monotonic() < deadline:
                    time.sleep(0.01)
        assert one.status()[0].pending_rows == 0
        assert one.stop(timeout=10)


def test_progress_may_stop_the_sync_and_may_fail(sync, ticks):
    ticks(0, 3000)
    told = []

    def progress(name, count):
        told.append(count)
        assert one.stop() is False
        raise KeyError(name)

    one = sync(batch=Limits(rows=1000), progress=progress)
    one.start(interval=0.01)
    deadline = time.monotonic() + 10
    while not told and time.monotonic() < deadline:
        time.sleep(0.01)
    assert one.stop(timeout=10)
    assert one.status()[0].acknowledged_rows == sum(told) > 0
