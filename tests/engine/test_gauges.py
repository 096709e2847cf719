"""The gauges tell what DuckDB tells, from one reading a collection, and are silent when they are stopped."""

import os
import shutil
from dataclasses import replace

import duckdb
import psutil
import pytest
from opentelemetry import metrics
from opentelemetry.metrics import Observation
from opentelemetry.metrics import _internal as api

from otel_duckdb import contract
from otel_duckdb.core.methods import Methods
from otel_duckdb.engine.cursor import PrivateCursor
from otel_duckdb.engine.database import Database
from otel_duckdb.engine.gauges import EngineGauges, Readings
from otel_duckdb.engine.process import ProcessGauges
from otel_duckdb.settings import Settings
from otel_duckdb.telemetry.gauges import CallbackRegistry, register_count
from otel_duckdb.testing import RecordedTelemetry

METHODS = Methods.of(duckdb.DuckDBPyConnection)
LABELS = {contract.INSTANCE_ID: "gateway-1"}


class Setup(RecordedTelemetry):
    """Gauges over two databases, collected by one reader."""

    def __init__(self, databases, settings):
        super().__init__()
        self.faults = []
        self.readings = Readings(lambda: databases, self.report)
        self.callbacks = self.observe(settings)

    def report(self, component, error):
        self.faults.append((component, type(error).__name__))

    def observe(self, settings):
        callbacks = CallbackRegistry(self.meter_provider.get_meter(contract.SCOPE), self.report)
        EngineGauges(self.readings, settings, LABELS.copy).register(callbacks)
        ProcessGauges(self.readings, LABELS.copy).register(callbacks)
        return callbacks

    def collect(self):
        return values(self)


def values(telemetry):
    return {
        (name, tuple(sorted(point.attributes.items()))): point.value
        for name, points in telemetry.metrics().items()
        for point in points
    }


def of(metric, database, **labels):
    labels = {**LABELS, contract.DATABASE: database, **labels}
    return metric.name, tuple(sorted(labels.items()))


@pytest.fixture
def connection(tmp_path):
    with duckdb.connect(tmp_path / "trades.db") as connection:
        connection.execute("create table trades as select range as id from range(300000); checkpoint")
        connection.execute("create table pending as select 1 as id; set memory_limit = '2GiB'")
        yield connection


@pytest.fixture
def databases(connection, tmp_path):
    memory = duckdb.connect()
    databases = [
        Database("trades.db", str(tmp_path / "trades.db"), PrivateCursor.into(connection, METHODS)),
        Database(":memory:", None, PrivateCursor.into(memory, METHODS)),
    ]
    yield databases
    for database in databases:
        database.close()
    memory.close()


@pytest.fixture
def setup(databases):
    setup = Setup(databases, Settings())
    yield setup
    setup.callbacks.stop()
    setup.close()


def test_every_gauge_has_the_value_duckdb_itself_gives(setup, connection, tmp_path):
    found = setup.collect()
    tags = dict(connection.execute("select tag, memory_usage_bytes from duckdb_memory()").fetchall())
    total, used = connection.execute("select total_blocks, used_blocks from pragma_database_size()").fetchone()
    file, wal = ((tmp_path / name).stat().st_size for name in ("trades.db", "trades.db.wal"))
    assert found[of(contract.MEMORY_USED, "trades.db")] == sum(tags.values()) > 0
    assert found[of(contract.MEMORY_BY_TAG, "trades.db", tag="BASE_TABLE")] == tags["BASE_TABLE"] > 0
    assert found[of(contract.MEMORY_LIMIT, "trades.db")] == 2 * 1024**3
    assert found[of(contract.DISK_USAGE, "trades.db")] == file + wal
    assert found[of(contract.WAL_SIZE, "trades.db")] == wal > 0
    assert found[of(contract.MAX_DISK_USAGE, "trades.db")] > file + wal
    assert found[of(contract.DISK_FRAGMENTATION, "trades.db")] == total / used
    assert found[of(contract.TEMPORARY_FILES, "trades.db")] == 0
    assert found[of(contract.TEMPORARY_STORAGE, "trades.db")] == 0
    assert found[of(contract.DISK_USAGE, ":memory:")] == 0
    assert not setup.faults


def test_the_process_is_told_as_psutil_tells_it(setup):
    found = setup.collect()
    resident = found[contract.PROCESS_MEMORY.name, ()]
    assert resident == pytest.approx(psutil.Process().memory_info().rss, rel=0.2)
    used = sum(value for (name, _), value in found.items() if name == contract.MEMORY_USED.name)
    ratio = found[contract.MEMORY_FRAGMENTATION.name, tuple(LABELS.items())]
    assert ratio == pytest.approx(resident / used, rel=0.01)
    times = os.times()
    modes = {labels[0][1]: value for (name, labels), value in found.items() if name == contract.PROCESS_CPU_TIME.name}
    assert modes == {"user": pytest.approx(times.user, abs=1), "system": pytest.approx(times.system, abs=1)}


def test_limits_of_the_settings_are_told_instead_of_larger_ones(databases):
    setup = Setup(databases, replace(Settings(), memory_limit=10**9, max_disk_bytes=5 * 10**9))
    found = setup.collect()
    assert found[of(contract.MEMORY_LIMIT, "trades.db")] == 10**9
    assert found[of(contract.MAX_DISK_USAGE, "trades.db")] == 5 * 10**9
    setup.callbacks.stop()


