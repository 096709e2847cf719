"""The arguments of a DuckDB call, read as an operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.core.operation import Operation
from otel_duckdb.statement import parse
from otel_duckdb.statement.scanner import is_file_name

if TYPE_CHECKING:
    from collections.abc import Callable

_PARAMETERS: Final = 2
"""The place of the parameters after the connection and the query."""


def plain_text(value: Any) -> str | None:
    """The text that a text of any class holds; None for anything else, of which nothing is asked."""
    return str.__str__(value) if issubclass(type(value), str) else None


def sql_text(query: Any) -> str:
    """The text of a query given as text or as a `duckdb.Statement`; empty for anything else."""
    text = plain_text(query)
    if text is not None:
        return text
    try:
        text = query.query
    except Exception:  # whatever object this is: DuckDB says that it takes none of the kind
        return ""
    return text if type(text) is str else ""


def _argument(position: int, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    return arguments[position] if len(arguments) > position else keywords.get(name)


def given_query(connection: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Operation:
    """The operation of `execute(query, parameters)`."""
    given = len(arguments)  # each helper would cost every query a frame
    query = arguments[1] if given > 1 else keywords.get("query")
    text = query if type(query) is str else sql_text(query)
    parameters = arguments[_PARAMETERS] if given > _PARAMETERS else keywords.get("parameters")
    return Operation(text, parse(text), connection, parameters)


def batch(connection: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Operation:
    """The operation of `executemany(query, parameters)`."""
    text = sql_text(_argument(1, "query", arguments, keywords))
    parameters = _argument(2, "parameters", arguments, keywords)
    operation = Operation(text, parse(text), connection, parameters, _size(parameters))
    operation.is_batch = True
    return operation


def _size(parameters: Any) -> int | None:
    try:
        return len(parameters)
    except Exception:  # an iterator, which DuckDB takes, or an object that it does not
        return None


def named(sql: str) -> Callable[[Any, tuple[Any, ...], dict[str, Any]], Operation]:
    """Return what makes the operation of a method that runs one fixed statement, such as `begin`."""
    statement = parse(sql)

    def describe(connection: Any, _arguments: tuple[Any, ...], _keywords: dict[str, Any]) -> Operation:
        return Operation(sql, statement, connection, name=sql)

    return describe


def into_table(name: str, sql: str, argument: str = "table_name") -> Callable[..., Operation]:
    """Return what makes the operation of a method that names its table, such as `append(table_name, df)`."""
    statement = parse(sql)

    def describe(connection: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Operation:
        table = plain_text(_argument(1, argument, arguments, keywords))
        is_table = table is not None and not is_file_name(f'"{table}"')
        return Operation(sql, statement, connection, name=name, collection=table if is_table else None)

    return describe
