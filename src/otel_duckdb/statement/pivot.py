"""Whether a PIVOT lists its columns: else DuckDB must run a query of its own to find them."""

from __future__ import annotations

from typing import Final

from otel_duckdb.statement.reader import QUERY_WORDS

_ENDS: Final = frozenset({"USING", "GROUP", "ORDER", "LIMIT", "OFFSET", "UNION", "EXCEPT", "INTERSECT", ";", ""})


def finds_columns(words: list[str], start: int) -> bool:
    """Whether the statement that begins with PIVOT at `start` names a column in ON without its values."""
    depth = 0
    in_columns = has_values = False
    for index in range(start + 1, len(words)):
        word = words[index]
        if word in ("(", "[", "{"):
            depth += 1
        elif word in (")", "]", "}"):
            depth -= 1
        if depth < 0 or (depth == 0 and word in _ENDS):
            break
        if depth > 0:
            continue
        if word == "ON":
            in_columns, has_values = True, False
        elif word == "IN":
            has_values = words[index + 1] != "(" or words[index + 2] not in QUERY_WORDS
        elif word == "," and in_columns:
            if not has_values:
                return True
            has_values = False
    return in_columns and not has_values
