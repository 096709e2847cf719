"""What is synced is what is named, and one target table belongs to one source."""

import os
import sys

import duckdb
import pytest

from otel_duckdb.sync import Sync, SyncConfigError, Table, TargetChangedError
from sync_passes import failure, fine


def count(query, table="ticks"):
    return query(f"SELECT count(), uniqExact(a) FROM {{}}.{table}")


def error_of(one):
    return one.run_once()[0].error


@pytest.fixture
def ticks(buffer):
    buffer.execute("CREATE TABLE ticks AS SELECT range AS a FROM range(1000)")


def test_a_renamed_table_is_refused_until_its_journal_follows(buffer, sync, ticks, query):
    one = sync()
    assert error_of(one) is None
    one.close()
    buffer.execute("ALTER TABLE ticks RENAME TO ticks_2024")
    renamed = sync([Table(name="ticks_2024", target="ticks")])
    error = error_of(renamed)
    assert isinstance(error, SyncConfigError)
    assert "'ticks'" in str(error)
    assert "--rename ticks=ticks_2024" in str(error)
    renamed.rename("ticks", "ticks_2024")
    buffer.execute("INSERT INTO ticks_2024 VALUES (1000)")
    assert (error_of(renamed), count(query)) == (None, [(1001, 1001)])
    with pytest.raises(SyncConfigError, match="knows no table"):
        renamed.rename("ticks", "ticks_2024")


@pytest.mark.parametrize("name", ["main.ticks", "TICKS", "buffer.main.Ticks", "Buffer.ticks"])
def test_another_spelling_of_a_name_is_the_same_table(sync, ticks, query, name):
    one = sync()
    assert error_of(one) is None
    one.close()
    again = sync([Table(name=name, target="ticks")])
    assert [(report.rows, report.error) for report in again.run_once()] == [(0, None)]
    assert again.status()[0].acknowledged_rows == 1000
    assert count(query) == [(1000, 1000)]


def test_a_table_that_is_made_again_is_refused(buffer, sync, ticks, query):
    one = sync()
    assert error_of(one) is None
    buffer.execute("DROP TABLE ticks")
    buffer.execute("CREATE TABLE ticks AS SELECT range + 5000 AS a FROM range(2000)")
    assert error_of(one) is not None
    assert count(query) == [(1000, 1000)]


def test_a_name_in_two_attached_databases_must_say_which(buffer, sync, tmp_path, ticks, query, target):
    buffer.execute(f"ATTACH '{tmp_path / 'other.duckdb'}' AS other")
    buffer.execute("CREATE TABLE other.ticks AS SELECT 7 AS a")
    buffer.execute("USE other")
    one = sync()
    assert "may mean buffer.main.ticks, other.main.ticks" in str(error_of(one))
    one.close()
    named = sync([Table(name="other.main.ticks")])
    assert (error_of(named), count(query)) == (None, [(1, 1)])
    assert buffer.execute("SELECT count(*) FROM other.otel_duckdb_sync.tables").fetchall() == [(1,)]
    named.close()
    with pytest.raises(SyncConfigError, match="several databases"):
        sync([Table(name="other.main.ticks"), Table(name="buffer.main.ticks", target="x")])


def test_a_name_of_database_and_table_means_what_duckdb_means_unless_a_schema_has_that_name(
    buffer, sync, tmp_path, ticks, query
):
    buffer.execute(f"ATTACH '{tmp_path / 'other.duckdb'}' AS other")
    buffer.execute("CREATE TABLE other.ticks AS SELECT 7 AS a")
    one = sync([Table(name="other.ticks", target="sevens")])
    assert fine(one.run_once()) == 1
    one.close()
    buffer.execute("CREATE SCHEMA buffer.other")
    buffer.execute("CREATE TABLE buffer.other.ticks AS SELECT 8 AS a")
    assert fine(sync([Table(name="buffer.other.ticks", target="eights")]).run_once()) == 1
    assert (query("SELECT a FROM {}.sevens"), query("SELECT a FROM {}.eights")) == ([(7,)], [(8,)])


def test_the_journal_itself_is_no_table_to_be_synced(sync, ticks):
    one = sync()
    fine(one.run_once())
    one.close()
    assert "none of the sync's own" in str(failure(sync(["otel_duckdb_sync.journal"]).run_once()))


def test_a_table_of_another_database_is_told_with_its_full_name(buffer, sync, tmp_path):
    buffer.execute(f"ATTACH '{tmp_path / 'other.duckdb'}' AS other")
    buffer.execute("CREATE TABLE other.ticks AS SELECT 7 AS a")
    assert "'other.main.ticks'" in str(error_of(sync()))


def test_a_target_that_another_buffer_fills_is_refused_unless_it_is_shared(sync, ticks, query, target, tmp_path):
    assert error_of(sync()) is None
    with duckdb.connect(str(tmp_path / "second.duckdb")) as second:
        second.execute("CREATE TABLE ticks AS SELECT range + 1000 AS a FROM range(10)")
        with Sync(second, ["ticks"], target) as other:
            error = error_of(other)
            assert isinstance(error, TargetChangedError)
            assert "another buffer" in str(error)
        assert count(query) == [(1000, 1000)]
        with Sync(second, [Table(name="ticks", shared=True)], target) as other:
            assert error_of(other) is None
    assert count(query) == [(1010, 1010)]


def test_tables_with_a_key_share_no_target(buffer, sync, query, target, tmp_path):
    buffer.execute("CREATE TABLE orders AS SELECT 1 AS a")
    table = Table(name="orders", key=["a"])
    assert error_of(sync([table])) is None
    with duckdb.connect(str(tmp_path / "second.duckdb")) as second:
        second.execute("CREATE TABLE orders AS SELECT 2 AS a")
        with Sync(second, [table], target) as other:
            assert isinstance(error_of(other), TargetChangedError)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="their file systems take Unicode alone")
def test_a_buffer_in_a_folder_whose_name_is_not_utf_8_is_synced(tmp_path, monkeypatch, target, query):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    monkeypatch.chdir(folder)
    with duckdb.connect("odd.duckdb") as connection:
        connection.execute("CREATE TABLE odd AS SELECT range AS i FROM range(3)")
    with Sync("odd.duckdb", ["odd"], target) as sync:
        (report,) = sync.run_once()
    assert report.error is None
    assert query("SELECT count() FROM {}.odd") == [(3,)]
