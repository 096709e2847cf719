"""Faults of a ClickHouse over HTTP: those that pass are borne, the others told at once; no row is lost or doubled."""

import json
import threading

import pytest

from clickhouse_standin import Fault, Kind
from otel_duckdb.sync import Limits, Retry, Sync, Table, Target, TargetError, TargetUnavailableError

QUICK = Retry(attempts=5, seconds=30, initial_delay=0.01, max_delay=0.05)


@pytest.fixture
def ticks(buffer):
    buffer.execute("CREATE TABLE ticks AS SELECT range AS a, 'n' || range AS s FROM range(5000)")


@pytest.fixture
def sync(buffer, served):
    with Sync(buffer, ["ticks"], served, batch=Limits(rows=1000), retry=QUICK) as one:
        yield one


def arrived(served_query):
    return served_query("SELECT count(), uniqExact(a), uniqExact(_sync_batch) > 4 FROM {}.ticks")[0]


WHOLE = (5000, 5000, True)
INSERT = "^INSERT INTO .*ticks"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(Kind.RESET, INSERT, times=3, after=1),
        Fault(Kind.ERROR, INSERT, times=2, after=2, code=252),
        Fault(Kind.ERROR, INSERT, times=2, code=241),
        Fault(Kind.ERROR, INSERT, times=1, code=159),
        Fault(Kind.LOST_ANSWER, INSERT, times=1, after=1, seconds=0.1),
        Fault(Kind.LOST_ANSWER, INSERT, times=1, after=1, seconds=3.0),
        Fault(Kind.SLOW, INSERT, times=2, seconds=0.5),
        Fault(Kind.STATUS, INSERT, times=2, status=500),
        Fault(Kind.STATUS, "^SELECT", times=1, status=503),
        Fault(Kind.LATE_STATUS, INSERT, times=1, after=1, status=504),
        Fault(Kind.ERROR, "^SELECT", times=1, code=241),
        Fault(Kind.ERROR, "^CREATE TABLE", times=1, code=999),
    ],
    ids=lambda fault: f"{fault.kind.value} {fault.code} {fault.status} {fault.seconds:g}",
)
def test_a_fault_that_passes_is_borne(server, sync, ticks, served_query, fault):
    with server.fault(fault):
        (report,) = sync.run_once()
        assert server.faults()[0]["met"] >= 1
    assert report.error is None
    assert arrived(served_query) == WHOLE


def test_a_refused_connection_fails_the_pass_and_the_next_goes_on(server, sync, ticks, served_query):
    with server.refusing():
        (report,) = sync.run_once()
        assert isinstance(report.error, TargetUnavailableError)
        assert sync.status()[0].failing_since is not None
    (report,) = sync.run_once()
    assert (report.error, report.rows) == (None, 5000)
    assert sync.status()[0].failing_since is None
    assert arrived(served_query) == WHOLE


def test_a_batch_stored_without_an_answer_is_not_sent_twice_by_a_later_sync(
    buffer, server, served, ticks, served_query
):
    impatient = Retry(attempts=1, seconds=5)
    fault = Fault(Kind.LOST_ANSWER, INSERT, after=2, times=1, seconds=3.0)
    with Sync(buffer, ["ticks"], served, batch=Limits(rows=1000), retry=impatient) as one:
        with server.fault(fault):
            (report,) = one.run_once()
        assert isinstance(report.error, TargetUnavailableError)
        assert one.status()[0].batch_on_its_way == 3
    buffer.execute("CHECKPOINT")
    with Sync(buffer, ["ticks"], served, batch=Limits(rows=1000), retry=QUICK) as one:
        assert one.run_once()[0].error is None
    assert arrived(served_query) == WHOLE


def test_a_batch_is_found_again_after_row_ids_were_given_anew(buffer, server, served, served_query):
    buffer.execute("CREATE TABLE ticks AS SELECT range AS a FROM range(300000)")
    buffer.execute("CHECKPOINT")
    buffer.execute("DELETE FROM ticks WHERE a < 250000")
    table = Table(name="ticks")
    with Sync(buffer, [table], served, batch=Limits(rows=2000), retry=Retry(attempts=1, seconds=5)) as one:
        with server.fault(Fault(Kind.RESET, INSERT, after=1)):
            assert one.run_once()[0].error is not None
    buffer.execute("CHECKPOINT")
    with Sync(buffer, [table], served, retry=QUICK) as one:
        assert one.run_once()[0].error is None
    assert served_query("SELECT count(), uniqExact(a) FROM {}.ticks") == [(50_000, 50_000)]


