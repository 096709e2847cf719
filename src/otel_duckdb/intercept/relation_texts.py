"""The SQL text of what a relation's methods run."""

from __future__ import annotations

import re
from typing import Any, Final

from otel_duckdb.intercept.describe import plain_text
from otel_duckdb.statement import parse

_RANDOM_NAME: Final = re.compile(r"\b((?:unnamed_relation|__duckdb_source|df|arrow|values)_)[0-9a-f]{10,}(?:_\d+)?\b")


def rendered(sql: str) -> str:
    """The SQL that DuckDB renders of a relation, without the random parts of the names it invents."""
    return _RANDOM_NAME.sub(r"\1x", sql)


def _first_argument(arguments: tuple[Any, ...], keywords: dict[str, Any], name: str = "table_name") -> str:
    return plain_text(arguments[1] if len(arguments) > 1 else keywords.get(name)) or ""


def create_text(sql: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> str:
    """The statement that a relation's `create(table_name)` runs."""
    return f"CREATE TABLE {_first_argument(arguments, keywords)} AS {sql}"


def insert_into_text(sql: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> str:
    """The statement that a relation's `insert_into(table_name)` runs."""
    return f"INSERT INTO {_first_argument(arguments, keywords)} {sql}"


def insert_text(sql: str, _arguments: tuple[Any, ...], _keywords: dict[str, Any]) -> str:
    """The statement that a relation's `insert(values)` runs."""
    return f"INSERT INTO {_table(sql)} VALUES (?)"


def update_text(sql: str, _arguments: tuple[Any, ...], _keywords: dict[str, Any]) -> str:
    """The statement that a relation's `update(set, condition)` runs."""
    return f"UPDATE {_table(sql)} SET"


def copy_text(sql: str, _arguments: tuple[Any, ...], _keywords: dict[str, Any]) -> str:
    """The statement that a relation's `write_csv` or `write_parquet` runs."""
    return f"COPY ({sql}) TO '?'"


def explain_text(sql: str, _arguments: tuple[Any, ...], _keywords: dict[str, Any]) -> str:
    """The statement that a relation's `explain` runs."""
    return f"EXPLAIN {sql}"


def count_text(sql: str, _arguments: tuple[Any, ...], _keywords: dict[str, Any]) -> str:
    """The statement that a relation's `__len__` or `shape` runs."""
    return f"SELECT count(*) FROM ({sql})"


def closing_text(sql: str, _arguments: tuple[Any, ...], _keywords: dict[str, Any]) -> str:
    """The statement that a relation's `close` runs: its own query, if that has never run."""
    return sql


def _table(sql: str) -> str:
    targets = parse(sql).targets
    return targets[0] if targets else ""
