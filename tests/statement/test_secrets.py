"""A secret is in no text that is told, redacted or not; what is none is shown where the user asks for it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_duckdb.statement import parse
from statement_cases import MARKER, SCRIPTS, SECRETS


@pytest.mark.parametrize("text", SECRETS)
def test_a_secret_is_shown_neither_redacted_nor_raw(text):
    statement = parse(text)
    assert "MARKER" not in f"{statement.redacted} {statement.safe} {statement.summary} {statement.targets}"


@pytest.mark.parametrize(
    "text",
    [
        "select * from t where a = 'x' and b = 5 -- note",
        "select * from users where id = ? and email = 'a@b.c'",
        "create table secret (a int)",
        "copy t to 'x.parquet' (format parquet)",
        "from 'https://host/x.parquet'",
        "select * from sales_asia where continent = 'Africa'",
    ],
)
def test_a_text_without_a_secret_is_shown_as_it_is(text):
    assert parse(text).safe == text


def test_a_secret_hides_nothing_of_the_statements_beside_it():
    text = "select * from t where a = 'x'; attach 'y' as z"
    assert parse(text).safe == "select * from t where a = 'x'; attach ? as z"


@given(st.sampled_from([text for text in SECRETS if "never" not in text]), SCRIPTS, SCRIPTS)
@settings(max_examples=500, deadline=None)
def test_a_secret_never_shows_whatever_statements_stand_around_it(secret, before, after):
    before = before.replace("{}", "x")
    if parse(before + ";").count == parse(before + "; select 1").count:
        return  # what stands before leaves a quote or a comment open: the secret is no statement
    text = f"{before};{secret.replace('MARKER', MARKER)};{after}"
    assert MARKER not in parse(text).safe + parse(text).redacted
