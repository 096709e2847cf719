"""What a statement does beside its tables: to transactions, to profiling, and whether it leaves rows to fetch."""

import pytest

from otel_duckdb.statement import parse


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("BEGIN", "BEGIN"),
        ("/* c */ begin transaction read only;", "BEGIN"),
        ("Start\nTransaction", "BEGIN"),
        ("commit work", "COMMIT"),
        ("end", "COMMIT"),
        ("-- c\nrollback", "ROLLBACK"),
        ("abort;", "ROLLBACK"),
        ("select 1", ""),
        ("select case when a then b end", ""),
    ],
)
def test_a_transaction_statement_is_known_in_any_spelling(text, word):
    assert parse(text).transaction == word
    assert parse(text).transactions == (word,)


def test_a_script_tells_of_each_transaction_statement_and_names_the_last():
    statement = parse("begin; insert into t values (1);; commit; select ';' from u;")
    assert (statement.count, statement.kind, statement.transaction) == (4, "SELECT", "COMMIT")
    assert statement.transactions == ("BEGIN", "", "COMMIT", "")
    assert statement.targets == ("t", "u")


@pytest.mark.parametrize(
    ("text", "returns_rows"),
    [
        ("from t", True),
        ("insert into t values (1) returning *", True),
        ("insert into t select a as returning_ from u", False),
        ("update t set a = 1", False),
        ("delete from t returning a", True),
        ("create table t (a int)", False),
        ("copy t to 'x'", False),
        ("copy t to 'x' (return_files)", True),
        ("select 1; set threads = 1", False),
        ("set threads = 1; select 1", True),
        ("pragma version", True),
        ("execute p", True),
        ("explain insert into t values (1)", True),
        ("unknown", True),
    ],
)
def test_a_statement_tells_whether_rows_may_be_fetched(text, returns_rows):
    assert parse(text).returns_rows is returns_rows


@pytest.mark.parametrize(
    ("text", "profiling"),
    [
        ("pragma enable_profiling", True),
        ("PRAGMA disable_profiling", True),
        ("select 1; set profiling_mode = 'detailed'", True),
        ("set session custom_profiling_settings = '{}'", True),
        ("reset enable_profiling", True),
        ("set tracked_metrics = ['query.*']", True),
        ("select profiling from t", False),
        ("set threads = 1 -- profiling", False),
    ],
)
def test_a_text_that_sets_profiling_is_known(text, profiling):
    assert parse(text).profiling is profiling
