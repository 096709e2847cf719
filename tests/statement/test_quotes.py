"""Texts whose quotes do not pair, or are none: what may be a part of a value is not shown."""

from __future__ import annotations

import pytest

from otel_duckdb.error_messages import redact
from otel_duckdb.statement import parse

UNPAIRED = [
    ("select * from p where name = 'O'Brien secret'", "select * from p where name = ?"),
    ("select * from p where name = 'O'Brien secret' and id = 1", "select * from p where name = ?"),
    ("insert into p values (1, 'O'Brien secret'), (2, 'O'Hara secret')", "insert into p values (?, ?"),
    ("select * from p where a = 'x' and name = 'it's from secret's'", "select * from p where a = ? and name = ?"),
    (r"select * from p where name = 'O\'Brien secret' and a = 'O\'Hara'", "select * from p where name = ?"),
    ("update p set name = 'the dogs' secret' where id = 1", "update p set name = ?"),
    ("select * from p where name like '%it's secret%'", "select * from p where name like ?"),
    ("select * from p where a = 'a' and secret = 'b", "select * from p where a = ?"),
]
LOOK_ALIKE = [
    ("select * from p where name = ‘Jane secret’", "select * from p where name = ?"),  # noqa: RUF001 - what is tested
    ("select * from p where name = “Jane secret”", "select * from p where name = ?"),
    ("select * from p where name = ´Jane secret´", "select * from p where name = ?"),  # noqa: RUF001 - what is tested
    ("select * from p where name = ＇Jane secret＇", "select * from p where name = ?"),  # noqa: RUF001 - what is tested
    ("select * from p where name = “Jane secret and id = 1", "select * from p where name = ?"),
]
OF_NAMES = [
    ("""select * from p where name = "O'Brien secret" and a < 3""", "select * from p where name = ? and a < ?"),
    ("""select * from p where name in ("O'Brien secret", "O'Hara secret")""", "select * from p where name in (?)"),
    ("""select * from p where name ilike "O'Brien secret" """, "select * from p where name ilike ?"),
]
PAIRED = [
    "select 'a'as x from t where b = 'c'and d = 'e'or f",
    "select case when a = 'x'then 'y'else 'z'end from t",
    "select interval '1'day from t",
    "select date'2020-01-01', E'it\\'s', x'41', 'it''s' from t",
    "select 'it''s' -- it's\nfrom t",
]


@pytest.mark.parametrize(("text", "redacted"), [*UNPAIRED, *LOOK_ALIKE, *OF_NAMES])
def test_what_may_be_a_part_of_a_value_is_hidden(text, redacted):
    statement = parse(text)
    assert statement.redacted == redacted
    assert statement.table_name == "p"
    assert "secret" not in statement.summary


@pytest.mark.parametrize("text", [text for text, _ in UNPAIRED])
def test_a_parser_error_does_not_tell_it_either(text):
    told = redact('Parser Error: syntax error at or near "secret"', parse(text).redacted)
    assert told == 'Parser Error: syntax error at or near "?"'


@pytest.mark.parametrize("text", PAIRED)
def test_a_keyword_may_follow_a_string_at_once(text):
    statement = parse(text)
    assert statement.table_name == "t"
    assert statement.redacted.endswith(text.split()[-1])


def test_a_name_with_an_apostrophe_stays_a_name_where_a_table_stands():
    statement = parse("""select * from "bob's table" where a = 'x'""")
    assert statement.redacted == """select * from "bob's table" where a = ?"""
    assert statement.table_name == "bob's table"


def test_what_comes_behind_a_string_and_its_glued_alias_is_still_followed():
    statement = parse("begin; insert into t values (1); select 'a'b; commit")
    assert statement.transactions == ("BEGIN", "", "", "COMMIT")
