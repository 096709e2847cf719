"""The statements, as texts with `{v}` where a literal stands, and the tables they run on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import duckdb

_TYPES: Final = (
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "FLOAT"),
    *("DOUBLE", "DECIMAL(4, 1)", "DECIMAL(18, 3)", "BOOLEAN", "DATE", "TIME", "TIMETZ", "TIMESTAMP", "TIMESTAMPTZ"),
    *("TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "INTERVAL", "UUID", "BIT", "BLOB", "JSON", "INTEGER[]"),
    *("INTEGER[2]", "STRUCT(a INTEGER)", "MAP(VARCHAR, INTEGER)", "UNION(n INTEGER, d DATE)", "ENUM('a', 'b')"),
)
_CASTS: Final = (
    "select {v}::%s",
    "select cast({v} as %s) from numbers",
    "select word::%s from (values ({v})) t(word)",
    "select * from words where word::%s is not null",
    "insert into typed select cast({v} as %s)",
    "select list_transform([{v}], x -> x::%s)",
)
_FUNCTIONS: Final = (
    *(
        "abs",
        "sqrt",
        "ln",
        "chr",
        "factorial",
        "epoch_ms",
        "make_date",
        "date_part",
        "date_trunc",
        "date_diff",
        "strftime",
    ),
    *("strptime", "age", "to_days", "list_sum", "list_sort", "list_aggregate", "array_length", "unnest", "map_keys"),
    *("struct_extract", "json_extract", "json_structure", "regexp_extract", "regexp_replace", "substring", "repeat"),
    *("lpad", "format", "printf", "from_hex", "unhex", "unbin", "from_base64", "decode", "bar", "nextval", "currval"),
    *(
        "current_setting",
        "getvariable",
        "error",
        "enum_code",
        "array_value",
        "list_value",
        "range",
        "sum",
        "avg",
        "mode",
    ),
    *(
        "quantile_cont",
        "arg_max",
        "string_agg",
        "row_number",
        "lag",
        "no_such_function",
        "to_timestamp",
        "make_timestamp",
    ),
    *("bit_count", "gamma", "greatest", "union_extract", "json_transform", "from_json", "md5", "hash", "random"),
)
_CALLS: Final = (
    "select %s({v})",
    "select %s({v}, 1)",
    "select %s(1, {v}, word) from words",
    "select %s(number, {v}) from numbers",
)
_TABLE_FUNCTIONS: Final = (
    *("read_csv", "read_csv_auto", "read_parquet", "parquet_metadata", "parquet_schema", "read_json", "read_text"),
    *(
        "read_blob",
        "glob",
        "range",
        "generate_series",
        "repeat",
        "query",
        "query_table",
        "duckdb_settings",
        "sniff_csv",
    ),
    *("pragma_table_info", "pragma_storage_info", "no_such_table_function", "unnest", "json_each", "summary"),
)
_TABLE_CALLS: Final = (
    "from %s({v})",
    "select * from %s([{v}, {v}])",
    "select no_column from %s({v}, 1)",
    "call %s({v})",
)
_OTHERS: Final = (
    # the parser
    *(
        "selec {v}",
        "select {v} from",
        "select from {v}",
        "select {v} {v}",
        "select ({v}",
        "select {v} as as b",
        "insert {v}",
    ),
    *("create table x ({v} integer)", "select * from numbers where {v} (", "update numbers sett number = {v}", "{v}"),
    *("with a as (select {v}) selct 1", "select case when {v} end then", "create macro m(a := {v}", "drop {v}"),
    *(
        "select 1; selec {v}",
        "select {v}; select no_column from numbers",
        "explain selec {v}",
        "select * from numbers limit {v}, 1",
    ),
    # names
    *(
        "select * from {v}",
        "select * from no_table where a = {v}",
        "select no_column, {v} from numbers",
        "select n.{v} from numbers n",
    ),
    *("select * from no_schema.no_table where a = {v}", "select numbers.no_column from numbers where number = {v}"),
    *(
        "select number from numbers, numbers n where number = {v}",
        "select columns({v}) from numbers",
        "select * exclude ({v}) from numbers",
    ),
    *(
        "insert into no_table values ({v})",
        "insert into numbers (no_column) values ({v})",
        "insert into numbers values (1, {v})",
    ),
    *(
        "update numbers set no_column = {v}",
        "delete from no_table where a = {v}",
        "alter table no_table add column c varchar default {v}",
    ),
    *(
        "create table numbers (a varchar default {v})",
        "create view numbers_view as select {v} as a, no_column from numbers",
    ),
    *(
        "drop table no_table; select {v}",
        "create index i on numbers (no_column); select {v}",
        "create table t2 as select no_column, {v} from words",
    ),
    *(
        "create type mood as enum ({v}, {v})",
        "select {v}::no_type",
        "create sequence s start {v}",
        "pragma table_info({v})",
    ),
    *(
        "pragma no_pragma({v})",
        "set no_setting = {v}",
        "set threads = {v}",
        "set memory_limit = {v}",
        "set schema = {v}",
        "use {v}",
    ),
    *(
        "set default_collation = {v}",
        "set timezone = {v}",
        "set enable_progress_bar = {v}",
        "reset {v}",
        "set variable a = {v}::int",
    ),
    *(
        "select a collate {v} from (values ('x')) t(a)",
        "attach {v} as numbers",
        "attach {v} (type no_type)",
        "detach {v}",
        "load {v}",
    ),
    # aggregates, windows, grouping, set operations
    *(
        "select number, sum(number) from numbers where {v} = {v}",
        "select sum(sum(number)) from numbers having {v}",
        "select * from numbers group by {v}",
    ),
    *(
        "select {v} union select 1, 2",
        "select {v} union all select 1::date",
        "select number from numbers order by {v}, 7",
        "select lag(number) over (order by {v} rows {v} preceding) from numbers",
    ),
    *(
        "select * from words where sum(number) > {v}",
        "select (select number from numbers where {v} = {v})",
        "select * from numbers where number in (select 1, {v})",
    ),
    *(
        "select * from numbers where number = {v}",
        "select number + {v} from numbers",
        "select {v} - 1::date from numbers",
        "select {v} and number from numbers",
    ),
    *(
        "select [1, {v}]",
        "select {{'a': 1}}[{v}]",
        "select struct_extract({{'a': 1}}, {v})",
        "select map([{v}, {v}], [1, 2])",
        "select struct_pack({v})",
    ),
    *(
        "select number limit {v}",
        "select * from numbers limit {v}",
        "select * from numbers offset {v}",
        "select * from numbers using sample {v}",
    ),
    *(
        "select lambda_does_not_exist(x -> {v})",
        "select list_transform([1], (x, y, z) -> {v})",
        "select {v} -> 1",
        "select number.{v} from numbers",
    ),
    *(
        "pivot words on word using sum({v})",
        "select no_word from (pivot words on word using sum(number))",
        "unpivot numbers on number into name {v} value v",
    ),
    # constraints and transactions
    *(
        "insert into keyed values ({v}, 1), ({v}, 2)",
        "insert into keyed select word, 1 from words union all select word, 2 from words",
    ),
    *(
        "insert into child values ({v})",
        "insert into checked values ({v}, 1)",
        "insert into checked values ({v}, null)",
        "insert into keyed (id) values ({v})",
    ),
    *(
        "update keyed set id = {v} where id <> {v}",
        "delete from parent where id is not null; select {v}::int",
        "create unique index u on words (word); select {v}",
    ),
    *(
        "merge into keyed using (select {v} as id) s on keyed.id = s.id when not matched then error {v}",
        "insert into typed values ({v})",
    ),
    *(
        "insert into keyed values ({v}, 3) on conflict do update set no_column = {v}",
        "insert into keyed values ({v}, {v})",
    ),
    *("begin; insert into keyed values ({v}, 4); commit; commit", "rollback; select {v}", "commit; select {v}"),
    # files
    *(
        "copy keyed from {v}",
        "copy (select {v} as a) to {v} (format no_format)",
        "copy numbers to '/none/{f}/x.csv'",
        "copy numbers from '{csv}' (header, delim {v})",
    ),
    *(
        "copy numbers from '{csv}'",
        "select number::int from read_csv('{csv}', all_varchar = true)",
        "from read_csv('{csv}', columns = {{'number': 'INTEGER', 'word': 'DATE'}})",
    ),
    *(
        "from read_csv('{csv}', sep = {v})",
        "from read_csv('{csv}', no_option = {v})",
        "from read_csv('{csv}', types = {{'word': {v}}})",
        "from read_csv('{csv}', dateformat = {v})",
    ),
    *(
        "from read_json('{json}')",
        "select json_extract(word, '$.a')::int from read_text('{json}') t(word)",
        "from read_json('{json}', format = {v})",
        "from read_parquet('{csv}')",
    ),
    *(
        "from '{csv}' where no_column = {v}",
        "copy (select 1 as a) to '{out}' (format parquet, compression {v})",
        "copy (select {v} as a) to '{out}' (format parquet, partition_by ({v}))",
    ),
    *(
        "export database {v} (format no_format)",
        "import database {v}",
        "attach '{csv}'",
        "from read_csv('/none/{f}.csv')",
        "from '/none/{f}.parquet' where a = {v}",
    ),
    *(
        "from 's3://none/{f}?token={f}'",
        "copy (select 1) to 'https://me:{f}@127.0.0.1:1/{f}'",
        "from read_csv(['{csv}', '/none/{f}'])",
    ),
    # JSON, dates, regular expressions, formats, variants
    *(
        "select (chr(123) || {v})::json",
        "select json_extract({v}, '$.a')",
        "select json_extract('{{}}', {v})",
        "select {v}->>'$.a'",
        "select from_json('{{}}', {v})",
    ),
    *(
        "select json_transform({v}, {v})",
        "select strptime({v}, '%Y')",
        "select strptime('2020', {v})",
        "select strftime(now(), {v})",
        "select date_trunc({v}, now())",
    ),
    *(
        "select date_part({v}, now())",
        "select interval {v} day",
        "select extract({v} from now())",
        "select now() at time zone {v}",
        "select regexp_matches('a', '(' || {v})",
    ),
    *(
        "select 'a' similar to ('[' || {v})",
        "select format('{{:d}}', {v})",
        "select printf('%d', {v})",
        "select format({v}, 1)",
        "select {v} like 'a' escape {v}",
    ),
    *(
        "select encode({v})::int",
        "select decode({v}::blob)::int",
        "select ({v} || '=')::blob::int",
        "select from_base64({v})",
        "select {v}::bit::int",
    ),
    *(
        "select {v}::variant::int",
        "select to_json({v})::int[]",
        "select {v}::varchar::int::date",
        "select try_cast({v} as int) + 'a'",
        "select error({v})",
    ),
    *(
        "select error('Binder Error: ' || {v})",
        "select case when true then error({v}) end from numbers",
        "select error(word) from words",
        "select word::int from words",
    ),
    *(
        "select max(word::date) from words",
        "select list(word)::int[] from words",
        "select string_agg(word)::json from words",
        "select {v}::uuid from words order by word::int",
    ),
    # prepared statements and Python functions
    *(
        "prepare p as select {v}::int; execute p",
        "execute no_statement({v})",
        "prepare p2 as select ?::int; execute p2({v})",
        "execute p3(a := {v})",
        "deallocate {v}",
    ),
    *(
        "select raises({v})",
        "select raises(word) from words",
        "select wrong_type({v})",
        "call raises({v})",
        "select raises({v}, {v})",
    ),
    # statements that succeed
    *(
        "select {v} as a",
        "select * from words where word = {v}",
        "select count(*) from words where word like {v} group by word",
        "select * from words join keyed on word = id and id <> {v}",
    ),
    *(
        "create or replace temp table made as select {v} as a",
        "insert into words values ({v}, 1)",
        "update words set number = 2 where word = {v}",
        "delete from words where word = {v} || 'x'",
    ),
    *(
        "select {v} /* {f} */ -- {f}",
        "select $tag${f}$tag$",
        "explain select {v}",
        "explain analyze select * from words where word = {v}",
        "comment on table words is {v}",
    ),
    *(
        "set variable kept = {v}",
        "create or replace macro planted() as {v}",
        "create or replace view planted_view as select {v} as a",
        "values ({v}), ({v})",
    ),
)


def texts() -> Iterator[str]:
    """All the texts, with `{v}` where a literal stands, `{f}` where its bare content does, and names of files."""
    for name in _TYPES:
        yield from (text % name for text in _CASTS)
    for name in _FUNCTIONS:
        yield from (text % name for text in _CALLS)
    for name in _TABLE_FUNCTIONS:
        yield from (text % name for text in _TABLE_CALLS)
    yield from _OTHERS


def filled(text: str, value: str, folder: Path) -> str:
    """The text with the value as a string literal, and the files that `prepare` wrote."""
    literal = "'" + value.replace("'", "''") + "'"
    bare = "".join(letter for letter in value if letter.isalnum())
    return text.format(v=literal, f=bare, csv=folder / "a.csv", json=folder / "a.json", out=folder / "a.parquet")


def prepare(connection: duckdb.DuckDBPyConnection, value: str, folder: Path) -> None:
    """Make the tables, functions and files that the texts name, with the value among their data."""
    line = value.replace("\n", " ").replace('"', '""')
    (folder / "a.csv").write_text(f'number,word\n1,2020-01-01\n"{line}","{line}"\n', encoding="utf-8")
    (folder / "a.json").write_text(f'{{"a": 1}}\n{{"a": {line}\n', encoding="utf-8")
    connection.execute(_TABLES)
    connection.execute("insert into words values (?, 1), (?, 2)", [value, f"{value} again"])
    connection.execute("insert into keyed values (?, 1)", [f"{value} key"])
    connection.execute("insert into parent values (?)", [f"{value} parent"])
    connection.execute("insert into child select id from parent")
    connection.create_function("raises", _raises, ["VARCHAR"], "VARCHAR")
    connection.create_function("wrong_type", _wrong_type, ["VARCHAR"], "INTEGER")


_TABLES: Final = """
    set autoinstall_known_extensions = false; set autoload_known_extensions = false;
    create table numbers (number integer); insert into numbers values (1), (2);
    create table words (word varchar, number integer);
    create table typed (number integer);
    create table keyed (id varchar primary key, number integer);
    create table parent (id varchar primary key);
    create table child (id varchar references parent (id));
    create table checked (word varchar check (length(word) < 3), number integer not null);
"""


def _raises(word: str) -> str:
    raise ValueError(word)


def _wrong_type(word: str) -> str:
    return word
