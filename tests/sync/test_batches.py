"""Batches: no larger than the limits allow, and each one block of one INSERT."""

from otel_duckdb.sync import Limits
from sync_passes import arrived, fine, rows


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


def test_rows_that_suddenly_get_wide_are_read_in_smaller_batches(buffer, sync, query):
    buffer.execute("CREATE TABLE ticks AS SELECT range AS a, 'x' AS s FROM range(30000)")
    buffer.execute("INSERT INTO ticks SELECT 30000 + range, repeat('y', 100000) FROM range(60)")
    one = sync(batch=Limits(bytes=1_000_000))
    assert one.run_once()[0].error is None
    assert arrived(query) == rows(*range(30_060))
    largest = query("SELECT max(c) FROM (SELECT countIf(length(s) > 1) AS c FROM {}.ticks GROUP BY _sync_batch)")[0][0]
    assert 1 <= largest <= 12


def test_a_pass_over_fewer_rows_than_a_batch_takes_is_one_insert(sync, ticks, query):
    one = sync()
    for begin in (0, 50_000):
        ticks(begin, begin + 50_000)
        fine(one.run_once())
    assert query("SELECT count() FROM {}.ticks GROUP BY _sync_batch ORDER BY _sync_batch") == [(50_000,), (50_000,)]
