"""What the contract promises of each metric's labels is what is emitted, point by point."""

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pandas as pd
import pytest
import sqlalchemy
import sqlalchemy.exc
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource

from otel_duckdb import DuckDBInstrumentor, Settings, contract
from otel_duckdb.sync.signals import SyncSignals
from otel_duckdb.telemetry.instance import InstanceLabels
from otel_duckdb.testing import RecordedTelemetry

_NEARLY_ALWAYS = (contract.DB_NAMESPACE, contract.DB_QUERY_SUMMARY)
"""Left out where a connection or a text says nothing at all, which this program does not do."""
PROFILES = hasattr(duckdb.DuckDBPyConnection, "get_profiling_information")


def everything_happens(tmp_path):
    """A program that does what makes each metric have points."""
    for folder in ("eu", "us"):
        (tmp_path / folder).mkdir()
    connections = [duckdb.connect(tmp_path / folder / "trades.db") for folder in ("eu", "us")]
    for connection in connections:
        connection.execute("create table trades as select range as id from range(1000); checkpoint")
        connection.execute("update trades set id = id + 1 where id = 5")
        connection.execute("delete from trades where id = 7")
        connection.execute("insert into trades values (1)")
        connection.append("trades", pd.DataFrame({"id": [1, 2]}))
        connection.execute("select * from trades").fetchall()
        connection.begin()
        connection.execute("insert into trades values (2)")
        connection.rollback()
    with contextlib.suppress(duckdb.Error):
        connections[0].execute("select nothing from trades")
    with contextlib.suppress(duckdb.Error):
        late = connections[0].execute(
            "select (case when range = 2900000 then 'x' else '1' end)::int from range(3000000)"
        )
        while late.fetchmany(100_000):
            pass
    with contextlib.suppress(duckdb.Error):
        duckdb.connect(tmp_path / "nowhere" / "a.db")
    engine = sqlalchemy.create_engine(
        f"duckdb:///{tmp_path / 'pool.db'}", pool_size=1, max_overflow=0, pool_timeout=0.1
    )
    with engine.connect() as first:
        first.execute(sqlalchemy.text("select 1"))
        with contextlib.suppress(sqlalchemy.exc.TimeoutError):
            engine.connect()
    return [*connections, engine]


def sync_happens(meter_provider):
    signals = SyncSignals(meter_provider=meter_provider)
    for database in ("buffer", ""):
        table = signals.table("ticks", database)
        table.observe_with(lambda: (5, 1.0))
        with table.span() as span, table.attempt():
            span.record(rows=3, size=100)
        table.retried()
        with contextlib.suppress(ZeroDivisionError), table.failing():
            raise ZeroDivisionError
    return signals


