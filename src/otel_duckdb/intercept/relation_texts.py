"""The SQL text of what a relation's methods run."""

from __future__ import annotations

import re
from typing import Any, Final

from otel_duckdb.statement import parse

_RANDOM_NAME: Final = re.compile(r"\b((?:unnamed_relation|__duckdb_source|df|arrow|values)_)[0-9a-f]{10,}(?:_\d+)?\b")


def rendered(sql: str) -> str:
    """The SQL that DuckDB renders of a relation, without the random parts of the names it invents."""
    return _RANDOM_NAME.sub(r"\1x", sql)


def _first_argument(arguments: tuple[Any, ...], keywords: dict[str, Any], name: str = "table_name") -> str:
    return str(arguments[1] if len(arguments) > 1 else keywords.get(name, ""))


def create_text(sql: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> str:
    """Of `create(table_name)`."""
    return f"CREATE TABLE {_first_argument(arguments, keywords)} AS {sql}"


def insert_into_text(sql: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> str:
    """Of `insert_into(table_name)`."""
    return f"INSERT INTO {_first_argument(arguments, keywords)} {sql}"


def insert_text(sql: str, _arguments: tuple[Any, ...], _keywords: dict[str, Any]) -> str:
    """Of `insert(values)`."""
    return f"INSERT INTO {_table(sql)} VALUES (?)"


def update_text(sql: str, _arguments: tuple[Any, ...], _keywords: dict[str, Any]) -> str:
    """Of `update(set, condition)`."""
    return f"UPDATE {_table(sql)} SET"


def copy_text(sql: str, _arguments: tuple[Any, ...], _keywords: dict[str, Any]) -> str:
    """Of `write_csv` and `write_parquet`."""
    return f"COPY ({sql}) TO '?'"


def explain_text(sql: str, _arguments: tuple[Any, ...], _keywords: dict[str, Any]) -> str:
    """Of `explain`."""
    return f"EXPLAIN {sql}"


def count_text(sql: str, _arguments: tuple[Any, ...], _keywords: dict[str, Any]) -> str:
    """Of `__len__` and `shape`."""
    return f"SELECT count(*) FROM ({sql})"


def closing_text(sql: str, _arguments: tuple[Any, ...], _keywords: dict[str, Any]) -> str:
    """Of `close`, which runs a relation that has never run."""
    return sql


def _table(sql: str) -> str:
    targets = parse(sql).targets
    return targets[0] if targets else ""
