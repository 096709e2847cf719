"""What a hostile schema, or a hand that changes things between two passes, must not make of a sync."""

import duckdb
import pytest

from otel_duckdb.sync import Sync, SyncError, Table


def run(sync, *tables):
    with sync(tables) as one:
        return one.run_once()


@pytest.mark.parametrize("key", [[], ["id"]], ids=["append-only", "with a key"])
def test_a_list_that_takes_null_since_keeps_the_rows_that_had_a_value(buffer, sync, query, key):
    buffer.execute("CREATE TABLE t (id INTEGER, v INTEGER[] NOT NULL)")
    buffer.execute("INSERT INTO t VALUES (1, [2])")
    table = Table(name="t", key=key)
    assert run(sync, table)[0].error is None
    buffer.execute("ALTER TABLE t ALTER COLUMN v DROP NOT NULL")
    buffer.execute("INSERT INTO t VALUES (2, NULL)")
    assert run(sync, table)[0].error is None
    final = "FINAL" if key else ""
    assert query(f"SELECT id, v, v_is_null FROM {{}}.t {final} ORDER BY id") == [(1, [2], False), (2, [], True)]


def test_rows_sent_before_a_list_was_added_have_null_in_it(buffer, sync, query):
    buffer.execute("CREATE TABLE t AS SELECT 1 AS id")
    assert run(sync, "t")[0].error is None
    buffer.execute("ALTER TABLE t ADD COLUMN v INTEGER[]")
    buffer.execute("INSERT INTO t VALUES (2, [3])")
    assert run(sync, "t")[0].error is None
    assert query("SELECT id, v, v_is_null FROM {}.t ORDER BY id") == [(1, [], True), (2, [3], False)]


@pytest.mark.parametrize("name", ["a\nb", "tab\tle", "a\\b", "a`b", 'a"b', "{x}", "%(x)s", "?", "select", "é"])
@pytest.mark.parametrize("keyed", [False, True], ids=["append-only", "with a key"])
def test_names_with_any_characters_arrive_as_columns_and_fields(buffer, sync, query, name, keyed):
    quoted = '"' + name.replace('"', '""') + '"'
    buffer.execute(f"CREATE TABLE t ({quoted} VARCHAR, v STRUCT({quoted} INTEGER))")
    buffer.execute("INSERT INTO t VALUES ('a', row(1)), ('b', row(2))")
    table = Table(name="t", key=[name] if keyed else [])
    assert [run(sync, table)[0].error for _ in range(2)] == [None, None]
    assert query("SELECT count() FROM {}.t") == [(2,)]


def test_a_field_that_clickhouse_keeps_for_itself_is_refused_by_name(buffer, sync):
    buffer.execute('CREATE TABLE t (v STRUCT("null" INTEGER))')
    assert "column 'v' holds a STRUCT with a field named 'null'" in str(run(sync, "t")[0].error)


@pytest.mark.parametrize(
    "name", ["otel_duckdb_rowid", "OTEL_DUCKDB_ROW_HASH", "otel_duckdb_version", "otel_duckdb_key_0"]
)
def test_a_column_named_as_one_of_the_comparison_is_refused_with_a_key_alone(buffer, sync, query, name):
    buffer.execute(f"CREATE TABLE t (id INTEGER, {name} INTEGER)")
    buffer.execute("INSERT INTO t VALUES (1, 2)")
    refused = str(run(sync, Table(name="t", key=["id"]))[0].error)
    assert f"column {name!r}: in a table with a key, names that begin with 'otel_duckdb_' are the sync's own" in refused
    assert run(sync, "t")[0].error is None
    assert query(f"SELECT id, {name} FROM {{}}.t") == [(1, 2)]


def test_two_rows_of_one_key_are_refused_also_where_both_are_as_they_were_sent(buffer, sync):
    buffer.execute("CREATE TABLE t AS SELECT range AS id, 0 AS v FROM range(3)")
    table = Table(name="t", key=["id"])
    assert run(sync, table)[0].error is None
    buffer.execute("INSERT INTO t VALUES (1, 0)")
    assert "1 of its keys are those of more than one row" in str(run(sync, table)[0].error)
    buffer.execute("DELETE FROM t WHERE id = 1")
    buffer.execute("INSERT INTO t VALUES (1, 0)")
    assert run(sync, table)[0].error is None