def points(telemetry):
    data = telemetry.reader.get_metrics_data()
    return [
        (metric.name, dict(point.attributes))
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        if scope.scope.name == contract.SCOPE
        for metric in scope.metrics
        for point in metric.data.data_points
    ]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Every point there is while nothing is open yet, then while all is, with the labels of each."""
    telemetry = RecordedTelemetry({"service.instance.id": "gateway-1"}).instrument(profile="all", metric_detail="high")
    before = points(telemetry)
    kept = everything_happens(tmp_path_factory.mktemp("labels"))
    kept.append(sync_happens(telemetry.meter_provider))
    after = points(telemetry)
    telemetry.close()
    return before + after


def test_every_point_has_the_labels_of_the_contract_and_no_others(told):
    promised = {metric.name: metric for metric in contract.METRICS}
    for name, labels in told:
        metric = promised[name]
        assert set(metric.labels) - set(metric.optional) <= set(labels) <= set(metric.labels), name
        assert all(value != "" for label, value in labels.items() if label != contract.TABLE_NAME), (name, labels)


def test_every_metric_and_every_label_of_the_contract_is_emitted(told):
    emitted = {}
    for name, labels in told:
        emitted.setdefault(name, set()).update(labels)
    absent = {contract.INTERNAL_ERRORS.name, contract.MONITOR_ACTIONS.name}  # there are none
    if not PROFILES:
        absent |= {metric.name for metric in (contract.OPERATOR_TIME, contract.OPERATOR_ROWS, contract.SPILLED_BYTES)}
    for metric in contract.METRICS:
        if metric.name not in absent:
            assert emitted.get(metric.name) == set(metric.labels), metric.name


def test_what_is_optional_is_left_out_somewhere(told):
    for metric in contract.METRICS:
        for label in metric.optional:
            found = [labels for name, labels in told if name == metric.name]
            assert any(label not in labels for labels in found) or label in _NEARLY_ALWAYS, (metric.name, label)


def test_files_of_one_name_have_the_same_label_on_every_metric(told):
    databases = {}
    for name, labels in told:
        if contract.DATABASE in labels and name.startswith("duckdb_") and "sync" not in name:
            databases.setdefault(name, set()).add(labels[contract.DATABASE])
    expected = {"trades", str(Path("us", "trades"))}
    for name, found in databases.items():
        assert {label for label in found if "trades" in label} == expected, name


def test_every_metric_with_the_label_has_the_same_instance_id(told):
    assert {labels[contract.INSTANCE_ID] for _, labels in told if contract.INSTANCE_ID in labels} == {"gateway-1"}


def test_every_point_of_the_catalogue_carries_only_labels_of_the_contract(instrumented, path):
    connection = duckdb.connect(path)
    connection.execute("create table kept (key integer primary key)")
    connection.execute("insert into kept values (1)")
    data = instrumented.reader.get_metrics_data()
    connection.close()
    allowed = {metric.name: set(metric.labels) for metric in contract.METRICS}
    seen = set()
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                seen.add(metric.name)
                for point in metric.data.data_points:
                    assert set(point.attributes) <= allowed[metric.name], metric.name
    produced = {
        contract.MEMORY_USED,
        contract.MEMORY_LIMIT,
        contract.MEMORY_FRAGMENTATION,
        contract.MEMORY_BY_TAG,
        contract.DISK_USAGE,
        contract.MAX_DISK_USAGE,
        contract.WAL_SIZE,
        contract.TEMPORARY_FILES,
        contract.TEMPORARY_STORAGE,
        contract.ACTIVE_CONNECTIONS,
        contract.ACTIVE_QUERIES,
        contract.FAILED_CONNECTIONS,
        contract.TRANSACTION_SUCCESS,
        contract.TRANSACTION_FAILURE,
        contract.TRANSACTION_LATENCY,
        contract.PROCESS_CPU_TIME,
        contract.PROCESS_MEMORY,
        contract.QUERIES_PER_SECOND,
        contract.INSERT_PER_SECOND,
    }
    assert {metric.name for metric in produced} <= seen


def metered(resource=None):
    return MeterProvider([InMemoryMetricReader()], Resource(resource or {}))


def test_the_instance_id_is_the_option_else_that_of_the_resource_else_one_of_the_process(monkeypatch):
    named, unnamed = metered({"service.instance.id": "of-the-resource"}), metered()
    assert InstanceLabels(Settings.load(), named)() == {contract.INSTANCE_ID: "of-the-resource"}
    (made_up,) = {
        InstanceLabels(Settings.load(), provider)()[contract.INSTANCE_ID] for provider in (unnamed, metered(), None)
    }
    assert len(made_up) == 36
    monkeypatch.setenv("OTEL_DUCKDB_INSTANCE_ID", "of-the-environment")
    assert InstanceLabels(Settings.load(), named)() == {contract.INSTANCE_ID: "of-the-environment"}


def test_a_keyword_of_instrument_is_the_sync_s_instance_id_too():
    labels = InstanceLabels(Settings.load(), metered({"service.instance.id": "of-the-resource"}))
    DuckDBInstrumentor().instrument(instance_id="given", meter_provider=metered())
    assert labels() == {contract.INSTANCE_ID: "given"}
    DuckDBInstrumentor().uninstrument()
    assert labels() == {contract.INSTANCE_ID: "of-the-resource"}


def test_a_resource_that_is_set_later_is_seen():
    provider = metered()
    labels = InstanceLabels(Settings.load(), provider)
    before = labels()
    provider._sdk_config.resource = Resource({"service.instance.id": "later"})
    assert labels() == {contract.INSTANCE_ID: "later"} != before


FORKS = """
import os, sys
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from otel_duckdb.settings import Settings
from otel_duckdb.telemetry.instance import InstanceLabels
labels = InstanceLabels(Settings.load(), MeterProvider(resource={resource}))
labels()
read, write = os.pipe()
for _ in range(2):
    if os.fork() == 0:
        os.write(write, (labels()["instance_id"] + "\\n").encode())
        os._exit(0)
    os.wait()
os.close(write)
print(labels()["instance_id"], *os.fdopen(read).read().split())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only POSIX forks")
@pytest.mark.parametrize("resource", ["Resource({})", "Resource.create({})"])
def test_every_forked_worker_has_an_instance_id_of_its_own_where_nobody_gave_one(resource):
    program = FORKS.replace("{resource}", resource)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert len(set(run.stdout.split())) == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only POSIX forks")
def test_every_forked_worker_has_its_number_behind_the_instance_id_that_was_given():
    environment = {**os.environ, "OTEL_DUCKDB_INSTANCE_ID": "gateway-1"}
    program = FORKS.replace("{resource}", "Resource({})")
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    found = run.stdout.split()
    assert found[0] == "gateway-1"
    assert len(set(found)) == 3
    assert all(re.fullmatch(r"gateway-1-\d+", each) for each in found[1:])
