"""Wherever a value may stand in a text of DuckDB, nothing shows it, and no raw text shows a secret."""

import pytest

from otel_duckdb.statement import parse

VALUES = [
    "copy (select 1) to 'out_MARKER.csv' (header, delimiter 'MARKER')",
    "export database 'dir_MARKER' (format csv, delimiter 'MARKER')",
    "import database 'MARKER'",
    "prepare p as select 'MARKER' || $1",
    "execute p('MARKER')",
    "execute p(x := 'MARKER')",
    "select 1 -- MARKER",
    "select /* /* MARKER */ MARKER */ 1",
    "select $$MARKER$$, $tag$MARKER$tag$, $tag$ $$ MARKER $tag$",
    r"select E'a\'MARKER', e'\x41MARKER', x'MARKER', b'MARKER'",
    "select j->'$.MARKER', j->>'MARKER', json_extract(j, '$.MARKER') from t",
    "select * from read_csv('s3://key:MARKER@b/x.csv')",
    "from read_csv('MARKER.csv', delim = 'MARKER')",
    'from "MARKER.csv"',
    "from 'MARKER'",
    "insert into t from 'MARKER.csv'",
    "select 'MARKER'::int, cast('MARKER' as date), date 'MARKER', interval 'MARKER' day",
    "create table c (a text default 'MARKER', b text as ('MARKER' || a), check (a <> 'MARKER'))",
    "create type mood as enum ('MARKER', 'b')",
    "create index i on t (('MARKER' || j))",
    "comment on table t is 'MARKER'",
    "alter table t alter column j set default 'MARKER'",
    "alter table t alter j type int using ('MARKER')::int",
    "create macro m(a, b := 'MARKER') as a || 'MARKER' || b",
    "create macro m(x) as table select 'MARKER', x",
    "merge into t using (values ('MARKER')) s(j) on t.j = 'MARKER' when not matched then insert values ('MARKER')",
    "merge into t using s on t.j = s.j when matched then update set j = 'MARKER' returning 'MARKER'",
    "pivot t on j in ('MARKER', 'b') using count(*)",
    "select * from t pivot (count(*) for j in ('MARKER', 'b'))",
    "select list_filter(['MARKER'], lambda x: x = 'MARKER'), [x || 'MARKER' for x in ['MARKER'] if x = 'MARKER']",
    "select {'MARKER': 1, a: 'MARKER'}, map {'MARKER': 'MARKER'}, struct_pack(a := 'MARKER')",
    "values ('MARKER'), ('b') order by 'MARKER' limit 1",
    "select columns('MARKER'), * like 'MARKER', * replace ('MARKER' as j) from t",
    "insert into t values ('MARKER') on conflict do update set j = 'MARKER' returning 'MARKER'",
    "from query('select ''MARKER''')",
    "select 'MARKER': 1",
    "copy t from 'MARKER.csv' (null 'MARKER', columns {'MARKER': 'int'})",
    "set timezone = 'MARKER'",
    "pragma table_info('MARKER')",
]
NUMBERS = ["4_711", "4711.5e1", ".4711", "4711.", "0x4711", "1e4711", "-4711"]
SECRETS = [
    "attach 'postgres://u:MARKER@localhost/db' as pg (type postgres)",
    "attach 's3://key:MARKER@bucket/x.db?secret=MARKER' as x",
    "attach 'md:db?motherduck_token=MARKER'",
    "attach 'ducklake:postgres:dbname=x password=MARKER' as lake",
    "attach 'x.db' (encryption_key $$MARKER$$)",
    "copy t to 's3://k:MARKER@b/x.parquet' (format parquet, encryption_config {footer_key: 'MARKER'})",
    "export database 's3://k:MARKER@b/d'",
    "import database 's3://k:MARKER@b/d'",
    "set s3_secret_access_key = $$ MARKER $$",
    "pragma s3_secret_access_key = MARKER",
    "pragma add_parquet_key('k', 'MARKER')",
    "prepare p as select * from read_csv('s3://k:MARKER@b')",
    "create macro m() as table select * from read_parquet('https://h/x?token=MARKER')",
    "create secret q (type http, extra_http_headers map {'Authorization': 'Bearer MARKER'})",
    "create or replace secret q in memory (type http, bearer_token E'MARKER')",
    "execute p('password=MARKER')",
    "select 1 -- password=MARKER",
    "select $$password=MARKER$$",
]


def shown(statement):
    return [statement.redacted, statement.summary, statement.table_name, *statement.targets]


@pytest.mark.parametrize("text", [*VALUES, *SECRETS])
def test_a_value_is_not_shown(text):
    assert "MARKER" in text
    assert "MARKER" not in " ".join(shown(parse(text)))


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_is_not_shown_however_it_is_written(number):
    text = f"select {number}, [{number}], interval {number} day from t where a = {number} limit {number}"
    assert "711" not in " ".join(shown(parse(text)))


@pytest.mark.parametrize("text", SECRETS)
def test_a_secret_is_not_in_the_raw_text_either(text):
    assert "MARKER" not in parse(text).safe