@pytest.mark.parametrize("change", ["UPDATE ticks SET s = 'x' WHERE a = 1500", "DELETE FROM ticks WHERE a = 1500"])
def test_a_batch_on_its_way_whose_rows_changed_is_refused(buffer, server, sync, ticks, change):
    with server.fault(Fault(Kind.ERROR, INSERT, after=1, code=60)):
        assert sync.run_once()[0].error is not None
    buffer.execute(change)
    assert "is on its way" in str(sync.run_once()[0].error)


@pytest.mark.parametrize("partition_by", [None, "a % 2"], ids=["of all rows", "of one partition's rows"])
def test_a_token_remembered_without_its_rows_does_not_lose_them(
    buffer, server, served, ticks, served_query, partition_by
):
    """So a server without replication may be left by a kill between its two files: the rows must come all the same."""
    table = Table(name="ticks", order_by=["a"], partition_by=partition_by)
    with Sync(buffer, [table], served, retry=QUICK, batch=Limits(rows=1000)) as one:
        with server.fault(Fault(Kind.ERROR, INSERT, code=60)):
            assert isinstance(one.run_once()[0].error, TargetError)
    ((text,),) = buffer.execute("SELECT state FROM otel_duckdb_sync.tables").fetchall()
    token = json.loads(text)["pending"]["token"]
    columns = "a, _sync_source, _sync_batch"
    served_query(f"INSERT INTO {{}}.ticks ({columns}) SETTINGS insert_deduplication_token = '{token}' VALUES (0, 0, 0)")
    with Sync(buffer, [table], served, retry=QUICK, batch=Limits(rows=1000)) as one:
        assert one.run_once()[0].error is None
    assert served_query("SELECT count(), uniqExact(a) FROM {}.ticks WHERE _sync_source > 0") == [(5000, 5000)]


@pytest.mark.parametrize(("code", "word"), [(16, "16"), (53, "53"), (516, "516"), (497, "497")])
def test_a_fault_that_stays_is_told_at_once_with_table_batch_and_cause(server, sync, ticks, code, word):
    with server.fault(Fault(Kind.ERROR, INSERT, after=1, code=code)):
        (report,) = sync.run_once()
        assert server.faults()[0]["met"] == 1
    assert isinstance(report.error, TargetError)
    text = str(report.error)
    assert "table 'ticks', batch 2" in text
    assert word in text


def test_an_outage_of_many_passes_loses_nothing(buffer, server, sync, ticks, served_query):
    with server.refusing():
        for _ in range(5):
            assert sync.run_once()[0].error is not None
            buffer.execute("INSERT INTO ticks SELECT 5000 + (SELECT count(*) FROM ticks) + range, 'x' FROM range(100)")
    assert sync.run_once()[0].error is None
    assert served_query("SELECT count(), uniqExact(a) FROM {}.ticks") == [(5500, 5500)]


def test_a_full_buffer_loses_its_oldest_rows_in_an_outage_where_that_is_wanted(
    buffer, server, served, ticks, served_query
):
    table = Table(name="ticks", limit_rows=2000, when_full="drop_oldest")
    with Sync(buffer, [table], served, batch=Limits(rows=1000), retry=QUICK) as one:
        with server.fault(Fault(Kind.RESET, INSERT, after=1)):
            assert one.run_once()[0].error is not None
        (status,) = one.status()
        assert (status.rows_in_buffer, status.deleted_rows, status.dropped_rows) == (2000, 1000, 2000)
        assert one.run_once()[0].error is None
    stored = served_query("SELECT count(), uniqExact(a), min(a), countIf(a >= 4000) FROM {}.ticks")
    assert stored == [(3000, 3000, 0, 1000)]


def test_stopping_does_not_wait_for_an_outage_to_end(server, sync, ticks):
    with server.refusing():
        patient = Retry(attempts=1000, seconds=1000, initial_delay=5, max_delay=60)
        object.__setattr__(sync.config, "retry", patient)
        sync.start(1)
        threading.Event().wait(0.5)
        assert sync.stop(5)


def test_a_wrong_host_is_told_with_its_name(buffer, ticks):
    with Sync(
        buffer, ["ticks"], Target(host="127.0.0.1", port=1), retry=Retry(attempts=2, seconds=5, initial_delay=0.01)
    ) as one:
        (report,) = one.run_once()
    assert "ClickHouse at 127.0.0.1:1" in str(report.error)
