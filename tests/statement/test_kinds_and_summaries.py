"""What is read from a SQL text: its kind, its tables, its summary. The cases stand in `tools/statement_cases.py`."""

import pytest

from otel_duckdb.statement import SUMMARY_LIMIT, parse
from statement_cases import KINDS_AND_SUMMARIES


@pytest.mark.parametrize(("text", "kind", "targets", "summary"), KINDS_AND_SUMMARIES)
def test_a_statement_tells_its_kind_its_tables_and_its_summary(text, kind, targets, summary):
    statement = parse(text)
    assert (statement.kind, " ".join(statement.targets), statement.summary) == (kind, targets, summary)


def test_a_script_is_summarised_as_a_batch():
    assert parse("select * from t; select * from t where a = 1").summary == "BATCH SELECT t"
    assert parse("select * from t; select * from u").summary == "BATCH"


def test_the_table_name_is_unquoted_sorted_and_distinct_in_any_case():
    assert parse('from b, "A ""x""", T, t, s."q"').table_name == 'A "x",T,b,s.q'


def test_a_long_summary_ends_at_a_whole_name():
    names = [f"a_rather_long_table_name_{number}" for number in range(20)]
    summary = parse("from " + ", ".join(names)).summary
    assert SUMMARY_LIMIT - 30 < len(summary) <= SUMMARY_LIMIT
    assert summary.split()[-1] in names
