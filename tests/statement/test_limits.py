"""However long, hostile or random a text is, it is read, and in no time; and one that comes again is read once."""

import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_duckdb.statement import STATEMENT_LIMIT, SUMMARY_LIMIT, TEXT_LIMIT, parse
from statement_cases import SCRIPTS


@pytest.mark.parametrize(
    "piece",
    [
        "(1, 'abc'), ",
        "(",
        "'",
        '"',
        "/*",
        "/* /*/ ",
        "$a$",
        "$",
        "e'\\",
        "a:",
        "a.",
        "values (",
        "from a union ",
        "a@:",
        "://",
    ],
)
def test_ten_megabytes_are_read_in_no_time_and_cut(piece):
    text = "insert into t values " + piece * (10_000_000 // len(piece))
    started = time.thread_time()
    statement = parse(text)
    assert time.thread_time() - started < 2  # 40 times what it takes; reading all of it would take far longer
    assert (statement.kind, statement.targets[0]) == ("INSERT", "t")
    assert max(len(statement.redacted), len(statement.safe)) <= TEXT_LIMIT + 4


HOSTILE = (
    *("a-", "'", "''", '"', "$$", "$a$", "/*", "/**/", "-- \n", "\n", ";", "a;", "(", "((a)", "(a(b)),", "[", "[?,"),
    *("in (", "(-", "? ,", "e'\\", "://a@", "from a, ", "with a as (", "case ", "select ", "\x00", "\ud800", "\u2003"),
)


@pytest.mark.parametrize("before", ["", "values (((", "with a as ("])
def test_no_megabyte_of_one_piece_takes_more_than_50_ms(before):
    for piece in HOSTILE:
        text = before + piece * (1_000_000 // len(piece))
        assert any(_seconds(f"{text}{turn}") < 0.05 for turn in range(4)), piece


def _seconds(text):
    started = time.thread_time()
    parse(text)
    return time.thread_time() - started


def test_a_script_of_very_many_statements_is_cut():
    statement = parse(";" + "select 1;" * (STATEMENT_LIMIT + 1))
    assert statement.count == STATEMENT_LIMIT - 1
    assert statement.redacted.endswith("select ?; ...")


def test_a_long_string_of_one_secret_does_not_show_where_the_text_is_cut():
    statement = parse("select 'x', '" + "qz7Xmarker" * TEXT_LIMIT)
    assert statement.redacted == "select ?,  ..."
    assert statement.safe == "select 'x',  ..."


def test_rows_of_values_by_the_thousand_are_shown_as_one():
    text = "insert into t values " + ", ".join(f"({number}, 'name {number}')" for number in range(1000))
    assert parse(text).redacted == "insert into t values (?, ?)"


def test_the_same_text_is_read_once():
    assert parse("select 'once'") is parse("select " + "'once'")


def test_forgotten_texts_are_read_again():
    first = parse("select 'forgotten'")
    for number in range(2_001):
        parse(f"select {number}")
    assert parse("select 'forgotten'") == first
    assert parse("select 'forgotten'") is not first


@given(st.one_of(st.text(), st.text(alphabet="'\"$/*-eExX\\;()a1 \n.?:_"), st.text(alphabet=string.printable), SCRIPTS))
@settings(max_examples=750, deadline=None)
def test_no_text_makes_it_raise_and_no_summary_is_too_long(text):
    statement = parse(text)
    assert len(statement.summary) <= SUMMARY_LIMIT
    assert len(statement.transactions) == statement.count
    f"{statement.redacted}{statement.safe}".encode()
