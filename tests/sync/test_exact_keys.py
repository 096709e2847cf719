"""A change is a change of bytes, and keys are the same where ClickHouse holds them the same."""

import pytest

from otel_duckdb.sync import DuplicateKeyError, Table, UnsupportedTypeError

CHANGES = [
    ("STRUCT(a HUGEINT, t TIMESTAMPTZ)", "{'a': 0, 't': NULL}", "{'a': -1, 't': NULL}"),
    ("STRUCT(i INTERVAL, t TIMESTAMPTZ)", "{'i': INTERVAL 30 DAYS, 't': NULL}", "{'i': INTERVAL 1 MONTH, 't': NULL}"),
    ("VARCHAR COLLATE NOCASE", "'btc-usd'", "'BTC-USD'"),
    ("VARCHAR", "NULL", "''"),
    ("JSON", "'{\"a\": 1}'", "'{\"a\":1}'"),
    ("HUGEINT[]", "[0]", "[-1]"),
    ("DOUBLE[]", "[0.0::DOUBLE]", "['-0.0'::DOUBLE]"),
    ("FLOAT", "'-0.0'", "0"),
    ("TIMETZ", "'00:00:00+00'", "'01:00:00+01'"),
    ("BIT", "'0'", "'00'"),
    ("INTEGER[][]", "[[]]", "[]"),
    ("INTEGER[]", "[NULL]", "[]"),
    ("VARCHAR[]", "['a, b']", "['a', 'b']"),
    ("VARCHAR[]", "['NULL']", "[NULL]"),
    ("MAP(VARCHAR, INTERVAL)", "MAP {'a': INTERVAL 30 DAYS}", "MAP {'a': INTERVAL 1 MONTH}"),
    ("STRUCT(a VARCHAR, b VARCHAR)", "{'a': 'x', 'b': NULL}", "{'a': NULL, 'b': 'x'}"),
    ('STRUCT("q\'{x}?" DOUBLE)[]', '[{"q\'{x}?": 0}]', "[{\"q'{x}?\": '-0.0'}]"),
    ("DOUBLE[2]", "[0, 0]", "[0, '-0.0'::DOUBLE]"),
]


@pytest.mark.parametrize(("kind", "before", "after"), CHANGES, ids=[f"{kind} {after}" for kind, _, after in CHANGES])
def test_any_change_of_bytes_is_sent_once(buffer, sync, kind, before, after):
    buffer.execute(f"CREATE TABLE orders (id INTEGER PRIMARY KEY, v {kind})")
    buffer.execute(f"INSERT INTO orders VALUES (1, {before})")
    one = sync([Table(name="orders", key=["id"])])
    assert [one.run_once()[0].rows, one.run_once()[0].rows] == [1, 0]
    buffer.execute("DELETE FROM orders")  # DuckDB's UPDATE leaves a value alone that it holds equal
    buffer.execute(f"INSERT INTO orders VALUES (1, {after})")
    assert [one.run_once()[0].rows, one.run_once()[0].rows] == [1, 0]


def test_the_default_collation_of_a_session_hides_no_change(buffer, sync, query):
    buffer.execute("SET default_collation = 'NOCASE'")
    buffer.execute("CREATE TABLE orders (id VARCHAR, v VARCHAR)")
    buffer.execute("INSERT INTO orders VALUES ('a', 'btc'), ('A', 'eth')")
    one = sync([Table(name="orders", key=["id"])])
    assert one.run_once()[0].rows == 2
    buffer.execute("DELETE FROM orders WHERE v = 'btc'")
    buffer.execute("INSERT INTO orders VALUES ('a', 'BTC')")
    assert one.run_once()[0].rows == 1
    assert query("SELECT id, v FROM {}.orders FINAL ORDER BY id") == [("A", "eth"), ("a", "BTC")]


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("VARCHAR COLLATE NOCASE", "'a'", "'A'"),
        ("VARCHAR COLLATE NOACCENT", "'e'", "'é'"),
        ("INTERVAL", "INTERVAL 30 DAYS", "INTERVAL 1 MONTH"),
        ("TIMETZ", "'01:00:00+01'", "'00:00:00+00'"),
        ("DOUBLE", "0.0", "'-0.0'"),
        ("DOUBLE", "'nan'", "'-nan'"),
        ("HUGEINT", "0", "-1"),
        ("UUID", "'00000000-0000-0000-0000-000000000000'", "'00000000-0000-0001-0000-000000000001'"),
        ("BIT", "'0'", "'00'"),
        ("DECIMAL(38, 2)", "0", "-0.01"),
        ("ENUM('x', 'y')", "'x'", "'y'"),
        ("JSON", "'{\"a\": 1}'", "'{\"a\":1}'"),
    ],
)
def test_a_key_that_takes_the_place_of_another_leaves_one_row(buffer, sync, query, kind, old, new):
    buffer.execute(f"CREATE TABLE orders (id {kind}, v INTEGER)")
    buffer.execute(f"INSERT INTO orders VALUES ({old}, 1)")
    one = sync([Table(name="orders", key=["id"])])
    assert one.run_once()[0].error is None
    buffer.execute("DELETE FROM orders")
    buffer.execute(f"INSERT INTO orders VALUES ({new}, 2)")
    assert one.run_once()[0].error is None
    assert query("SELECT v FROM {}.orders FINAL") == [(2,)]
    assert one.run_once()[0].rows == 0
    buffer.execute("DELETE FROM orders")
    one.run_once()
    assert query("SELECT count() FROM {}.orders FINAL") == [(0,)]


@pytest.mark.parametrize("kind", ["INTEGER[]", "STRUCT(a INTEGER)", "MAP(INTEGER, INTEGER)"])
def test_a_key_that_clickhouse_cannot_sort_by_is_refused_by_name(buffer, sync, query, kind, target):
    buffer.execute(f"CREATE TABLE orders (id {kind}, v INTEGER)")
    error = sync([Table(name="orders", key=["id"])]).run_once()[0].error
    assert isinstance(error, UnsupportedTypeError)
    assert "column 'id'" in str(error)
    assert query(f"SELECT count() FROM system.databases WHERE name = '{target.database}'") == [(0,)]


def test_keys_that_only_duckdb_holds_equal_are_two_rows(buffer, sync, query):
    buffer.execute("CREATE TABLE orders (id VARCHAR COLLATE NOCASE, v INTEGER)")
    buffer.execute("INSERT INTO orders VALUES ('a', 1), ('A', 2)")
    one = sync([Table(name="orders", key=["ID"])])
    assert one.run_once()[0].rows == 2
    assert query("SELECT id, v FROM {}.orders FINAL ORDER BY id") == [("A", 2), ("a", 1)]
    buffer.execute("INSERT INTO orders VALUES ('a', 3)")
    assert isinstance(one.run_once()[0].error, DuplicateKeyError)


def test_an_enum_that_grows_keeps_its_keys(buffer, sync, query):
    buffer.execute("CREATE TABLE orders (id ENUM('x', 'y'), v INTEGER)")
    buffer.execute("INSERT INTO orders VALUES ('x', 1), ('y', 2)")
    one = sync([Table(name="orders", key=["id"])])
    assert one.run_once()[0].rows == 2
    buffer.execute("ALTER TABLE orders ALTER id TYPE ENUM('z', 'y', 'x')")
    buffer.execute("INSERT INTO orders VALUES ('z', 3)")
    buffer.execute("DELETE FROM orders WHERE id = 'x'")
    one.run_once()
    assert query("SELECT id, v FROM {}.orders FINAL ORDER BY id") == [("y", 2), ("z", 3)]
