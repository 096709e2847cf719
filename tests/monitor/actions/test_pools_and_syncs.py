"""Actions on pools and on syncs, by name and by an Alertmanager; each does what it says, and no more."""

import threading
import time

import duckdb
import pytest
import sqlalchemy
from sqlalchemy.pool import QueuePool

from eventually import eventually
from otel_duckdb import DuckDBInstrumentor
from otel_duckdb.monitor import Monitor
from otel_duckdb.telemetry import syncs
from otel_duckdb.telemetry.syncs import TablePass

ACTIONS = ("renew_connections", "sync_now")


@pytest.fixture
def monitor():
    DuckDBInstrumentor().instrument()
    with Monitor(interval_ms=100, serve=False, actions=ACTIONS) as found:
        yield found
    DuckDBInstrumentor().uninstrument()


@pytest.fixture(params=[False, True], ids=["first in first out", "last in first out"])
def engine(request, monitor, tmp_path):
    made = sqlalchemy.create_engine(
        f"duckdb:///{tmp_path / 'shop.duckdb'}", pool_size=3, max_overflow=0, pool_use_lifo=request.param
    )
    yield made
    made.dispose()


def filled(engine):
    """Open all connections of the pool, and give them back; DuckDB's own objects behind them."""
    borrowed = [engine.raw_connection() for _ in range(3)]
    kept = [one.dbapi_connection for one in borrowed]
    for one in borrowed:
        one.close()
    return kept


def only(results):
    (result,) = results
    return result


def test_idle_connections_that_fail_are_renewed_and_the_others_are_kept(monitor, engine):
    kept = filled(engine)
    assert only(monitor.run_action("renew_connections", "shop", dry_run=True))["detail"] == "probe 3 idle connections"
    broken = kept[1]
    broken._ConnectionWrapper__c.close()
    result = only(monitor.run_action("renew_connections", "shop"))
    assert (result["outcome"], result["database"]) == ("done", "shop")
    assert result["detail"].startswith("1 of 3 idle connections did not work")
    assert (result["before"]["idle_connections"], result["after"]["idle_connections"]) == (3, 2)
    assert engine.pool.checkedin() == 3
    again = filled(engine)
    assert len({id(one) for one in again} & {id(one) for one in kept}) == 2
    result = only(monitor.run_action("renew_connections", "shop"))
    assert (result["outcome"], result["detail"]) == ("nothing to do", "3 idle connections were probed, and all work")


def test_a_connection_in_use_is_not_touched_and_nobody_waits_for_long(monitor, engine):
    filled(engine)
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("create table t as select 42 as a"))
        result = only(monitor.run_action("renew_connections", "shop"))
        assert result["detail"] == "2 idle connections were probed, and all work"
        assert connection.execute(sqlalchemy.text("select a from t")).scalar() == 42
    assert engine.pool.checkedout() == 0


def test_borrowers_work_while_connections_are_probed_again_and_again(monitor, engine):
    filled(engine)
    wrong, ending = [], threading.Event()

    def borrow():
        while not ending.is_set():
            with engine.connect() as connection:
                if connection.execute(sqlalchemy.text("select 42")).scalar() != 42:
                    wrong.append(1)

    threads = [threading.Thread(target=borrow) for _ in range(3)]
    for thread in threads:
        thread.start()
    outcomes = [only(monitor.run_action("renew_connections", "shop"))["outcome"] for _ in range(30)]
    ending.set()
    for thread in threads:
        thread.join()
    assert set(outcomes) == {"nothing to do"}
    assert not wrong
    assert (engine.pool.checkedout(), engine.pool.overflow()) == (0, 0)


def test_without_a_pool_there_is_nothing_to_renew(monitor, tmp_path):
    with duckdb.connect(tmp_path / "shop.duckdb"):
        result = only(monitor.run_action("renew_connections", "shop"))
    assert (result["outcome"], result["detail"]) == ("nothing to do", "no pool of SQLAlchemy is open on the database")


