"""The whole catalogue through the instrumentor: what a program does with DuckDB is what its metrics say."""

import gc
import os
import subprocess
import sys
import threading
import time

import duckdb
import pytest
import sqlalchemy
import sqlalchemy.exc

from otel_duckdb import contract
from otel_duckdb.instrumentor import DuckDBInstrumentor
from otel_duckdb.testing import RecordedTelemetry


class Instrumented(RecordedTelemetry):
    """An instrumented program and the one who reads its metrics."""

    def __init__(self, **options):
        super().__init__({"service.instance.id": "gateway-1"})
        self.instrument(**options)

    def points(self, metric):
        return {tuple(sorted(point.attributes.items())): point for point in super().points(metric.name)}

    def read(self, metric, **labels):
        """The value of the point with these labels, and `instance_id`, which all of them carry; None without one."""
        wanted = tuple(sorted({contract.INSTANCE_ID: "gateway-1", **labels}.items()))
        point = self.points(metric).get(wanted)
        return None if point is None else point.value


@pytest.fixture
def instrumented():
    instrumented = Instrumented()
    yield instrumented
    faults = instrumented.points(contract.INTERNAL_ERRORS)
    instrumented.close()
    assert not any(point.value for point in faults.values())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "trades.db"


def opens_elsewhere(path):
    program = f"import duckdb; duckdb.connect({str(path)!r}).close()"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0


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
    found = {dict(labels)[contract.DATABASE] for labels in instrumented.points(contract.MEMORY_USED)}
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
        for labels, point in instrumented.points(contract.MEMORY_USED).items()
    }
    held = {
        name: connection.execute("select sum(memory_usage_bytes) from duckdb_memory()").fetchone()[0]
        for name, connection in (("big", big), ("small", small))
    }
    assert told == held
    big.close()
    small.close()


@pytest.mark.parametrize("how", ["close", "with", "del", "cycle", "cursor of a dropped parent"])
def test_the_file_is_free_at_once_when_the_last_connection_is_gone(instrumented, path, how):
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


def test_a_connection_made_before_is_observed_from_its_first_query_on(path):
    connection = duckdb.connect(path)
    instrumented = Instrumented()
    connection.execute("select 1").fetchall()
    assert instrumented.read(contract.ACTIVE_CONNECTIONS, database="trades") == 1
    assert instrumented.read(contract.DISK_USAGE, database="trades") > 0
    connection.close()
    assert opens_elsewhere(path)
    instrumented.uninstrument()


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="their file systems take Unicode alone")
def test_a_connection_made_before_in_a_folder_whose_name_is_not_utf_8_is_observed(tmp_path, monkeypatch):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    monkeypatch.chdir(folder)
    connection = duckdb.connect("trades.db")
    instrumented = Instrumented()
    connection.execute("create table t as select range from range(9)")
    assert instrumented.read(contract.ACTIVE_CONNECTIONS, database="trades") == 1
    assert instrumented.read(contract.MEMORY_USED, database="trades") > 0
    connection.close()
    instrumented.uninstrument()


def test_the_end_of_the_instrumentation_lets_go_of_every_database(path):
    instrumented = Instrumented()
    connection = duckdb.connect(path)
    assert instrumented.read(contract.MEMORY_USED, database="trades") is not None
    instrumented.uninstrument()
    assert instrumented.points(contract.MEMORY_USED) == {}
    connection.close()
    assert opens_elsewhere(path)


def test_instrumenting_again_observes_again(path):
    instrumented = Instrumented()
    instrumented.uninstrument()
    instrumented.instrument()
    with duckdb.connect(path):
        assert instrumented.read(contract.MEMORY_USED, database="trades") is not None
        assert instrumented.read(contract.ACTIVE_CONNECTIONS, database="trades") == 1
    instrumented.uninstrument()


def test_without_engine_metrics_no_cursor_is_opened_and_connections_are_counted(path):
    instrumented = Instrumented(engine_metrics=False)
    with duckdb.connect(path):
        assert instrumented.points(contract.MEMORY_USED) == {}
        assert instrumented.read(contract.ACTIVE_CONNECTIONS, database="trades") == 1
    instrumented.uninstrument()


