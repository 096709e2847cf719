"""Trouble with one table holds up no other."""

import time

from clickhouse_standin import Fault, Kind
from otel_duckdb.sync import Retry, Sync
from sync_passes import arrived, rows


def test_one_bad_table_does_not_stop_the_others(buffer, sync, ticks, query):
    buffer.execute("CREATE TABLE odd (u UNION(n INTEGER, s VARCHAR))")
    ticks(0, 10)
    one = sync(["ticks", "odd", "missing"])
    reports = {report.name: report for report in one.run_once()}
    assert reports["ticks"].error is None
    assert "column 'u'" in str(reports["odd"].error)
    assert "'missing'" in str(reports["missing"].error)
    assert arrived(query) == rows(*range(10))


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
