"""Quotes that do not pair, as those of `'O'Brien'`: what stands behind them may be the rest of a literal."""

from __future__ import annotations

import re
from typing import Final

from otel_duckdb.statement.scanner import COMMENTS, QUOTES_OF_NAMES, is_name, is_open

_may_be_glued = re.compile(r"\?[^\W\d]").search
_AFTER_STRING: Final = frozenset(
    {"AS", "AND", "OR", "NOT", "IN", "IS", "ISNULL", "NOTNULL", "LIKE", "ILIKE", "GLOB", "SIMILAR", "BETWEEN"}
    | {"ESCAPE", "COLLATE", "OPERATOR", "DIV", "XOR", "CASE", "WHEN", "THEN", "ELSE", "END", "FROM", "WHERE"}
    | {"GROUP", "HAVING", "QUALIFY", "WINDOW", "ORDER", "BY", "ASC", "DESC", "NULLS", "LIMIT", "OFFSET"}
    | {"SAMPLE", "FILTER", "UNION", "EXCEPT", "INTERSECT", "JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS"}
    | {"NATURAL", "ASOF", "POSITIONAL", "SEMI", "ANTI", "LATERAL", "ON", "USING", "WITH", "TO", "INTO", "VALUES"}
    | {"VALUE", "SET", "RETURNING", "DO", "FOR", "AT", "CHECK", "DEFAULT", "NULL", "UNIQUE", "PRIMARY"}
    | {"REFERENCES", "GENERATED", "YEAR", "YEARS", "MONTH", "MONTHS", "WEEK", "WEEKS", "DAY", "DAYS", "HOUR"}
    | {"HOURS", "MINUTE", "MINUTES", "SECOND", "SECONDS", "QUARTER", "QUARTERS", "MILLISECOND", "MILLISECONDS"}
    | {"MICROSECOND", "MICROSECONDS", "DECADE", "DECADES", "CENTURY", "CENTURIES", "MILLENNIUM", "MILLENNIA"}
)
"""Keywords that may follow a string without a space between."""


def sure_part(parts: list[str], redacted: str) -> str | None:
    """What of a scanned text comes before quotes that do not pair, and an opening quote; None where all do.

    DuckDB runs no such text, and nobody can tell what of it is inside a literal.
    """
    tokens = parts[1::2]
    if tokens and is_open(tokens[-1]) and tokens[-1][:2] not in COMMENTS:
        quote = _quote(tokens[-1])
        return _before(parts, next(index for index, token in enumerate(tokens) if _quote(token) == quote))
    if _may_be_glued(redacted) is None:
        return None
    for index, token in enumerate(tokens[1:], 1):
        is_glued = parts[2 * index] == "" and tokens[index - 1][-1] == "'" and is_name(token)
        if is_glued and token.upper() not in _AFTER_STRING:
            return _before(parts, index - 1)
    return None


def _before(parts: list[str], index: int) -> str:
    return "".join(parts[: 2 * index + 1]) + "'"


def _quote(token: str) -> str:
    first = token[0]
    if first in QUOTES_OF_NAMES or (first == "$" and "$" in token[1:]):
        return first
    return "'" if "'" in token[:2] else ""
