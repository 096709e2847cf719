"""The journal: one holder at a time; damaged or foreign ones are refused, never guessed at."""

import json
import subprocess
import sys

import duckdb
import pytest

from otel_duckdb.sync import JournalError, Sync, SyncBusyError, SyncError
from otel_duckdb.sync.state import checksum


@pytest.fixture
def ticks(buffer):
    buffer.execute("CREATE TABLE ticks AS SELECT range AS a FROM range(100)")


@pytest.fixture
def journalled(sync, ticks):
    one = sync()
    assert one.run_once()[0].error is None
    one.close()


def error_of(sync):
    return sync().run_once()[0].error


def test_a_second_sync_of_the_same_buffer_is_refused(buffer, sync, ticks, target):
    sync()
    with pytest.raises(SyncBusyError, match="another sync of this process"):
        sync()
    with pytest.raises(SyncBusyError):
        Sync(buffer.cursor(), ["ticks"], target)


def test_a_closed_sync_frees_the_buffer(sync, ticks):
    sync().close()
    sync()


def test_syncs_of_two_buffers_in_memory_do_not_meet(target):
    with duckdb.connect() as one, duckdb.connect() as two:
        one.execute("CREATE TABLE ticks (a INTEGER)")
        two.execute("CREATE TABLE ticks (a INTEGER)")
        with Sync(one, ["ticks"], target), Sync(two, ["ticks"], target):
            pass


def test_a_buffer_open_in_another_process_is_refused_with_its_name(tmp_path):
    path = tmp_path / "held.duckdb"
    script = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        holder.stdout.readline()
        with pytest.raises(SyncError, match=r"held\.duckdb"):
            Sync(path, ["ticks"])
        holder.stdin.close()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE otel_duckdb_sync.tables SET seal = 'x'",
        "UPDATE otel_duckdb_sync.tables SET state = replace(state, '\"kept\": 100', '\"kept\": 50')",
        "INSERT INTO otel_duckdb_sync.tables FROM otel_duckdb_sync.tables",
    ],
    ids=["seal", "position", "twice"],
)
def test_a_damaged_row_is_refused(buffer, sync, journalled, damage):
    buffer.execute(damage)
    error = error_of(sync)
    assert isinstance(error, JournalError)
    assert "nothing was sent" in str(error)


def test_a_state_under_another_name_is_refused(buffer, sync, journalled):
    buffer.execute("CREATE TABLE quotes (a INTEGER)")
    buffer.execute("UPDATE otel_duckdb_sync.tables SET name = 'quotes'")
    assert "holds the state of 'ticks'" in str(sync(["quotes"]).run_once()[0].error)


@pytest.mark.parametrize(
    "damage",
    [
        "DROP TABLE otel_duckdb_sync.tables",
        "ALTER TABLE otel_duckdb_sync.tables ADD COLUMN x INTEGER",
        "UPDATE otel_duckdb_sync.journal SET format = 99",
        "DELETE FROM otel_duckdb_sync.journal",
        "CREATE TABLE otel_duckdb_sync.other (a INTEGER)",
    ],
)
def test_a_damaged_or_foreign_journal_is_refused(buffer, sync, journalled, damage):
    buffer.execute(damage)
    with pytest.raises(JournalError, match="nothing was sent"):
        sync()


def test_a_state_of_another_version_is_refused(buffer, sync, journalled):
    ((text,),) = buffer.execute("SELECT state FROM otel_duckdb_sync.tables").fetchall()
    other = json.dumps({**json.loads(text), "new field": 1}, sort_keys=True)
    buffer.execute("UPDATE otel_duckdb_sync.tables SET state = $1, seal = $2", [other, checksum(other)])
    assert "another version" in str(error_of(sync))


def test_the_state_is_plain_json_for_sql(buffer, journalled):
    assert buffer.execute(
        "SELECT name, (state->>'acknowledged_rows')::INTEGER FROM otel_duckdb_sync.tables"
    ).fetchall() == [("ticks", 100)]
