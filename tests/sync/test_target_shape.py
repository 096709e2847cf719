"""A target that would not keep rows as the sync means them is refused before a row is sent; nothing wrong is left."""

from dataclasses import replace

import pytest

from otel_duckdb.sync import Config, Sync, Table, Target, TargetError, read_plan
from sync_passes import arrived, failure, fine, rows

COLUMNS = "`i` Int32, `j` Int32, v Nullable(String), _sync_version UInt64, _sync_deleted UInt8"
REPLACING = "ReplacingMergeTree(_sync_version, _sync_deleted)"


@pytest.fixture
def pairs(buffer):
    buffer.execute("CREATE TABLE pairs (i INTEGER, j INTEGER, v VARCHAR)")
    buffer.execute("INSERT INTO pairs SELECT range // 2, range % 2, 'x' FROM range(10)")


def made(query, target, rest, columns=COLUMNS):
    query(f"CREATE DATABASE IF NOT EXISTS {target.database}")
    query(f"CREATE TABLE {{}}.pairs ({columns}) ENGINE = {rest}")


@pytest.mark.parametrize(
    ("rest", "columns", "words"),
    [
        (f"{REPLACING} ORDER BY i", COLUMNS, "is sorted by (i)"),
        (f"{REPLACING} ORDER BY tuple()", COLUMNS, "is sorted by"),
        (f"{REPLACING} ORDER BY (i, j)", COLUMNS.replace("v N", "V N"), "has 'V', and no column 'v'"),
        (f"{REPLACING} ORDER BY (i, j)", COLUMNS.replace("`i` Int32", "`i` Int64"), "has Int64, and not Int32"),
        (f"{REPLACING} ORDER BY (i, j, v) SETTINGS allow_nullable_key = 1", COLUMNS, "is sorted by"),
        (f"{REPLACING} ORDER BY (i, j % 2)", COLUMNS, "is sorted by"),
        (f"{REPLACING} PARTITION BY v ORDER BY (i, j) SETTINGS allow_nullable_key = 1", COLUMNS, "partitioned by v"),
        (
            "ReplacingMergeTree(_sync_version) ORDER BY (i, j)",
            COLUMNS,
            "needs ReplacingMergeTree(_sync_version, _sync_d",
        ),
        ("ReplacingMergeTree ORDER BY (i, j)", COLUMNS, "needs ReplacingMergeTree"),
        ("MergeTree ORDER BY (i, j)", COLUMNS, "needs ReplacingMergeTree"),
        (f"{REPLACING} ORDER BY (i, j)", COLUMNS.replace("`j` Int32", "`j` Int16"), "column 'j'"),
        (f"{REPLACING} ORDER BY (i, j)", COLUMNS.replace("Nullable(String)", "String"), "column 'v'"),
        (
            f"{REPLACING} ORDER BY (i, j)",
            COLUMNS.replace("Nullable(String)", "Nullable(String) MATERIALIZED '1'"),
            "'v'",
        ),
    ],
)
def test_a_table_of_the_wrong_shape_is_refused(sync, pairs, query, target, rest, columns, words):
    made(query, target, rest, columns)
    error = sync([Table(name="pairs", key=["i", "j"])]).run_once()[0].error
    assert isinstance(error, TargetError)
    assert words in str(error)
    assert query("SELECT count() FROM {}.pairs") == [(0,)]


@pytest.mark.parametrize("order", ["(i, j)", "(j, i)"])
def test_a_table_of_the_right_shape_is_filled(sync, pairs, query, target, order):
    made(query, target, f"{REPLACING} PARTITION BY i % 3 ORDER BY {order}")
    assert sync([Table(name="pairs", key=["i", "j"])]).run_once()[0].error is None
    assert query("SELECT count() FROM {}.pairs FINAL") == [(10,)]


@pytest.mark.parametrize(
    "options",
    [
        {"key": ["i", "j"], "partition_by": "v"},
        {"key": ["i", "j"], "partition_by": "rand()"},
        {"key": ["i"], "engine": "ReplacingMergeTree(_sync_version)"},
        {"key": ["i"], "engine": "SummingMergeTree"},
        {"order_by": ["i"], "engine": "ReplacingMergeTree"},
        {"order_by": ["i"], "engine": "MergeTre"},
        {"order_by": ["i"], "partition_by": "toFloat64(i)"},
        {"order_by": ["i"], "partition_by": "nope(i)"},
    ],
    ids=str,
)
def test_what_would_be_created_is_checked_by_a_dry_run_too_and_not_left(
    buffer, tmp_path, pairs, query, target, options
):
    table = Table(name="pairs", **options)
    with Sync(buffer, [table], target) as one:
        assert one.run_once()[0].error is not None
    assert query(f"SELECT count() FROM system.databases WHERE name = '{target.database}'") == [(0,)]
    buffer.execute("CHECKPOINT")
    buffer.execute(f"ATTACH '{tmp_path / 'copy.duckdb'}' AS copy")
    buffer.execute("COPY FROM DATABASE buffer TO copy")
    buffer.execute("DETACH copy")
    (plan,) = read_plan(Config(database=str(tmp_path / "copy.duckdb"), tables=[table], target=target))
    assert plan.refusal is not None
    assert query(f"SELECT count() FROM system.databases WHERE name = '{target.database}'") == [(0,)]


