"""A DuckDB file from another hand: each value of its journal is checked, and nothing of it is run."""

import json

import pytest

from otel_duckdb.sync import JournalError, Sync
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


@pytest.fixture
def journalled(buffer, sync):
    buffer.execute("CREATE TABLE ticks AS SELECT range AS i FROM range(10)")
    one = sync()
    assert one.run_once()[0].error is None
    one.close()
    ((text,),) = buffer.execute("SELECT state FROM otel_duckdb_sync.tables").fetchall()
    return json.loads(text)


def forged(buffer, state):
    text = json.dumps(state, sort_keys=True)
    buffer.execute("UPDATE otel_duckdb_sync.tables SET state = $1, seal = $2", [text, checksum(text)])
    buffer.execute("INSERT INTO ticks VALUES (11)")


@pytest.mark.parametrize("value", [RUNS, 2**64, -2, 1.5, True, None, [], {}], ids=str)
@pytest.mark.parametrize("name", ["kept", "row", "hash", "anchor_row", "anchor_rows", "anchor_hash"])
def test_a_position_that_is_no_number_in_its_range_is_refused(buffer, sync, journalled, tmp_path, name, value):
    proof = tmp_path / "written"
    journalled["mark"][name] = value.format(proof) if isinstance(value, str) else value
    forged(buffer, journalled)
    assert isinstance(sync().run_once()[0].error, JournalError)
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
def test_any_other_value_that_no_sync_writes_is_refused(buffer, sync, journalled, change):
    forged(buffer, {**journalled, **change})
    assert isinstance(sync().run_once()[0].error, JournalError)


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
