"""Every DuckDB type arrives without loss, or is refused by the name of its column before a row is sent."""

import datetime as dt
import itertools
import math
import struct
from decimal import Decimal

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_duckdb.sync import UnsupportedTypeError, ValueRangeError

_tables = itertools.count()
SINCE_15 = duckdb.__version__ >= "1.5"


def text(value):
    return f"CAST({value} AS VARCHAR)"


# Type, values as SQL, the value as DuckDB is asked for it, the value as ClickHouse is asked for it.
SAME = ("{}", "{}")
AS_TEXT = (text("{}"), "toString({})")
BYTES = ("hex({})", "hex({})")
MICROSECONDS = ("epoch_us({})", "toUnixTimestamp64Micro({})")
CASES = {
    "BOOLEAN": (["true", "false"], SAME),
    "TINYINT": (["-128", "127"], SAME),
    "SMALLINT": (["-32768", "32767"], SAME),
    "INTEGER": ([f"-{2**31}", f"{2**31 - 1}"], SAME),
    "BIGINT": ([f"-{2**63}", f"{2**63 - 1}"], SAME),
    "HUGEINT": ([f"-{2**127}", f"{2**127 - 1}", "0"], AS_TEXT),
    "UTINYINT": (["255"], SAME),
    "USMALLINT": (["65535"], SAME),
    "UINTEGER": ([f"{2**32 - 1}"], SAME),
    "UBIGINT": ([f"{2**64 - 1}"], SAME),
    "UHUGEINT": ([f"{2**128 - 1}", "0"], AS_TEXT),
    "BIGNUM": (["12345678901234567890123456789012345678901234567890", "-1"], AS_TEXT),
    "DECIMAL(4,1)": (["999.9", "-999.9"], SAME),
    "DECIMAL(9,9)": (["0.999999999", "-0.000000001"], SAME),
    "DECIMAL(18,3)": (["999999999999999.999", "0.001"], SAME),
    "DECIMAL(38,10)": (["9999999999999999999999999999.9999999999", "-0.0000000001"], SAME),
    "DECIMAL(38,0)": (["99999999999999999999999999999999999999"], AS_TEXT),
    "VARCHAR": (["''", "'a' || chr(0) || 'b'", "'grüße 😀'", "repeat('x', 100000)"], SAME),
    "BLOB": (["''::BLOB", "'\\x00\\xFF\\xFE\\x80'::BLOB"], BYTES),
    "JSON": (["""'{"b": 1, "a": [1.10, null], "b": 2}'""", "'null'", "'\"x\"'"], AS_TEXT),
    "BIT": (["'0101'", "'1'", "'00000000000000000'"], AS_TEXT),
    "UUID": (["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"], AS_TEXT),
    "ENUM('a', 'it''s')": (["'a'", "'it''s'"], AS_TEXT),
    "DATE": (["'1900-01-01'", "'2299-12-31'", "'1969-12-31'"], SAME),
    "TIME": (
        ["'00:00:00'", "'23:59:59.999999'", "'24:00:00'"],
        ("epoch_us({})", "toInt64(toDecimal64({}, 6) * 1000000)"),
    ),
    "TIMETZ": (["'12:34:56.789+05:30'", "'00:00:00-15:59'"], AS_TEXT),
    "TIMESTAMP": (["'1900-01-01'", "'2299-12-31 23:59:59.999999'", "'1969-12-31 23:59:59.999999'"], MICROSECONDS),
    "TIMESTAMPTZ": (["'2024-02-29 12:00:00.123456+05'", "'1900-01-02 00:00:00+00'"], MICROSECONDS),
    "TIMESTAMP_S": (
        ["'1900-01-01'", "'2299-12-31 23:59:59'"],
        ("epoch_ms({}::TIMESTAMP) // 1000", "toUnixTimestamp64Second({})"),
    ),
    "TIMESTAMP_MS": (
        ["'1900-01-01'", "'2299-12-31 23:59:59.999'"],
        ("epoch_ms({}::TIMESTAMP)", "toUnixTimestamp64Milli({})"),
    ),
    "TIMESTAMP_NS": (
        ["'1900-01-01 00:00:00.000000001'", "'2262-04-11 23:47:16.000000001'"],
        ("epoch_ns({})", "toUnixTimestamp64Nano({})"),
    ),
    "INTERVAL": (["'1 year 2 months -3 days 04:05:06.000007'", "'30 days'", "'1 month'"], AS_TEXT),
    "INTEGER[]": (["[]", "[1, NULL, 3]"], SAME),
    "VARCHAR[2]": (["['a', NULL]", "['', 'b']"], ("{}::VARCHAR[]", "{}")),
    "DECIMAL(10,2)[]": (["[1.10, -2.20]"], SAME),
    "INTEGER[][]": (["[[1], [], [NULL]]"], SAME),
    "HUGEINT[]": (
        [f"[{2**127 - 1}, NULL]"],
        ("list_transform({}, lambda x: x::VARCHAR)", "arrayMap(x -> toString(x), {})"),
    ),
    'STRUCT(a INTEGER, "b c" VARCHAR[])': (["{'a': 1, 'b c': ['x', NULL]}", "{'a': NULL, 'b c': []}"], SAME),
    "STRUCT(a INTEGER, b STRUCT(c UUID))[]": (
        ["[{'a': 1, 'b': {'c': '00000000-0000-0000-0000-00000000000f'}}]"],
        ("{}[1].b.c::VARCHAR", "toString(tupleElement(tupleElement({}[1], 'b'), 'c'))"),
    ),
    "MAP(VARCHAR, INTEGER)": (["map {'k': 1, 'l': NULL}", "map {}"], SAME),
    "MAP(INTEGER, STRUCT(x DOUBLE[]))": (["map {1: {'x': [1.5, NULL]}}"], SAME),
    "MAP(DATE, VARCHAR)": (["map {'2024-01-01'::DATE: 'x'}"], SAME),
    **({"TIME_NS": (["'23:59:59.999999999'"], ("{}::VARCHAR", "toString({})"))} if SINCE_15 else {}),
}


