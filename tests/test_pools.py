"""Pools are observed by themselves where SQLAlchemy makes them, and by hand where somebody else does."""

import gc
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
import sqlalchemy
from sqlalchemy.pool import AssertionPool, NullPool, QueuePool, SingletonThreadPool, StaticPool
from sqlalchemy.pool.base import _ConnectionRecord

from otel_duckdb import DuckDBInstrumentor, contract
from otel_duckdb.pools.pools import Pools
from otel_duckdb.pools.sqlalchemy import SQLAlchemyPools
from otel_duckdb.settings import Settings
from otel_duckdb.telemetry.gauges import CallbackRegistry
from otel_duckdb.testing import RecordedTelemetry


class Setup(RecordedTelemetry):
    def __init__(self, settings):
        super().__init__()
        self.faults = []
        meter = self.meter_provider.get_meter(contract.SCOPE)
        self.callbacks = CallbackRegistry(meter, self.report)
        self.pools = Pools(meter, self.callbacks, settings)
        self.watcher = SQLAlchemyPools(self.pools, self.report, lambda action: action())

    def report(self, component, error):
        self.faults.append((component, error))

    def collect(self):
        found = {}
        for name, points in self.metrics().items():
            for point in points:
                labels = dict(point.attributes)
                pool, state = labels.pop(contract.DB_POOL_NAME), labels.pop(contract.DB_CONNECTION_STATE, None)
                assert not labels
                found[name, pool, state] = getattr(point, "count", None) or getattr(point, "value", 0)
        return found


@pytest.fixture
def setup():
    setup = Setup(Settings())
    setup.watcher.start()
    yield setup
    setup.watcher.stop()
    setup.callbacks.stop()
    setup.close()
    assert not setup.faults


@pytest.fixture
def engine(tmp_path):
    engine = sqlalchemy.create_engine(
        f"duckdb:///{tmp_path / 'orders.db'}", pool_size=1, max_overflow=1, pool_timeout=0.3
    )
    yield engine
    engine.dispose()


def states(found, pool):
    return {
        state: value
        for (name, of, state), value in found.items()
        if (name, of) == (contract.POOL_CONNECTIONS.name, pool)
    }


def test_sqlalchemys_pool_over_duckdb_is_observed_without_code(setup, engine):
    with engine.connect() as first, engine.connect():
        assert first.execute(sqlalchemy.text("select 42")).scalar() == 42
        assert states(setup.collect(), "orders") == {"idle": 0, "used": 2}
    found = setup.collect()
    assert states(found, "orders") == {"idle": 1, "used": 0}
    assert found[contract.POOL_MAX.name, "orders", None] == 2
    assert found[contract.POOL_IDLE_MAX.name, "orders", None] == 1
    assert found[contract.POOL_PENDING.name, "orders", None] == 0
    assert found[contract.POOL_CREATE_TIME.name, "orders", None] == 2
    assert found[contract.POOL_WAIT_TIME.name, "orders", None] == 2
    assert found[contract.POOL_USE_TIME.name, "orders", None] == 2
    assert found[contract.POOL_TIMEOUTS.name, "orders", None] == 0


def test_a_request_that_waits_is_pending_and_one_that_gives_up_is_a_timeout(setup, engine):
    raised = []

    def ask():
        try:
            engine.connect()
        except sqlalchemy.exc.TimeoutError as error:
            raised.append(error)

    with engine.connect(), engine.connect():
        waiting = threading.Thread(target=ask)
        waiting.start()
        time.sleep(0.1)
        assert setup.collect()[contract.POOL_PENDING.name, "orders", None] == 1
        waiting.join()
    found = setup.collect()
    assert len(raised) == 1
    assert found[contract.POOL_PENDING.name, "orders", None] == 0
    assert found[contract.POOL_TIMEOUTS.name, "orders", None] == 1
    assert found[contract.POOL_WAIT_TIME.name, "orders", None] == 2


def test_a_forgotten_connection_counts_as_used_until_it_is_collected(setup, engine):
    forgotten = engine.raw_connection()
    del forgotten
    gc.collect()
    assert setup.collect()[contract.POOL_USE_TIME.name, "orders", None] == 1


def test_the_name_the_user_gave_to_a_pool_is_its_name(setup, tmp_path):
    engine = sqlalchemy.create_engine(
        f"duckdb:///{tmp_path / 'orders.db'}", pool_logging_name="orders-api", poolclass=QueuePool
    )
    with engine.connect():
        assert states(setup.collect(), "orders-api") == {"idle": 0, "used": 1}
    engine.dispose()


def test_the_new_pool_of_an_engine_that_was_disposed_of_is_told_before_its_first_use(setup, engine):
    with engine.connect() as used:
        used.execute(sqlalchemy.text("select 42"))
    engine.dispose()
    gc.collect()
    found = setup.collect()
    assert states(found, "orders") == {"idle": 0, "used": 0}
    assert found[contract.POOL_MAX.name, "orders", None] == 2
    assert found[contract.POOL_IDLE_MAX.name, "orders", None] == 1


def test_a_pool_of_another_database_is_left_alone(setup):
    engine = sqlalchemy.create_engine("sqlite://", poolclass=QueuePool)
    with engine.connect():
        assert setup.collect() == {}
    engine.dispose()
    assert setup.collect() == {}


def test_sqlalchemy_is_as_it_was_after_the_end(engine):
    before = QueuePool._do_get, _ConnectionRecord.__init__
    setup = Setup(Settings())
    setup.watcher.start()
    assert (QueuePool._do_get, _ConnectionRecord.__init__) != before
    setup.watcher.stop()
    assert (QueuePool._do_get, _ConnectionRecord.__init__) == before
    with engine.connect():
        assert setup.collect() == {}
    setup.callbacks.stop()


