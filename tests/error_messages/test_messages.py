"""The table of messages knows what DuckDB says."""

import contextlib

import duckdb
import pytest

from otel_duckdb.core.errors import safe_message
from otel_duckdb.error_messages.kinds import CLASSES
from otel_duckdb.error_messages.table import _lines, template
from otel_duckdb.statement import parse
from planted.database import prepare
from planted.statements import filled, texts

USEFUL = 0.9


def test_nine_of_ten_failing_statements_keep_a_useful_message(tmp_path, monkeypatch, record_property):
    monkeypatch.chdir(tmp_path)  # some statements write where they run
    useless = []
    errors = 0
    with duckdb.connect() as connection:
        prepare(connection, "value", tmp_path)
        for text in texts():
            statement = filled(text, "value", tmp_path)
            try:
                connection.execute(statement).fetchall()
            except duckdb.Error as error:
                errors += 1
                message = safe_message(error, parse(statement).redacted)
                if message.endswith("Error: ?") or " " not in message:
                    useless.append(f"{statement}: {error}")
            finally:
                _roll_back(connection)
    share = 1 - len(useless) / errors
    record_property("useful", share)
    print(f"DuckDB {duckdb.__version__}: {share:.1%} of {errors} errors keep a useful message")  # noqa: T201 - with -s
    assert errors > 500
    assert share >= USEFUL, useless


def _roll_back(connection):
    with contextlib.suppress(duckdb.Error):
        connection.rollback()


def test_each_line_of_the_table_is_one_message_and_its_own():
    lines = [line for found in _lines().values() for line in found]
    assert len(lines) == len(set(lines))
    for line in lines:
        made = template(line)
        assert made.fixed >= 5, line
        assert not any(part == "" for part in made.parts[1:-1]), line  # of two holes side by side none is known


def test_every_class_that_is_named_for_a_kind_of_error_is_duckdbs():
    missing = {name for name in CLASSES.values() if not hasattr(duckdb, name)}
    assert missing <= {"ResourceInUseException"}  # DuckDB 2 has it


@pytest.mark.parametrize("hole", ["{}", "{name}", "{own}", "{number}", "{error}"])
def test_each_kind_of_hole_is_used(hole):
    assert any(hole in line for found in _lines().values() for line in found)
