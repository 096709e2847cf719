"""The text that is told has no literal and no comment, whatever it is made of."""

import pytest
from hypothesis import given, settings

from otel_duckdb.statement import parse
from statement_cases import MARKER, REDACTED, SCRIPTS


@pytest.mark.parametrize(("text", "redacted"), REDACTED)
def test_the_redacted_text_has_no_literal_and_no_comment(text, redacted):
    assert parse(text).redacted == (redacted or text)


@given(SCRIPTS)
@settings(max_examples=750, deadline=None)
def test_a_literal_never_shows_in_the_redacted_text(script):
    statement = parse(script.replace("{}", MARKER))
    shown = f"{statement.redacted} {statement.summary} {statement.table_name} {statement.targets}"
    assert MARKER not in shown
