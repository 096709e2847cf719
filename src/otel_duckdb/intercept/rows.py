"""How many rows a fetch returned, and whether it was the last, read off what it returned."""

from __future__ import annotations

from typing import Any, Final

VECTOR_SIZE: Final = 2048
"""Rows DuckDB hands over at a time: the first `fetchone` of each such chunk is the one that works."""

WHOLE_RESULT: Final = (
    "fetchall",
    "fetchnumpy",
    "df",
    "fetchdf",
    "torch",
    "tf",
    "pl",
    "arrow",
    "to_arrow_table",
    "fetch_arrow_table",
    "to_arrow_reader",
    "fetch_record_batch",
)
"""The methods that hand over all rows that are left, of connections and relations alike; each has some of its own."""


def all_rows(result: Any, _arguments: tuple[Any, ...]) -> tuple[int | None, bool]:
    """The rows that a fetch of all that are left returned, in any of Python's forms of a table; always the last."""
    return (len(result) if type(result) is list else _length(result)), True


def some_rows(result: Any, arguments: tuple[Any, ...]) -> tuple[int | None, bool]:
    """The rows that `fetchmany` returned; fewer than asked for are the last."""
    size = arguments[1] if len(arguments) > 1 else 1
    return len(result), len(result) < size if issubclass(type(size), int) else not result


def chunk_rows(result: Any, _arguments: tuple[Any, ...]) -> tuple[int | None, bool]:
    """The rows that `fetch_df_chunk` returned; an empty chunk is the last."""
    count = _length(result)
    return count, count == 0


def one_row(result: Any, _arguments: tuple[Any, ...]) -> tuple[int | None, bool]:
    """The row that `fetchone` returned; None comes after the last."""
    return (0, True) if result is None else (1, False)


def _length(result: Any) -> int | None:
    """Length of a list, data frame, Arrow table, or dictionary of columns; None for anything else."""
    if isinstance(result, dict):
        result = next(iter(result.values()), ())
    rows = getattr(result, "num_rows", None)
    if isinstance(rows, int):
        return rows
    try:
        return len(result)
    except TypeError:
        return None