def test_databases_of_one_name_are_added_up(connection, databases, tmp_path):
    single = Setup(databases, Settings())
    each = single.collect()
    single.callbacks.stop()
    for database in databases:
        database.name = contract.OTHER
    setup = Setup(databases, Settings())
    found = setup.collect()
    setup.callbacks.stop()
    for metric in (contract.MEMORY_USED, contract.MEMORY_LIMIT, contract.DISK_USAGE, contract.WAL_SIZE):
        parts = [each[of(metric, name)] for name in ("trades.db", ":memory:")]
        assert found[of(metric, contract.OTHER)] == sum(parts), metric.name
    tag = [each.get(of(contract.MEMORY_BY_TAG, name, tag="BASE_TABLE"), 0) for name in ("trades.db", ":memory:")]
    assert found[of(contract.MEMORY_BY_TAG, contract.OTHER, tag="BASE_TABLE")] == sum(tag) > 0
    ratio = each[of(contract.DISK_FRAGMENTATION, "trades.db")]
    assert found[of(contract.DISK_FRAGMENTATION, contract.OTHER)] == ratio
    free = found[of(contract.MAX_DISK_USAGE, contract.OTHER)] - found[of(contract.DISK_USAGE, contract.OTHER)]
    assert free == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.1)


def test_one_collection_reads_each_database_once(setup, databases, monkeypatch):
    reads = []
    genuine = Database.read_state
    monkeypatch.setattr(Database, "read_state", lambda self: reads.append(self.name) or genuine(self))
    setup.collect()
    assert sorted(reads) == [":memory:", "trades.db"]


def test_a_later_collection_reads_anew(setup, connection):
    connection.execute("set memory_limit = '1GiB'")
    setup.readings._clock = iter(range(100, 10_000)).__next__
    setup.collect()
    connection.execute("set memory_limit = '3GiB'")
    assert setup.collect()[of(contract.MEMORY_LIMIT, "trades.db")] == 3 * 1024**3


def test_a_closed_database_is_told_no_more(setup, databases):
    setup.readings._clock = iter(range(100, 10_000)).__next__
    assert of(contract.MEMORY_USED, "trades.db") in setup.collect()
    databases[0].close()
    found = setup.collect()
    assert of(contract.MEMORY_USED, "trades.db") not in found
    assert of(contract.MEMORY_USED, ":memory:") in found


def test_a_database_that_cannot_be_read_is_counted_and_hides_no_other(setup, databases):
    databases[0]._cursor.close()
    found = setup.collect()
    assert of(contract.MEMORY_USED, ":memory:") in found
    assert of(contract.MEMORY_USED, "trades.db") not in found
    assert setup.faults == [("engine", "ConnectionException")]


def test_a_callback_that_fails_is_counted_and_leaves_the_others(setup):
    def fail():
        raise OSError("gone")

    setup.callbacks.add(contract.ACTIVE_CONNECTIONS, fail)
    assert of(contract.MEMORY_USED, "trades.db") in setup.collect()
    assert setup.faults == [("collection", "OSError")]


def test_stopped_gauges_are_silent_and_speak_again_when_observed_anew(setup):
    setup.callbacks.stop()
    assert setup.collect() == {}
    again = setup.observe(Settings())
    assert of(contract.MEMORY_USED, "trades.db") in setup.collect()
    again.stop()


def test_gauges_of_one_provider_are_not_seen_by_another(setup, databases):
    setup.callbacks.stop()
    other = Setup(databases, Settings())
    assert of(contract.MEMORY_USED, "trades.db") in other.collect()
    assert setup.collect() == {}
    other.callbacks.stop()


def test_gauges_taken_before_the_provider_is_set_are_observed_once(monkeypatch):
    monkeypatch.setattr(api, "_METER_PROVIDER", None)
    monkeypatch.setattr(api, "_METER_PROVIDER_SET_ONCE", type(api._METER_PROVIDER_SET_ONCE)())
    monkeypatch.setattr(api, "_PROXY_METER_PROVIDER", api._ProxyMeterProvider())
    early, later = (CallbackRegistry(api._PROXY_METER_PROVIDER.get_meter(contract.SCOPE), print) for _ in range(2))
    early.add(contract.ACTIVE_QUERIES, lambda: [Observation(1)])
    early.stop()
    later.add(contract.ACTIVE_QUERIES, lambda: [Observation(2)])
    told = RecordedTelemetry()
    metrics.set_meter_provider(told.meter_provider)
    assert values(told) == {(contract.ACTIVE_QUERIES.name, ()): 2}
    later.stop()


def test_connections_are_told_by_database_and_as_zero_without_one(setup):
    counts = {}
    register_count(setup.callbacks, contract.ACTIVE_CONNECTIONS, lambda: counts, LABELS.copy)
    assert setup.collect()[contract.ACTIVE_CONNECTIONS.name, tuple(LABELS.items())] == 0
    counts["trades.db"] = 3
    assert setup.collect()[of(contract.ACTIVE_CONNECTIONS, "trades.db")] == 3


def test_a_database_that_is_gone_is_not_told_by_a_collection_at_the_same_moment(databases):
    now = [0.0]
    readings = Readings(lambda: databases, print, clock=lambda: now[0])
    readings.begin()
    assert set(readings.latest()) == {"trades.db", ":memory:"}
    gone = databases.pop()
    readings.begin()
    assert set(readings.latest()) == {"trades.db"}
    databases.append(gone)
    readings.begin()
    assert set(readings.latest()) == {"trades.db", ":memory:"}
