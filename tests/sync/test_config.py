"""A wrong configuration is one error that names the key, the value, and what is allowed."""

import pytest

from otel_duckdb.sync import Config, Retry, SyncConfigError, Table, Target, load

GOOD = """
database = "buffer.duckdb"
interval = 2

[target]
host = "clickhouse.example"
port = 8443
secure = true
password_environment = "CLICKHOUSE_PASSWORD"
settings = {insert_quorum = 2}

[batch]
rows = 1000

[retry]
attempts = 3

[[tables]]
name = "ticks"
delete = true
keep_rows = 10

[[tables]]
name = "book.orders"
key = ["id"]
"""


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "sync.toml"
        path.write_text(text)
        return path

    return write


def test_a_whole_file_is_read(written, tmp_path, monkeypatch):
    config = load(written(GOOD))
    assert config.database == str(tmp_path / "buffer.duckdb")
    assert (config.interval, config.batch.rows, config.retry.attempts) == (2.0, 1000, 3)
    assert config.target.settings == {"insert_quorum": 2}
    assert [table.target_name for table in config.tables] == ["ticks", "orders"]
    with pytest.raises(SyncConfigError, match="CLICKHOUSE_PASSWORD"):
        config.target.secret()
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", "hidden")
    assert config.target.secret() == "hidden"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("database", "databse"), "unknown key databse"),
        (('database = "buffer.duckdb"', ""), "database is missing"),
        (("interval = 2", "interval = 0"), "interval is 0.0; allowed is seconds above 0"),
        (("interval = 2", 'interval = "often"'), "interval is 'often'"),
        (("port = 8443", "port = 84430"), "target.port is 84430; allowed is a port"),
        (("port = 8443", "prt = 8443"), "unknown key target.prt"),
        (("rows = 1000", "rows = 0"), "batch.rows is 0"),
        (("rows = 1000", "rows = true"), "batch.rows is True"),
        (("attempts = 3", "attempts = 1.5"), "retry.attempts is 1.5"),
        (('name = "ticks"', 'nme = "ticks"'), "unknown key tables.nme"),
        (('name = "ticks"', ""), "tables.name is missing"),
        (('name = "ticks"', 'name = "book.orders"'), "'book.orders' is named twice"),
        (
            ("delete = true", 'when_full = "explode"'),
            "tables.when_full is 'explode'; allowed is 'keep' or 'drop_oldest'",
        ),
        (('key = ["id"]', 'key = "id"'), "tables.key is 'id'"),
        (('key = ["id"]', "key = [1]"), "tables.key is [1]"),
        (('key = ["id"]', 'key = ["id"]\ndelete = true'), "has a key"),
        (('key = ["id"]', 'key = ["id"]\norder_by = ["id"]'), "`order_by` does not apply"),
        (('key = ["id"]', 'key = ["id"]\nkeep_rows = 5'), "`keep_rows` does not apply"),
        (('key = ["id"]', 'key = ["id"]\nwhen_full = "keep"'), "`when_full` does not apply"),
        (("delete = true\n", ""), "`keep_rows` without `delete`"),
        (("keep_rows = 10", 'when_full = "drop_oldest"'), "`when_full` without `limit_rows`"),
        (("secure = true", 'path = "ch"'), "target.host and target.path"),
        (('host = "clickhouse.example"', ""), "target.port is given without target.host"),
        (("secure = true", 'password = "x"'), "target.password and target.password_environment"),
        (('host = "clickhouse.example"', 'host = "http://clickhouse.example"'), "target.host is no host name"),
        (('host = "clickhouse.example"', 'host = "clickhouse.example:8443"'), "target.host is no host name"),
        (("attempts = 3", "initial_delay = inf"), "retry.initial_delay is inf"),
        (("attempts = 3", "max_delay = inf"), "retry.max_delay is inf"),
        (("attempts = 3", "seconds = nan"), "retry.seconds is nan"),
        (('name = "book.orders"', 'name = "TICKS"'), "'ticks' is named twice"),
        (('database = "buffer.duckdb"', 'database = ""'), "database is ''"),
        (("keep_rows = 10", "keep_rows = 10\nlimit_rows = 10"), "keeps 10 rows, and is full at 10"),
        (('key = ["id"]', 'key = ["id"]\nengine = "MergeTree; SELECT 1"'), "`engine` with a semicolon"),
        (('key = ["id"]', "partition_by = \"splitByChar(';', a)[1];\""), "`partition_by` with a semicolon"),
        (("insert_quorum = 2", "insert_quorum = [2]"), "each a text or a number"),
        (("insert_quorum = 2", '"" = 2'), "each a text or a number"),
        (("insert_quorum = 2", "async_insert = 1"), "target.settings has async_insert"),
        (("insert_quorum = 2", "insert_deduplicate = 0"), "target.settings has insert_deduplicate"),
        (("insert_quorum = 2", "limit = 1"), "target.settings has limit"),
        (("[retry]", "[[retry]]"), "retry is"),
        (("[batch]", "[batch"), "cannot read"),
    ],
)
def test_a_wrong_file_is_one_error_that_names_the_key(written, change, words):
    assert change[0] in GOOD
    with pytest.raises(SyncConfigError) as caught:
        load(written(GOOD.replace(change[0], change[1], 1)))
    assert words in str(caught.value)
    assert "sync.toml" in str(caught.value)


def test_a_file_may_begin_with_a_byte_order_mark_and_an_expression_quote_a_semicolon(written):
    text = GOOD.replace('key = ["id"]', "partition_by = \"splitByChar(';', a)[1]\"")
    assert load(written("\ufeff" + text)).tables[1].partition_by == "splitByChar(';', a)[1]"


def test_paths_are_taken_relative_to_the_file(written, tmp_path):
    text = 'database = "a.duckdb"\n[target]\npath = "store"\n[[tables]]\nname = "ticks"\n'
    assert load(written(text)).target.path == str(tmp_path / "store")
    assert load(written(text.replace('"store"', '"/srv/store"'))).target.path == "/srv/store"


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(SyncConfigError, match="cannot read"):
        load(tmp_path / "none.toml")


def test_the_same_is_checked_in_python():
    with pytest.raises(SyncConfigError, match="tables"):
        Config(database="x", tables=[])
    with pytest.raises(SyncConfigError, match="retry"):
        Retry(attempts=0)
    with pytest.raises(SyncConfigError, match="name"):
        Table(name="")
    with pytest.raises(SyncConfigError, match="port"):
        Target(host="x", port=0)