def test_who_waits_for_a_pool_s_connection_is_seen(monitor, tmp_path):
    engine = sqlalchemy.create_engine(
        f"duckdb:///{tmp_path / 'shop.duckdb'}", poolclass=QueuePool, pool_size=1, max_overflow=0
    )
    held = engine.connect()
    thread = threading.Thread(target=lambda: engine.connect().close(), name="the one who waits")
    thread.start()
    (request,) = eventually(lambda: [one for one in monitor.running()["pool_requests"] if one["seconds"] > 0.1])
    assert (request["pool"], request["thread"]) == ("shop", "the one who waits")
    held.close()
    thread.join()
    assert monitor.running()["pool_requests"] == []
    engine.dispose()


class Sync:
    """What a running sync shows of itself; the real one is in tests/sync/test_stopping.py."""

    def __init__(self, path, waiting=5, error=None):
        self.path, self._waiting, self._error = path, waiting, error

    def pending_rows(self):
        return self._waiting

    def sync_now(self, timeout):
        assert timeout > 0
        sent, self._waiting = self._waiting, 0
        return [TablePass("ticks", sent, self._error)]


def test_a_sync_of_the_database_sends_at_once_and_none_of_another(monitor, tmp_path):
    one, other = Sync(str(tmp_path / "shop.duckdb")), Sync(str(tmp_path / "other.duckdb"))
    syncs.runs(one)
    syncs.runs(other)
    with duckdb.connect(tmp_path / "shop.duckdb"):
        assert only(monitor.run_action("sync_now", "shop", dry_run=True))["detail"] == "let 1 sync send at once"
        result = only(monitor.run_action("sync_now", "shop"))
        assert (result["outcome"], result["detail"]) == ("done", "5 rows of 1 tables were sent")
        assert (result["before"]["pending_rows"], result["after"]["pending_rows"]) == (5, 0)
        assert other.pending_rows() == 5
        syncs.rests(one)
        assert only(monitor.run_action("sync_now", "shop"))["outcome"] == "nothing to do"


def notification(name, severity, fingerprint="f1"):
    labels = {"alertname": name, "severity": severity, "database": "shop"}
    alert = {"status": "firing", "labels": labels, "startsAt": "2026-11-26T02:00:00Z", "fingerprint": fingerprint}
    return {"version": "4", "groupKey": "{}", "alerts": [alert]}


def told(monitor, fingerprint="f1"):
    return next(one for one in monitor.alerts()["alertmanager"] if one["id"] == fingerprint)


def test_an_alertmanager_lets_actions_be_done_once(monitor, tmp_path):
    sync = Sync(str(tmp_path / "shop.duckdb"))
    syncs.runs(sync)
    with duckdb.connect(tmp_path / "shop.duckdb"):
        for _ in range(3):
            monitor.receive_alertmanager(notification("DuckDBSyncLagHigh", "critical"))
        (action,) = eventually(lambda: told(monitor)["actions"])
        assert (action["action"], action["outcome"], action["by"]) == ("sync_now", "done", "alertmanager f1")
        time.sleep(0.3)
        assert len(told(monitor)["actions"]) == 1
    syncs.rests(sync)


@pytest.mark.parametrize(("name", "severity"), [("NodeDown", "critical"), ("DuckDBDiskHigh", "warning")])
def test_an_alertmanager_s_alert_that_is_not_ours_or_not_bad_enough_asks_for_nothing(monitor, tmp_path, name, severity):
    with duckdb.connect(tmp_path / "shop.duckdb"):
        monitor.receive_alertmanager(notification(name, severity))
        time.sleep(0.3)
        assert told(monitor)["actions"] == []


def test_a_silence_holds_for_what_an_alertmanager_tells_too(monitor, tmp_path):
    sync = Sync(str(tmp_path / "shop.duckdb"))
    syncs.runs(sync)
    monitor.silence("DuckDBSync.*", 60)
    with duckdb.connect(tmp_path / "shop.duckdb"):
        monitor.receive_alertmanager(notification("DuckDBSyncLagHigh", "critical"))
        time.sleep(0.3)
    assert sync.pending_rows() == 5
    syncs.rests(sync)
