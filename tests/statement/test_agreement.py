"""DuckDB's own parser as the judge of kinds, numbers and tables: of the cases, and of random texts of its grammar."""

from __future__ import annotations

import re

import duckdb
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from otel_duckdb.statement import parse
from statement_cases import KINDS_AND_SUMMARIES, REDACTED, SECRETS

# Where we differ on purpose: DuckDB calls CHECKPOINT a CALL, and PIVOT a MULTI (2.0)
# or two statements (1.x); PRAGMA x = y is a SET, and on 1.x any other PRAGMA that gives rows a SELECT; COPY FROM
# DATABASE is a PRAGMA (2.0) or several statements (1.x); UPDATE EXTENSIONS has no name in the client.
DIFFERENT = ("pivot t", "(pivot t", "checkpoint", "pragma ", "from database", "update extensions")
CORPUS = [
    *(text for text, *_ in KINDS_AND_SUMMARIES),
    *(text for text, *_ in REDACTED),
    *SECRETS,
    "select 1;; select 2; -- end",
    "; ;select ';' as \";\" /* ; */",
    "begin; insert into t values (1); commit",
    "select $$;$$; select $a$;$$;$a$; select E'\\';'",
    "set threads = 1; from t",
    "create table t as from u; drop table t; abort",
    "create type m as enum ('a', 'b')",
    "create schema s",
    "drop secret s",
    "insert into t default values",
    "update t set a = 1 returning *",
    "select * from t qualify row_number() over (partition by a order by b) = 1",
    "select count(*) filter (where a > 1) from t window w as (order by x)",
    "select * exclude (a) replace (b as c) from t",
    "with x as (values (1)) table x",
    "select 'a'\n'b'",
    "select 1 as a$b, 2 as é",
    "show memory_limit",
    "desc t",
    "start transaction; end",
    "alter table t rename to u",
    "select columns('a.*')::int from t order by all limit 5 offset 3",
]


def duckdbs_view(text):
    try:
        statements = duckdb.extract_statements(text)
        return len(statements), statements[-1].type.name if statements else "OTHER"
    except (duckdb.Error, ValueError):  # this line of DuckDB does not know the statement
        return None


def test_duckdb_agrees_on_the_number_of_statements_and_the_kind_of_the_last():
    same = [text for text in CORPUS if not any(part in text for part in DIFFERENT)]
    known = {text: view for text in same if (view := duckdbs_view(text)) is not None}
    assert len(known) > 140
    assert {text: (parse(text).count, parse(text).kind) for text in known} == known


TABLES = st.sampled_from(["t", "u", "s.v", '"My Table"', "main.w", '"a.b"', "T"])
NAMES = st.sampled_from(["c", "d", "e"])
VALUES = st.sampled_from(["values (1), (null)", "values ('from x', 2), (3, current_date)"])
EXPRESSIONS = st.sampled_from(
    [
        *("1", "'from x'", "a", "count(*)", "extract(year from a)", "a is not distinct from b", "trim(both from a)"),
        *("[x for x in l]", "case when a then b end", "{'k': 1}", "substring(a from 1)", "$$from x$$", "a in (1, 2)"),
    ]
)


@st.composite
def sources(draw, query):
    kind = draw(st.integers(0, 6))
    alias = f"x{draw(st.integers(0, 99))}"
    if kind <= 2:
        return draw(st.one_of(TABLES, NAMES)) + draw(st.sampled_from(["", f" as {alias}", f" {alias}"]))
    if kind == 3:
        return f"({draw(query)}) {alias}"
    if kind == 4:
        return f"({draw(VALUES)}) {alias}"
    if kind == 5:
        return f"range(3) {alias}"
    return f"({draw(TABLES)} cross join {draw(TABLES)})"