def test_a_table_of_which_nothing_was_sent_may_go_elsewhere_or_change(buffer, sync, query):
    buffer.execute("CREATE TABLE t (id INTEGER, u UNION(a INTEGER))")
    buffer.execute("INSERT INTO t VALUES (1, 1)")
    query("CREATE DATABASE {}")
    query("CREATE TABLE {}.t (id String) ENGINE = MergeTree ORDER BY tuple()")
    assert "UNION" in str(run(sync, "t")[0].error)
    buffer.execute("ALTER TABLE t DROP COLUMN u")
    assert "and not Nullable(Int32)" in str(run(sync, "t")[0].error)
    buffer.execute("ALTER TABLE t ADD COLUMN w INTEGER")
    assert run(sync, Table(name="t", target="u", key=["id"]))[0].error is None
    assert query("SELECT id, w FROM {}.u FINAL") == [(1, None)]


def test_a_target_that_a_table_never_filled_is_free_for_another(buffer, sync, query):
    buffer.execute("CREATE TABLE a (u UNION(x INTEGER))")
    buffer.execute("CREATE TABLE b AS SELECT 1 AS id")
    assert run(sync, Table(name="a", target="t"))[0].error is not None
    buffer.execute("ALTER TABLE a ADD COLUMN id INTEGER")
    buffer.execute("ALTER TABLE a DROP COLUMN u")
    assert run(sync, Table(name="a", target="t"))[0].error is None
    assert run(sync, Table(name="b", target="t"))[0].error is None
    assert query("SELECT id FROM {}.t") == [(1,)]


def test_a_view_as_target_is_refused_for_what_it_is(buffer, sync, query):
    buffer.execute("CREATE TABLE t AS SELECT 1 AS id")
    query("CREATE DATABASE {}")
    query("CREATE VIEW {}.t AS SELECT 1 AS id")
    assert "has engine View" in str(run(sync, "t")[0].error)


def test_a_journal_that_is_dropped_while_the_sync_runs_is_told_and_nothing_is_sent(buffer, sync, query):
    buffer.execute("CREATE TABLE t AS SELECT 1 AS id")
    with sync(["t"]) as one:
        assert one.run_once()[0].error is None
        buffer.execute("DROP SCHEMA otel_duckdb_sync CASCADE")
        buffer.execute("INSERT INTO t VALUES (2)")
        assert "the journal otel_duckdb_sync was dropped while the sync ran" in str(one.run_once()[0].error)
    assert query("SELECT count() FROM {}.t") == [(1,)]


def test_a_closed_sync_does_nothing_further(buffer, sync):
    buffer.execute("CREATE TABLE t AS SELECT 1 AS id")
    one = sync(["t"])
    one.run_once()
    one.close()
    one.close()
    assert one.stop()
    for act in (one.run_once, one.start, one.status, lambda: one.reset("t"), lambda: one.rename("u", "t")):
        with pytest.raises(SyncError, match="this sync is closed"):
            act()


def test_names_with_dots_that_mean_two_tables_can_be_told_apart_by_quotes(buffer, sync, query):
    for schema, table, rows in (('"a.b"', "c", 3), ("a", '"b.c"', 5)):
        buffer.execute(f"CREATE SCHEMA {schema}")
        buffer.execute(f"CREATE TABLE {schema}.{table} AS SELECT range AS id FROM range({rows})")
    ((database,),) = buffer.execute("SELECT current_database()").fetchall()
    refused = str(run(sync, Table(name="a.b.c", target="t"))[0].error)
    assert f'{database}."a.b".c' in refused
    assert run(sync, Table(name=f'{database}."a.b".c', target="t"))[0].error is None
    assert query("SELECT count() FROM {}.t") == [(3,)]


def test_every_message_that_advises_a_reset_names_the_table(buffer, sync, query):
    buffer.execute("CREATE TABLE t AS SELECT range AS id FROM range(3)")
    run(sync, "t")
    query("DROP TABLE {}.t SYNC")
    assert "`otel-duckdb sync --reset t`" in str(run(sync, "t")[0].error)
    buffer.execute("DELETE FROM t")
    buffer.execute("ALTER TABLE t RENAME id TO other")
    assert "`otel-duckdb sync --reset t`" in str(run(sync, "t")[0].error)


def test_what_a_program_end_tears_down_is_no_failure(buffer, target, caplog):
    """A pass that fails by what is no error of ours, once it is to stop, is told with the next start, if it is real."""
    buffer.execute("CREATE TABLE t AS SELECT range AS id FROM range(3000)")
    made = []

    def end(_name, _rows):
        made[0].stop()
        duckdb.DuckDBPyConnection.close(made[0]._journal._cursor)

    made.append(Sync(buffer, ["t"], target, progress=end))
    report = made[0].run_once()[0]
    made[0].close()
    assert report.error is not None
    assert "failed" not in caplog.text
