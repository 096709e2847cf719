"""A process that forks while a sync runs: the parent's goes on, and the child leaves it alone."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import json, os, signal, sys, time
import duckdb
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from otel_duckdb.sync import Limits, Sync, SyncError, Table, Target
from otel_duckdb.sync.signals import SyncSignals

path, port, database = sys.argv[1], int(sys.argv[2]), sys.argv[3]
connection = duckdb.connect(path)
connection.execute("CREATE TABLE ticks AS SELECT range AS id FROM range(20000)")
connection.execute("CREATE TABLE orders AS SELECT range AS id FROM range(2000)")
target = Target(host="127.0.0.1", port=port, database=database)
reader = InMemoryMetricReader()
sync = Sync(
    connection,
    ["ticks", Table(name="orders", key=["id"])],
    target,
    batch=Limits(rows=500),
    signals=SyncSignals(meter_provider=MeterProvider([reader], shutdown_on_exit=False)),
)


def waiting():
    # Whether metrics tell how many rows wait.
    data = json.loads(reader.get_metrics_data().to_json())
    found = [one for scope in data["resource_metrics"][0]["scope_metrics"] for one in scope["metrics"]]
    return any(one["name"] == "duckdb_sync_pending_rows" and one["data"]["data_points"] for one in found)


sync.start(0.02)
children = []
for number in range(4):
    time.sleep(0.1)
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        refused = int(waiting())
        for call in (sync.run_once, sync.status, sync.start):
            try:
                call()
            except SyncError:
                refused += 1
        ended = sync.stop()
        sync.abort()
        told = sync.sync_now()
        sync.close()
        os._exit(0 if (refused, ended, told) == (3, True, []) else 9)
    children.append(child)
assert waiting()
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
connection.execute("INSERT INTO ticks SELECT range + 20000 FROM range(1000)")
until = time.monotonic() + 60
while sync.pending_rows() and time.monotonic() < until:
    time.sleep(0.05)
errors = [str(report.error) for report in sync.reports.values() if report.error]
sync.close()
print(json.dumps([codes, errors]))
"""


@pytest.mark.slow
def test_a_forked_child_leaves_the_sync_to_its_parent_which_sends_each_row_once(tmp_path, server, served, served_query):
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(tmp_path / "buffer.duckdb")]
    done = subprocess.run(
        [*command, str(server.port), served.database], capture_output=True, text=True, timeout=120, check=True
    )
    assert json.loads(done.stdout) == [[0, 0, 0, 0], []]
    for table, rows in (("ticks", 21000), ("orders FINAL", 2000)):
        assert served_query(f"SELECT count(), uniqExact(id) FROM {{}}.{table}") == [(rows, rows)]
