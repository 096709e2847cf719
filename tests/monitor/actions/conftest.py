"""A runner of actions on a real DuckDB that is instrumented."""

import duckdb
import pytest

from otel_duckdb import contract
from otel_duckdb.core import source
from otel_duckdb.core.listener import Listener
from otel_duckdb.monitor.actions.all import all_actions
from otel_duckdb.monitor.actions.ladder import EMERGENCY
from otel_duckdb.monitor.actions.memory_limit import MemoryLimits
from otel_duckdb.monitor.actions.runner import ActionRunner

ALL = {*EMERGENCY, "interrupt"}


class Started(Listener):
    """Knows operations by their text."""

    component = "test"

    def __init__(self):
        self.operations = {}

    def started(self, operation, context):
        self.operations[operation.text] = operation


class Runner(ActionRunner):
    """Runs actions for a test."""

    def run_one(self, action, **options):
        """The one result of an action, where one database is open."""
        (result,) = self.run(action, by="test", **options)
        return result


@pytest.fixture
def make_runner(telemetry):
    """Makes a runner of actions, on DuckDB instrumented; those of the names are allowed."""
    telemetry.instrument(engine_metrics=True)
    meter = telemetry.meter_provider.get_meter(contract.SCOPE)
    tracer = telemetry.tracer_provider.get_tracer(contract.SCOPE)

    def make(actions, names, limits=None, **options):
        runner = Runner(actions, names, limits or MemoryLimits(), tracer, meter, **options)
        runner.source = source._current
        return runner

    return make


@pytest.fixture
def runner(make_runner, telemetry):
    """A runner of all actions, which finds operations by their text; no fault of ours may be counted at its end."""
    started, limits = Started(), MemoryLimits()
    runner = make_runner(all_actions(limits, started.operations.get), ALL, limits)
    runner.source.listen(started)
    runner.source.listen(limits)
    yield runner
    runner.source.forget(limits, started)
    assert telemetry.faults() == 0


@pytest.fixture
def fill(tmp_path):
    """Makes a database of so many rows, which were all read once."""

    def make(rows=3_000_000):
        con = duckdb.connect(str(tmp_path / "x.db"), config={"memory_limit": "1GB", "threads": "2"})
        con.execute(f"create table t as select range i, random() r from range({rows})")
        con.execute("checkpoint")
        con.execute("select count(distinct r) from t").fetchall()
        return con

    return make