def test_a_running_query_is_active_and_delays_no_collection(instrumented, path):
    connection = duckdb.connect(path)

    def run():
        with pytest.raises(duckdb.InterruptException):
            connection.execute("select count(*) from range(100000000000) where hash(range) % 7 = 3").fetchall()

    query = threading.Thread(target=run)
    query.start()
    try:
        time.sleep(0.3)
        start = time.perf_counter()
        assert instrumented.read(contract.ACTIVE_QUERIES, database="trades") == 1
        assert time.perf_counter() - start < 0.5  # the benchmark holds the tighter goal
    finally:
        connection.interrupt()
        query.join()
    assert instrumented.read(contract.ACTIVE_QUERIES, database="trades") == 0
    connection.close()


def test_a_relation_that_runs_is_an_active_query(instrumented):
    connection = duckdb.connect()
    relation = connection.sql("select count(*) from range(100000000000) where hash(range) % 7 = 3")

    def run():
        with pytest.raises(duckdb.Error):
            relation.fetchall()

    query = threading.Thread(target=run)
    query.start()
    time.sleep(0.3)
    try:
        assert instrumented.read(contract.ACTIVE_QUERIES, database="memory") == 1
    finally:
        connection.interrupt()
        query.join()
        connection.close()


LOCKED = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("locked", flush=True)
sys.stdin.read()
"""


def locked(path):
    holder = subprocess.Popen([sys.executable, "-c", LOCKED, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline().strip() == b"locked"
    return holder


def failing_connects(tmp_path):
    corrupt = tmp_path / "corrupt.db"
    corrupt.write_bytes(b"no database" * 1000)
    used = duckdb.connect(tmp_path / "used.db")
    yield "IOException", lambda: duckdb.connect(corrupt)
    yield "IOException", lambda: duckdb.connect(tmp_path / "missing" / "a.db")
    yield "IOException", lambda: duckdb.connect(tmp_path / "nothing.db", read_only=True)
    yield "InvalidInputException", lambda: duckdb.connect(config={"nothing": "1"})
    yield "ParserException", lambda: duckdb.connect(config={"memory_limit": "lots"})
    yield "ConnectionException", lambda: duckdb.connect(tmp_path / "used.db", read_only=True)
    used.close()


def test_every_failing_connect_is_counted_by_its_class_and_raises_as_before(tmp_path):
    expected, messages = {}, []
    for name, connect in failing_connects(tmp_path):
        with pytest.raises(duckdb.Error) as raised:
            connect()
        messages.append(str(raised.value))
        expected[name] = expected.get(name, 0) + 1
        assert type(raised.value).__qualname__ == name
    instrumented = Instrumented()
    assert instrumented.read(contract.FAILED_CONNECTIONS, error_type="IOException") == 0
    again = []
    for _, connect in failing_connects(tmp_path):
        with pytest.raises(duckdb.Error) as raised:
            connect()
        again.append(str(raised.value))
    assert again == messages
    found = {
        dict(labels)[contract.ERROR_TYPE_LABEL]: point.value
        for labels, point in instrumented.points(contract.FAILED_CONNECTIONS).items()
    }
    assert found == expected
    instrumented.uninstrument()


def test_a_file_locked_by_another_process_is_a_failed_connection(instrumented, path):
    holder = locked(path)
    try:
        with pytest.raises(duckdb.IOException, match="Could not set lock"):
            duckdb.connect(path)
    finally:
        holder.communicate()
    assert instrumented.read(contract.FAILED_CONNECTIONS, error_type="IOException") == 1


@pytest.fixture
def connection(instrumented, path):
    with duckdb.connect(path) as connection:
        connection.execute("create table kept (key integer primary key)")
        yield connection


@pytest.fixture
def transactions(instrumented, connection):
    """What the transactions of a block were counted as: successes and failures."""
    before = counted(instrumented)

    def since():
        return tuple(now - then for now, then in zip(counted(instrumented), before, strict=True))

    return since


def counted(instrumented):
    metrics = contract.TRANSACTION_SUCCESS, contract.TRANSACTION_FAILURE
    return tuple(instrumented.read(metric, database="trades") for metric in metrics)


def test_a_database_starts_with_no_transactions(instrumented, path):
    with duckdb.connect(path):
        assert counted(instrumented) == (0, 0)


@pytest.mark.slow
def test_transactions_of_more_databases_than_a_label_may_name_are_all_counted(instrumented):
    def told():
        points = instrumented.points(contract.TRANSACTION_SUCCESS)
        return {dict(labels)[contract.DATABASE]: point.value for labels, point in points.items()}

    extra = 5
    for number in range(contract.TABLE_NAME_LIMIT + extra):
        with duckdb.connect(f":memory:job-{number}") as connection:
            connection.execute("create table t (a int)")
    found = told()
    assert found.pop(contract.OTHER) == extra
    assert found == {f"job-{number}": 1 for number in range(extra, contract.TABLE_NAME_LIMIT + extra)}
    with duckdb.connect(":memory:last") as connection:
        connection.execute("create table t (a int)")
    found = told()
    assert found.pop(contract.OTHER) == extra  # what was told before is not told again
    assert "last" in found
    assert f"job-{extra}" not in found


def test_transactions_are_counted_by_method_and_by_text(connection, transactions):
    connection.begin()
    connection.execute("insert into kept values (1)")
    connection.commit()
    connection.execute("/* a script */ BEGIN TRANSACTION; insert into kept values (2); -- more\n End;")
    connection.sql("begin")
    connection.sql("abort")
    assert transactions() == (2, 0)


def test_read_only_units_of_work_are_neither_successes_nor_failures_and_have_a_latency(
    instrumented, connection, transactions
):
    for _ in range(20):
        connection.begin()
        connection.execute("select * from kept").fetchall()
        connection.rollback()
    cursor = connection.cursor()
    cursor.begin()
    cursor.sql("from kept").fetchall()
    cursor.close()
    assert transactions() == (0, 0)
    assert instrumented.read(contract.TRANSACTION_LATENCY, database="trades") > 0


def test_units_of_work_of_sqlalchemy_fail_only_where_changes_are_lost(instrumented, path):
    engine = sqlalchemy.create_engine(f"duckdb:///{path}")
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("create table kept (key integer primary key)"))
    before = counted(instrumented)
    for _ in range(20):
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("select * from kept")).fetchall()
    assert counted(instrumented) == before
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("insert into kept values (1)"))
    with pytest.raises(sqlalchemy.exc.SQLAlchemyError), engine.begin() as connection:
        connection.execute(sqlalchemy.text("insert into kept values (2), (2)"))
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("select * from kept")).fetchall()
    assert counted(instrumented) == (before[0] + 1, before[1] + 2)
    engine.dispose()


def test_autocommitted_writes_are_counted_however_they_are_made(connection, transactions, tmp_path):
    connection.execute("insert into kept values (1)")
    connection.executemany("insert into kept values (?)", [[2], [3], [4]])
    connection.sql("select 5 as key").insert_into("kept")
    connection.execute("insert into kept values (6) returning key").fetchall()
    connection.execute("insert into kept values (7); delete from kept where key = 7")
    connection.execute(f"copy kept to '{tmp_path / 'kept.csv'}'")
    connection.execute("delete from kept")
    connection.execute(f"copy kept from '{tmp_path / 'kept.csv'}'")
    connection.sql("select count(*) from kept").fetchall()
    assert connection.execute("select count(*) from kept").fetchone() == (6,)
    assert transactions() == (10, 0)


def test_a_commit_of_an_aborted_transaction_is_a_failure(connection, transactions):
    connection.begin()
    connection.execute("insert into kept values (1)")
    with pytest.raises(duckdb.ConstraintException):
        connection.execute("insert into kept values (1)")
    connection.commit()
    assert transactions() == (0, 1)
    assert connection.execute("select count(*) from kept").fetchone() == (0,)


def test_a_query_that_cannot_be_bound_by_sql_aborts_nothing(connection, transactions):
    connection.begin()
    connection.execute("insert into kept values (1)")
    with pytest.raises(duckdb.BinderException):
        connection.sql("select nothing from kept")
    connection.commit()
    assert transactions() == (1, 0)
    assert connection.execute("select count(*) from kept").fetchone() == (1,)


def test_a_conflict_is_a_failure(connection, transactions):
    with connection.cursor() as rival:
        connection.begin()
        rival.begin()
        connection.execute("insert into kept values (1)")
        rival.execute("insert into kept values (1)")
        rival.commit()
        with pytest.raises(duckdb.TransactionException):
            connection.commit()
    assert transactions() == (1, 1)


@pytest.mark.parametrize("how", ["close", "del", "parent"])
def test_an_open_transaction_that_is_dropped_is_a_failure(connection, transactions, how):
    cursor = connection.cursor()
    other = cursor.cursor() if how == "parent" else cursor
    other.begin()
    other.execute("insert into kept values (1)")
    if how != "del":
        cursor.close()
    del cursor, other
    gc.collect()
    connection.execute("select 1")
    assert transactions() == (0, 1)


def test_the_latency_of_transactions_is_their_average(instrumented, connection):
    connection.begin()
    connection.execute("insert into kept values (1)")
    time.sleep(0.2)
    connection.commit()
    created, explicit = 2, instrumented.read(contract.TRANSACTION_LATENCY, database="trades")
    assert 200 / created < explicit < 2000


def test_throughput_is_told_by_type_and_by_table(instrumented, connection):
    for key in range(10):
        connection.execute("insert into kept values (?)", [key])
        connection.execute("select * from kept").fetchall()
    by_type = {
        dict(labels)[contract.QUERY_TYPE]: point.value
        for labels, point in instrumented.points(contract.QUERIES_PER_SECOND).items()
    }
    assert by_type["INSERT"] == by_type["SELECT"] > 0
    for metric in (contract.INSERT_PER_SECOND, contract.SELECT_PER_SECOND):
        ((labels, point),) = instrumented.points(metric).items()
        assert (labels, point.value > 0) == (((contract.TABLE_NAME, "kept"),), True)


def test_every_point_of_the_catalogue_carries_only_labels_of_the_contract(instrumented, connection):
    connection.execute("insert into kept values (1)")
    allowed = {metric.name: set(metric.labels) for metric in contract.METRICS}
    seen = set()
    for resource in instrumented.reader.get_metrics_data().resource_metrics:
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


def test_the_end_of_the_instrumentation_is_not_the_end_of_a_transaction(path):
    instrumented = Instrumented()
    connection = duckdb.connect(path)
    connection.begin()
    instrumented.uninstrument()
    instrumented.instrument()
    connection.commit()  # of a transaction whose beginning was not heard
    assert counted(instrumented) == (0, 0)
    connection.close()
    instrumented.uninstrument()


def test_a_transaction_open_at_the_end_of_the_process_is_a_failure(path):
    program = f"""
import atexit, duckdb
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
reader = InMemoryMetricReader()
def tell():
    for resource in reader.get_metrics_data().resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                if metric.name == {contract.TRANSACTION_FAILURE.name!r}:
                    print([point.value for point in metric.data.data_points])
atexit.register(tell)
from otel_duckdb.instrumentor import DuckDBInstrumentor
DuckDBInstrumentor().instrument(meter_provider=MeterProvider([reader]))
connection = duckdb.connect({str(path)!r})
connection.begin()
connection.execute("create table lost (a int)")
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[1]"


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


class Pool:
    def checkedin(self):
        return 1

    def checkedout(self):
        return 2


def test_a_pool_is_shown_to_the_instrumentor(instrumented):
    pool = Pool()
    DuckDBInstrumentor().observe_pool("orders", pool)
    states = {
        dict(labels)[contract.DB_CONNECTION_STATE]: point.value
        for labels, point in instrumented.points(contract.POOL_CONNECTIONS).items()
    }
    assert states == {"idle": 1, "used": 2}