def values_of(buffer, query, kind, expressions, table):
    asked, answered = expressions
    sent = buffer.execute(f"SELECT n, {asked.format('v')} FROM {table} ORDER BY n").fetchall()
    stored = query(f"SELECT n, {answered.format('v')} FROM {{}}.{table} ORDER BY n")
    flags = query(f"SELECT n FROM {{}}.{table} WHERE {'v_is_null' if composite(kind) else 'v IS NULL'} ORDER BY n")
    nulls = buffer.execute(f"SELECT n FROM {table} WHERE v IS NULL ORDER BY n").fetchall()
    assert flags == nulls
    absent = {n for (n,) in nulls}
    return [row for row in sent if row[0] not in absent], [row for row in stored if row[0] not in absent]


def composite(kind):
    return kind.endswith("]") or kind.startswith(("STRUCT", "MAP"))


@pytest.mark.parametrize("kind", CASES)
def test_a_type_arrives_without_loss(buffer, sync, query, kind):
    values, expressions = CASES[kind]
    buffer.execute(f"CREATE TABLE t (n INTEGER, v {kind})")
    for number, value in enumerate([*values, "NULL"]):
        buffer.execute(f"INSERT INTO t VALUES ({number}, {value})")
    (report,) = sync(["t"]).run_once()
    assert report.error is None
    sent, stored = values_of(buffer, query, kind, expressions, "t")
    assert len(sent) == len(values)
    assert stored == sent


@pytest.mark.parametrize("kind", ["FLOAT", "DOUBLE"])
def test_floats_keep_their_bits(buffer, sync, query, kind):
    buffer.execute(f"CREATE TABLE t (n INTEGER, v {kind})")
    buffer.execute(
        "INSERT INTO t VALUES (0, '-0.0'), (1, 'nan'), (2, 'inf'), (3, '-inf'), (4, '1e-38'), (5, 0.1), (6, NULL)"
    )
    assert sync(["t"]).run_once()[0].error is None
    sent = buffer.execute("SELECT v FROM t ORDER BY n").fetchall()
    stored = query("SELECT v FROM {}.t ORDER BY n")
    assert [bits(v) for (v,) in stored] == [bits(v) for (v,) in sent]