def test_sqlalchemy_may_be_imported_later():
    program = """
import sys
from opentelemetry.sdk.metrics import MeterProvider
from otel_duckdb.pools.sqlalchemy import SQLAlchemyPools
watcher = SQLAlchemyPools(None, print, print)
watcher.start()
assert "sqlalchemy" not in sys.modules
from sqlalchemy.pool import QueuePool
assert "otel_duckdb" in QueuePool._do_get.__code__.co_filename
"""
    subprocess.run([sys.executable, "-c", program], check=True)


class OwnPool:
    def checkedin(self):
        return 3

    def checkedout(self):
        return 4

    def limit(self):
        return 10


def test_any_pool_may_be_shown_and_is_told_as_long_as_it_lives(setup):
    pool = OwnPool()
    setup.pools.observe("own", pool)
    found = setup.collect()
    assert states(found, "own") == {"idle": 3, "used": 4}
    assert found[contract.POOL_MAX.name, "own", None] == 10
    assert (contract.POOL_IDLE_MAX.name, "own", None) not in found
    del pool
    assert states(setup.collect(), "own") == {}


def test_of_one_name_the_newest_pool_is_told(setup):
    class NewPool(OwnPool):
        def checkedout(self):
            return 1

    pools = [OwnPool(), NewPool()]
    for pool in pools:
        setup.pools.observe("own", pool)
    assert states(setup.collect(), "own") == {"idle": 3, "used": 1}


def test_names_of_pools_are_bounded_and_the_pools_beyond_are_added_up(setup):
    pools = [OwnPool() for _ in range(205)]
    for number, pool in enumerate(pools):
        setup.pools.observe(f"pool{number}", pool)
    found = setup.collect()
    assert len({of for name, of, _ in found if name == contract.POOL_CONNECTIONS.name}) == 201
    assert states(found, "pool199") == {"idle": 3, "used": 4}
    assert states(found, contract.OTHER) == {"idle": 15, "used": 20}
    assert found[contract.POOL_MAX.name, contract.OTHER, None] == 50


def test_what_is_no_pool_is_refused_with_a_reason(setup):
    with pytest.raises(TypeError, match=r"the pool 'own', a object, has no method checkedin\(\)"):
        setup.pools.observe("own", object())


def test_the_operators_limit_is_that_of_every_pool_and_is_told_without_one():
    setup = Setup(replace(Settings(), max_connections=7))
    assert setup.collect() == {(contract.POOL_MAX.name, contract.SYSTEM, None): 7}
    pool = OwnPool()
    setup.pools.observe("own", pool)
    assert setup.collect()[contract.POOL_MAX.name, "own", None] == 7
    setup.callbacks.stop()


class UsersPool(NullPool):
    """Counts what it lent, and nothing else; one of its methods fails."""

    lent = 0

    def checkedout(self):
        return 2

    def checkedin(self):
        raise RuntimeError("not told")


@pytest.mark.parametrize("kind", [SingletonThreadPool, StaticPool, NullPool, AssertionPool, UsersPool])
def test_every_kind_of_sqlalchemys_pools_tells_what_it_knows(setup, kind):
    engine = sqlalchemy.create_engine("duckdb:///:memory:", poolclass=kind, pool_logging_name="p")
    for _ in range(2):
        with engine.connect() as con:
            assert con.execute(sqlalchemy.text("SELECT 42")).scalar() == 42
    found = setup.collect()
    created = found[contract.POOL_CREATE_TIME.name, "p", None]
    assert created >= 1 if kind in (NullPool, UsersPool) else created in (1, 2)
    assert found[contract.POOL_USE_TIME.name, "p", None] == 2
    assert states(found, "p") == ({"used": 2} if kind is UsersPool else {})
    engine.dispose()


def test_a_pool_that_fails_when_it_is_asked_hides_no_other(setup):
    class Failing(OwnPool):
        def checkedin(self):
            raise RuntimeError

        def limit(self):
            return "many"

    failing, own = Failing(), OwnPool()
    setup.pools.observe("failing", failing)
    setup.pools.observe("own\ud800", own)
    found = setup.collect()
    assert states(found, "failing") == {"used": 4}
    assert states(found, r"own\ud800") == {"idle": 3, "used": 4}


def test_a_pool_that_cannot_be_weakly_referenced_is_refused_with_a_reason(setup):
    class Slotted:
        __slots__ = ()
        checkedin = checkedout = OwnPool.checkedin

    with pytest.raises(TypeError, match=r"the pool 'own', a .*Slotted, cannot be weakly referenced; add __weakref__"):
        setup.pools.observe("own", Slotted())


def test_a_pool_may_be_shown_before_duckdb_is_instrumented_and_again_after(telemetry):
    pool = OwnPool()
    telemetry.instrumentor.observe_pool("early", pool)
    for _ in range(2):
        telemetry.instrument()
        points = telemetry.points(contract.POOL_CONNECTIONS.name)
        assert {point.attributes[contract.DB_POOL_NAME] for point in points} == {"early"}
        telemetry.instrumentor.uninstrument()
    with pytest.raises(TypeError, match="has no method"):
        telemetry.instrumentor.observe_pool("early", object())


def test_a_pool_is_shown_to_the_instrumentor(instrumented):
    pool = OwnPool()
    DuckDBInstrumentor().observe_pool("orders", pool)
    states = {
        dict(labels)[contract.DB_CONNECTION_STATE]: point.value
        for labels, point in instrumented.by_labels(contract.POOL_CONNECTIONS).items()
    }
    assert states == {"idle": 3, "used": 4}