@st.composite
def plain_queries(draw, query):
    source = sources(query)
    shape = draw(st.integers(0, 5))
    froms = ", ".join(draw(st.lists(source, min_size=1, max_size=3)))
    join = draw(st.sampled_from(["", " join {} on true", " left join {} using (a)", " positional join {}"]))
    froms += join.format(draw(source))
    where = draw(st.sampled_from(["", " where a = 1", " where a in ({})", " where exists ({})"])).format(draw(query))
    if shape == 0:
        return f"from {froms}{where}"
    if shape == 1:
        return f"from {froms} select {draw(EXPRESSIONS)}{where}"
    if shape == 2:
        return f"select {draw(EXPRESSIONS)}, ({draw(query)}) from {froms}{where}"
    if shape == 3:
        return f"(select a from {froms}{where}) union all ({draw(query)})"
    return f"select {draw(EXPRESSIONS)} from {froms}{where} order by 1 limit 5"


@st.composite
def with_queries(draw, query):
    recursive = draw(st.sampled_from(["", "recursive "]))
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    tables = ", ".join(f"{name}{draw(st.sampled_from(['', '(a)']))} as ({draw(query)})" for name in names)
    body = draw(query)
    used = ", ".join(names)  # DuckDB does not look into a CTE that nothing uses
    return f"with {recursive}{tables} select * from {used} where a in ({body})"


LEAVES = st.one_of(
    st.builds(lambda expression, table: f"select {expression} from {table}", EXPRESSIONS, st.one_of(TABLES, NAMES)),
    VALUES,
    st.sampled_from(["select 1", "from range(3)"]),
)
QUERIES = st.recursive(LEAVES, lambda query: st.one_of(plain_queries(query), with_queries(query)), max_leaves=8)


def folded(names):
    """DuckDB adds aliases to some names, and quotes those that need it."""
    return {re.sub(r' as "?\w+"?$', "", name, flags=re.IGNORECASE).replace('"', "").casefold() for name in names}


@given(QUERIES)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_the_tables_of_a_query_are_those_that_duckdb_finds(text):
    try:
        known = duckdb.get_table_names(text, qualified=True)
    except duckdb.Error:
        assume(False)
    assert folded(parse(text).targets) == folded(known), text


STATEMENTS = st.one_of(
    QUERIES,
    st.builds("insert into {} {}".format, TABLES, QUERIES),
    st.builds("create or replace table {} as {}".format, TABLES, QUERIES),
    st.builds("create view {} as {}".format, TABLES, QUERIES),
    st.builds("update {} set a = 1".format, TABLES),
    st.builds("delete from {} where a in ({})".format, TABLES, QUERIES),
    st.builds("merge into {} using ({}) q on true when matched then delete".format, TABLES, QUERIES),
    st.builds("copy ({}) to 'x.csv' (header, format csv)".format, QUERIES),
    st.builds("explain {}".format, QUERIES),
    st.builds("prepare p as {}".format, QUERIES),
    st.builds("with c as ({}) insert into {} from c".format, QUERIES, TABLES),
    st.builds("pivot {} on a{} using sum(b)".format, TABLES, st.sampled_from(["", " in (1, 2)", ", b in (1)"])),
    st.sampled_from(
        [
            *("begin", "commit", "checkpoint", "analyse", "vacuum", "set threads = 2", "pragma threads = 2", "use s"),
            *("show tables", "describe t", "describe", "summarize t", "call f()", "attach 'x'", "detach x", "reset x"),
            *("drop table a, b", "drop view v", "truncate t", "install x", "load x", "execute p(1)", "deallocate p"),
            *("comment on column t.a is 'x'", "alter table t add column b int", "export database 'x'", "table t"),
        ]
    ),
)


@given(st.lists(STATEMENTS, min_size=1, max_size=3))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_the_kind_and_the_number_of_statements_are_those_that_duckdb_finds(texts):
    found = []
    for text in texts:
        try:
            statements = duckdb.extract_statements(text)
        except duckdb.Error:
            assume(False)
        # DuckDB 1 makes several statements of a PIVOT that must find its columns first.
        assume(len(statements) == 1)
        found.append(statements[0].type.name)
    statement = parse("; ".join(texts))
    assert (statement.count, statement.kind) == (len(texts), found[-1])