def bits(value):
    if value is None:
        return None
    return "nan" if math.isnan(value) else struct.pack("d", value)


@pytest.mark.parametrize(
    "kind", ["UNION(n INTEGER, s VARCHAR)", "STRUCT(a UNION(n INTEGER))[]", "MAP(INTEGER[], VARCHAR)"]
)
def test_a_type_without_a_place_is_refused_with_its_column(buffer, sync, query, target, kind):
    buffer.execute(f"CREATE TABLE t (fine INTEGER, odd {kind})")
    buffer.execute("INSERT INTO t VALUES (1, NULL)")
    error = sync(["t"]).run_once()[0].error
    assert isinstance(error, UnsupportedTypeError)
    assert "column 'odd'" in str(error)
    assert query(f"SELECT count() FROM system.tables WHERE database = '{target.database}'") == [(0,)]


@pytest.mark.parametrize("name", ["rowid", "_sync_batch", "_SYNC_SOURCE"])
def test_a_column_name_the_sync_needs_is_refused(buffer, sync, name):
    buffer.execute(f'CREATE TABLE t ("{name}" INTEGER)')
    error = sync(["t"]).run_once()[0].error
    assert isinstance(error, UnsupportedTypeError)
    assert name in str(error)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("DATE", "'infinity'"),
        ("DATE", "'-infinity'"),
        ("DATE", "'1899-12-31'"),
        ("DATE", "'2300-01-01'"),
        ("TIMESTAMP", "'infinity'"),
        ("TIMESTAMP", "'1899-12-31 23:59:59.999999'"),
        ("TIMESTAMP", "'2300-01-01'"),
        ("TIMESTAMPTZ", "'-infinity'"),
        ("TIMESTAMP_S", "'3000-01-01'"),
        ("TIMESTAMP_MS", "'0001-01-01'"),
        ("TIMESTAMP_NS", "'1800-01-01'"),
        ("DATE[]", "['2024-01-01', '9999-01-01']"),
        ("STRUCT(t TIMESTAMP[])", "{'t': ['infinity']}"),
        ("MAP(VARCHAR, DATE)", "map {'k': '1500-01-01'::DATE}"),
        ("INTEGER[][]", "[[1], NULL]"),
        ("STRUCT(a INTEGER)[]", "[{'a': 1}, NULL]"),
        ("STRUCT(a INTEGER[])", "{'a': NULL}"),
        ("MAP(VARCHAR, INTEGER[])", "map {'k': NULL}"),
    ],
)
def test_a_value_without_a_place_is_refused_with_its_column_and_row(buffer, sync, query, kind, value):
    buffer.execute(f"CREATE TABLE t (n INTEGER, odd {kind})")
    buffer.execute(f"INSERT INTO t VALUES (0, NULL), (1, NULL), (2, {value})")
    one = sync(["t"])
    error = one.run_once()[0].error
    assert isinstance(error, ValueRangeError)
    assert "column 'odd'" in str(error)
    if "[" not in kind and "(" not in kind:
        assert "rowid 2" in str(error)
    assert query("SELECT count() FROM {}.t") == [(0,)]
    buffer.execute("DELETE FROM t WHERE n = 2")
    assert one.run_once()[0].error is None
    assert query("SELECT count() FROM {}.t") == [(2,)]


def test_a_table_with_a_hundred_odd_names_arrives(buffer, sync, query):
    names = [f"c {n} `\"'\\ü" for n in range(100)]
    columns = ", ".join('"' + name.replace('"', '""') + '" INTEGER' for name in names)
    buffer.execute(f"CREATE TABLE t ({columns})")
    buffer.execute(f"INSERT INTO t VALUES ({', '.join(map(str, range(100)))})")
    assert sync(["t"]).run_once()[0].error is None
    assert query("SELECT * EXCEPT (_sync_source, _sync_batch) FROM {}.t") == [tuple(range(100))]


