"""What leaves the buffer: stored rows where that is wanted, and what a full buffer may do without."""

from otel_duckdb.sync import BufferChangedError, Limits, Table
from sync_passes import arrived, failure, fine, rows


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


def test_a_row_changed_by_others_is_not_deleted_from_the_buffer(buffer, sync, ticks):
    fine_one = sync([Table(name="ticks", delete=True, keep_rows=10)])
    ticks(0, 10)
    fine(fine_one.run_once())
    buffer.execute("UPDATE ticks SET s = 'changed' WHERE a = 1")
    ticks(10, 20)
    assert isinstance(failure(fine_one.run_once()), BufferChangedError)
    assert buffer.execute("SELECT count(*) FROM ticks").fetchall() == [(20,)]


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
