"""A DuckDB file from another hand: each value of its journal is checked, and nothing of it is run."""

import contextlib
import json
import shutil

import duckdb
import pytest

from otel_duckdb.sync import JournalError, Sync, Target
from otel_duckdb.sync.state import checksum

RUNS = "0 AND 1=0; COPY (SELECT 'owned') TO '{}'; SELECT * FROM ticks WHERE rowid >= 0"
PENDING = {
    "sequence": 2,
    "token": "00000000000000aa-2-0a0b0c0d",
    "rows": 1,
    "bytes": 8,
    "hash": 1,
    "mark": {"kept": 11, "row": 10, "hash": 1, "anchor_row": 0, "anchor_rows": 11, "anchor_hash": 1},
    "since": "2026-01-01T00:00:00+00:00",
    "trace": "",
}


def state_of(buffer):
    ((text,),) = buffer.execute("SELECT state FROM otel_duckdb_sync.tables").fetchall()
    return json.loads(text)


@pytest.fixture
def journalled(buffer, sync):
    buffer.execute("CREATE TABLE ticks AS SELECT range AS i FROM range(10)")
    one = sync()
    assert one.run_once()[0].error is None
    one.close()
    return state_of(buffer)


@pytest.fixture(scope="module")
def synced(tmp_path_factory, chdb_folder):
    """A buffer that was synced, and its target: for forgeries that are refused before anything is sent."""
    folder = tmp_path_factory.mktemp("forged")
    path, target = str(folder / "buffer.duckdb"), Target(path=chdb_folder, database=folder.name)
    with duckdb.connect(path) as connection:
        connection.execute("CREATE TABLE ticks AS SELECT range AS i FROM range(10)")
        with contextlib.closing(Sync(connection, ["ticks"], target)) as one:
            assert one.run_once()[0].error is None
    return path, target


@pytest.fixture
def copied(synced, tmp_path):
    with duckdb.connect(shutil.copy(synced[0], tmp_path)) as connection:
        yield connection


def forged(buffer, state):
    text = json.dumps(state, sort_keys=True)
    buffer.execute("UPDATE otel_duckdb_sync.tables SET state = $1, seal = $2", [text, checksum(text)])
    buffer.execute("INSERT INTO ticks VALUES (11)")


def refusal(buffer, target):
    with contextlib.closing(Sync(buffer, ["ticks"], target)) as one:
        return one.run_once()[0].error


@pytest.mark.parametrize("value", [RUNS, 2**64, -2, 1.5, True, None, [], {}], ids=str)
@pytest.mark.parametrize("name", ["kept", "row", "hash", "anchor_row", "anchor_rows", "anchor_hash"])
def test_a_position_that_is_no_number_in_its_range_is_refused(copied, synced, tmp_path, name, value):
    proof, state = tmp_path / "written", state_of(copied)
    state["mark"][name] = value.format(proof) if isinstance(value, str) else value
    forged(copied, state)
    assert isinstance(refusal(copied, synced[1]), JournalError)
    assert not proof.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"source": "1); DROP TABLE ticks; --"},
        {"source": 0},
        {"name": 7},
        {"target": None},
        {"key": "i"},
        {"key": [1]},
        {"columns": [["i", "BIGINT"]]},
        {"columns": [["i", "BIGINT", 1]]},
        {"columns": 1},
        {"begun": "yesterday"},
        {"caught_up": 5},
        {"sequence": -1},
        {"acknowledged_rows": "many"},
        {"earlier": ["x"]},
        {"failure": {}},
        {"extra": 1},
        {"mark": []},
        {"pending": {**PENDING, "token": "x' OR 1"}},
        {"pending": {**PENDING, "rows": 0}},
        {"pending": {**PENDING, "trace": "\x1b[2J"}},
        {"pending": {**PENDING, "mark": {}}},
        {"pending": []},
    ],
    ids=str,
)
def test_any_other_value_that_no_sync_writes_is_refused(copied, synced, change):
    forged(copied, {**state_of(copied), **change})
    assert isinstance(refusal(copied, synced[1]), JournalError)


def test_the_copy_that_is_forged_is_not_refused_as_it_is(copied, synced):
    forged(copied, state_of(copied))
    assert refusal(copied, synced[1]) is None


@pytest.mark.parametrize("change", [{"acknowledged_rows": 5}, {"sequence": 0}, {"pending": PENDING}], ids=str)
def test_values_that_could_be_true_are_checked_by_what_they_mean(buffer, sync, journalled, change):
    forged(buffer, {**journalled, **change})
    one = sync()
    report = one.run_once()[0]
    assert report.error is not None or one.status()[0].acknowledged_rows


def test_a_view_in_the_place_of_the_journal_is_not_run(buffer, target, journalled):
    buffer.execute("ALTER TABLE otel_duckdb_sync.tables RENAME TO kept")
    buffer.execute("CREATE VIEW otel_duckdb_sync.tables AS SELECT name, state, seal FROM otel_duckdb_sync.kept")
    with pytest.raises(JournalError):
        Sync(buffer, ["ticks"], target)