def in_full(number):
    return None if number is None else f"{number:f}" if isinstance(number, Decimal) else str(number)


def parts(mapping):
    return list(mapping or {}), list((mapping or {}).values())


WIDE = [10**14, 10**15 - 1, 10**15, 10**16 - 1, 10**16, 10**31, 10**32 - 1]
"""Around those whose text has 16 bytes, as many as the integer, or twice as many."""


@pytest.mark.parametrize("number", [*WIDE, *(-number for number in WIDE)])
def test_an_integer_of_128_bits_arrives_alone_in_its_batch_and_inside_of_others(buffer, sync, query, number):
    table, one = f"t{next(_tables)}", f"{number}::HUGEINT"
    columns = {
        "h": (one, "toString(h)"),
        "l": (f"[{one}, NULL]", "toString(l[1])"),
        "a": (f"array_value({one}, {one})", "toString(a[2])"),
        "s": (f"{{'x': {one}, 'y': [{one}]}}", "concat(toString(s.x), ' ', toString(s.y[1]))"),
        "m": (f"map([{one}], [{one}])", "concat(toString(mapKeys(m)[1]), ' ', toString(mapValues(m)[1]))"),
        "u": (f"{abs(number)}::UHUGEINT", "toString(u)"),
    }
    buffer.execute(
        f"CREATE TABLE {table} AS SELECT {', '.join(f'{sql} AS {name}' for name, (sql, _) in columns.items())}"
    )
    with sync([table]) as running:
        assert running.run_once()[0].error is None
    [told] = query(f"SELECT {', '.join(asked for _, asked in columns.values())} FROM {{}}.{table}")
    assert list(told) == [*[str(number)] * 3, *[f"{number} {number}"] * 2, str(abs(number))]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(-(2**127), 2**127 - 1),
            st.none() | st.text(st.characters(codec="utf-8"), max_size=30),
            st.none() | st.decimals(Decimal(-(10**20)), Decimal(10**20), places=8),
            st.none() | st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2299, 12, 31)),  # noqa: DTZ001 - naive as in DuckDB
            st.none() | st.lists(st.none() | st.binary(max_size=5), max_size=4),
            st.none() | st.dictionaries(st.text("abc", max_size=3), st.none() | st.booleans(), max_size=3),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_any_rows_arrive_as_they_are(buffer, sync, query, rows):
    table = f"t{next(_tables)}"
    buffer.execute(
        f"CREATE TABLE {table} (n INTEGER, h HUGEINT, s VARCHAR, d DECIMAL(38, 8), t TIMESTAMP, b BLOB[], "
        "m MAP(VARCHAR, BOOLEAN))"
    )
    buffer.executemany(
        f"INSERT INTO {table} VALUES "
        "(?, ?::VARCHAR, ?, ?::VARCHAR, ?, ?, CASE WHEN ? THEN map(?::VARCHAR[], ?::BOOLEAN[]) END)",
        [(n, in_full(h), s, in_full(d), t, b, m is not None, *parts(m)) for n, (h, s, d, t, b, m) in enumerate(rows)],
    )
    one = sync([table])
    (report,) = one.run_once()
    one.close()
    assert report.error is None
    sent = buffer.execute(
        f"SELECT n, h::VARCHAR, hex(s), d, epoch_us(t), CASE WHEN b IS NULL THEN [] ELSE "
        f"list_transform(b, lambda x: hex(x)) END, b IS NULL, coalesce(m, map {{}}), m IS NULL FROM {table} ORDER BY n"
    ).fetchall()
    stored = query(
        "SELECT n, toString(h), hex(s), d, toUnixTimestamp64Micro(t), arrayMap(x -> hex(x), b), b_is_null, m, "
        f"m_is_null FROM {{}}.{table} ORDER BY n"
    )
    assert [tuple(row) for row in stored] == [tuple(row) for row in sent]