def test_a_dry_run_shows_the_statements_for_a_cluster_and_replicas(buffer, tmp_path, pairs, server):
    target = Target(host=server.host, port=server.port, cluster="main", database="market", timeout=5)
    tables = [Table(name="pairs", key=["i"], engine="ReplicatedReplacingMergeTree")]
    buffer.close()
    (plan,) = read_plan(Config(database=str(tmp_path / "buffer.duckdb"), tables=tables, target=target))
    assert plan.refusal is None, plan.refusal
    assert plan.statements[0] == "CREATE DATABASE IF NOT EXISTS `market` ON CLUSTER `main`"
    assert "`market`.`pairs` ON CLUSTER `main` (" in plan.statements[1]
    assert "ENGINE = ReplicatedReplacingMergeTree(_sync_version, _sync_deleted) ORDER BY (`i`)" in plan.statements[1]


def test_odd_names_are_synced(buffer, sync, query, target):
    odd = "a\"b'c`d\\e?{x}%s {y:Int32}"
    name = '"' + odd.replace('"', '""') + '"'
    buffer.execute(f"CREATE TABLE {name} ({name} INTEGER, v INTEGER[])")
    buffer.execute(f"INSERT INTO {name} VALUES (1, [2]), (3, NULL)")
    one = sync(
        [
            Table(name=odd, target="append", order_by=[odd]),
        ]
    )
    assert [(report.error, report.rows) for report in one.run_once()] == [(None, 2)]
    one.close()
    keyed = sync([Table(name=odd, target=odd, key=[odd])])
    error = keyed.run_once()[0].error
    assert "before" in str(error)  # it was synced without a key
    keyed.reset(odd)
    assert [(report.error, report.rows) for report in keyed.run_once()] == [(None, 2)]
    assert keyed.status()[0].pending_rows == 0
    rows = query(f"SELECT total_rows FROM system.tables WHERE database = '{target.database}' ORDER BY name")
    assert rows == [(2,), (2,)]


def test_rows_in_a_target_are_sorted_and_parted_as_asked(sync, ticks, query, target):
    ticks(0, 100)
    fine(sync([Table(name="ticks", order_by=["a"], partition_by="a % 4", target="other")]).run_once())
    ((key, partition, count),) = query(
        f"SELECT sorting_key, partition_key, total_rows FROM system.tables WHERE database = '{target.database}'"
    )
    assert (key.strip("()"), partition, count) == ("a", "a % 4", 100)


def test_a_batch_of_too_many_partitions_is_told_at_once_with_the_setting_that_allows_it(sync, ticks, query, target):
    ticks(0, 150)
    table = Table(name="ticks", order_by=["a"], partition_by="a")
    one = sync([table])
    error = failure(one.run_once())
    assert isinstance(error, TargetError)
    assert "max_partitions_per_insert_block = 1000" in str(error)
    one.close()
    allowed = replace(target, settings={"max_partitions_per_insert_block": 1000})
    assert fine(sync([table], target=allowed).run_once()) == 150
    assert arrived(query) == rows(*range(150))


def test_null_in_a_column_the_target_sorts_by_is_refused_with_its_row(buffer, sync, ticks):
    ticks(0, 5)
    buffer.execute("INSERT INTO ticks VALUES (NULL, 'x')")
    error = str(failure(sync([Table(name="ticks", order_by=["a"])]).run_once()))
    assert "column 'a'" in error
    assert "rowid 5" in error


def test_a_target_that_does_not_deduplicate_is_refused_with_the_remedy(sync, ticks, query, target):
    query(f"CREATE DATABASE {target.database}")
    query(
        "CREATE TABLE {}.ticks (a Nullable(Int64), s Nullable(String), _sync_source UInt64, _sync_batch UInt64) "
        "ENGINE = MergeTree ORDER BY tuple()"
    )
    ticks(0, 10)
    one = sync()
    error = str(failure(one.run_once()))
    assert "MODIFY SETTING non_replicated_deduplication_window" in error
    query("ALTER TABLE {}.ticks MODIFY SETTING non_replicated_deduplication_window = 100")
    assert fine(one.run_once()) == 10


@pytest.mark.parametrize("engine", ["SummingMergeTree", "AggregatingMergeTree", "ReplacingMergeTree"])
def test_an_engine_that_merges_rows_is_refused(sync, ticks, engine):
    ticks(0, 3)
    assert "does not keep every row" in str(
        failure(sync([Table(name="ticks", order_by=["a"], engine=engine)]).run_once())
    )
