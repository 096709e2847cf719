"""Append-only tables: what is in the buffer arrives once, whatever its writers do meanwhile."""

import threading

from otel_duckdb.sync import Limits
from sync_passes import arrived, fine, rows


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
