"""Connections and databases are counted and observed from their first call on, and let go of at once."""

import gc
import os
import subprocess
import sys

import duckdb
import pytest

from otel_duckdb import contract


def test_connections_cursors_and_duplicates_are_counted_until_they_are_closed_or_collected(instrumented, path):
    def active():
        return instrumented.read(contract.ACTIVE_CONNECTIONS, database="trades")

    connection = duckdb.connect(path)
    second = duckdb.connect(path)
    cursors = [connection.cursor(), connection.duplicate(), connection.cursor().cursor()]
    gc.collect()
    assert active() == 5
    second.close()
    assert active() == 4
    cursors.pop()
    assert active() == 3
    connection.close()
    assert active() is None
    assert instrumented.read(contract.ACTIVE_CONNECTIONS) == 0


def test_two_databases_are_told_apart_by_name(instrumented, tmp_path):
    (tmp_path / "eu").mkdir()
    first, second = duckdb.connect(tmp_path / "trades.db"), duckdb.connect(tmp_path / "eu" / "trades.db")
    found = {dict(labels)[contract.DATABASE] for labels in instrumented.by_labels(contract.MEMORY_USED)}
    assert found == {"trades", "eu/trades".replace("/", "\\" if sys.platform == "win32" else "/")}
    first.close()
    second.close()


@pytest.mark.slow
def test_a_live_database_is_told_by_its_name_however_many_came_before(instrumented):
    for number in range(contract.TABLE_NAME_LIMIT + 5):
        duckdb.connect(f":memory:job-{number}").close()
    big, small = duckdb.connect(":memory:big"), duckdb.connect(":memory:small")
    big.execute("create table t as select range as a from range(500000)")
    told = {
        dict(labels)[contract.DATABASE]: point.value
        for labels, point in instrumented.by_labels(contract.MEMORY_USED).items()
    }
    held = {
        name: connection.execute("select sum(memory_usage_bytes) from duckdb_memory()").fetchone()[0]
        for name, connection in (("big", big), ("small", small))
    }
    assert told == held
    big.close()
    small.close()


@pytest.mark.parametrize("how", ["close", "with", "del", "cycle", "cursor of a dropped parent"])
def test_the_file_is_free_at_once_when_the_last_connection_is_gone(instrumented, path, how, opens_elsewhere):
    connection = duckdb.connect(path)
    connection.execute("create table t as select 1 as a")
    assert instrumented.read(contract.DISK_USAGE, database="trades") > 0
    if how == "close":
        connection.close()
    elif how == "with":
        with connection:
            connection.execute("from t").fetchall()
    elif how == "cycle":
        cycle = [connection]
        cycle.append(cycle)
        del cycle
    elif how == "cursor of a dropped parent":
        cursor = connection.cursor()
        del connection
        assert not opens_elsewhere(path)
        cursor.close()
    connection = None
    gc.collect()
    assert opens_elsewhere(path)


def test_a_connection_made_before_is_observed_from_its_first_query_on(instrument, path, opens_elsewhere):
    connection = duckdb.connect(path)
    instrumented = instrument()
    connection.execute("select 1").fetchall()
    assert instrumented.read(contract.ACTIVE_CONNECTIONS, database="trades") == 1
    assert instrumented.read(contract.DISK_USAGE, database="trades") > 0
    connection.close()
    assert opens_elsewhere(path)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="their file systems take Unicode alone")
def test_a_connection_made_before_in_a_folder_whose_name_is_not_utf_8_is_observed(instrument, tmp_path, monkeypatch):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    monkeypatch.chdir(folder)
    connection = duckdb.connect("trades.db")
    instrumented = instrument()
    connection.execute("create table t as select range from range(9)")
    assert instrumented.read(contract.ACTIVE_CONNECTIONS, database="trades") == 1
    assert instrumented.read(contract.MEMORY_USED, database="trades") > 0
    connection.close()


def test_the_end_of_the_instrumentation_lets_go_of_every_database(instrument, path, opens_elsewhere):
    instrumented = instrument()
    connection = duckdb.connect(path)
    assert instrumented.read(contract.MEMORY_USED, database="trades") is not None
    instrumented.uninstrument()
    assert instrumented.by_labels(contract.MEMORY_USED) == {}
    connection.close()
    assert opens_elsewhere(path)


def test_instrumenting_again_observes_again(instrument, path):
    instrumented = instrument()
    instrumented.uninstrument()
    instrumented.instrument()
    with duckdb.connect(path):
        assert instrumented.read(contract.MEMORY_USED, database="trades") is not None
        assert instrumented.read(contract.ACTIVE_CONNECTIONS, database="trades") == 1


def test_without_engine_metrics_no_cursor_is_opened_and_connections_are_counted(instrument, path):
    instrumented = instrument(engine_metrics=False)
    with duckdb.connect(path):
        assert instrumented.by_labels(contract.MEMORY_USED) == {}
        assert instrumented.read(contract.ACTIVE_CONNECTIONS, database="trades") == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only POSIX forks")
def test_a_forked_child_is_silent_about_the_engine_and_hangs_nowhere(path):
    program = f"""
import os, sys, time, duckdb
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from otel_duckdb.instrumentor import DuckDBInstrumentor
reader = InMemoryMetricReader()
DuckDBInstrumentor().instrument(meter_provider=MeterProvider([reader]))
connection = duckdb.connect({str(path)!r})
reader.get_metrics_data()
child = os.fork()
if child == 0:
    time.sleep(0.05)
    data = reader.get_metrics_data()
    names = {{m.name for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics}}
    os._exit(0 if "duckdb_active_connections" in names and "duckdb_memory_used_bytes" not in names else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


LEAVING = {
    "a variable": "connection = duckdb.connect(path); connection.execute('create table t as from range(10)')",
    "a cycle": "held = [duckdb.connect(path)]; held.append(held); held[0].execute('create table t as from range(10)')",
    "an open result": "connection = duckdb.connect(path); connection.execute('create table t as from range(10)');"
    "connection.execute('from t').fetchone()",
    "the default connection": "duckdb.execute(f\"attach '{path}' as x; create table x.t as from range(10)\")",
}
INSTRUMENT = """
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from otel_duckdb.instrumentor import DuckDBInstrumentor
reader = InMemoryMetricReader()
DuckDBInstrumentor().instrument(meter_provider=MeterProvider([reader]))
"""


@pytest.mark.parametrize("how", LEAVING)
def test_a_process_that_closes_nothing_leaves_its_file_as_it_would_have(tmp_path, how):
    left = []
    for number, instrument in enumerate(("", INSTRUMENT)):
        path = tmp_path / f"{number}.db"
        program = f"import duckdb\npath = {str(path)!r}\n{instrument}\n{LEAVING[how]}\n"
        program += "reader.get_metrics_data()" if instrument else ""
        run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        left.append((path.with_name(f"{path.name}.wal").exists(), path.stat().st_size, run.stderr))
    assert left[0] == left[1]
