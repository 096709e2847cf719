"""DuckDB's remarks on an operator, without the literals in them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from otel_duckdb.statement.redaction import hide_secrets, mask
from otel_duckdb.statement.scanner import is_name, scan, unquote
from otel_duckdb.statement.text import HIDDEN

if TYPE_CHECKING:
    from otel_duckdb.core.profile import Operator

_LIMIT: Final = 160
_READ: Final = 2_000
"""Characters of one remark that are read: enough to fill the limit, however long a list of values is."""
_REMARKS: Final = ("Join Type", "Conditions", "Expression", "Filters", "Order By", "Groups", "Aggregates")
_WORDS: Final = frozenset(
    [
        "and",
        "or",
        "not",
        "in",
        "is",
        "null",
        "like",
        "ilike",
        "glob",
        "between",
        "cast",
        "as",
        "distinct",
        "from",
        "asc",
        "desc",
        "nulls",
        "first",
        "last",
        "case",
        "when",
        "then",
        "else",
        "end",
        "optional",
        "prefix",
        "suffix",
        "contains",
        "over",
        "partition",
        "by",
        "order",
        "rows",
        "range",
        "inner",
        "left",
        "right",
        "full",
        "outer",
        "semi",
        "anti",
        "mark",
        "single",
        "count_star",
        "count",
        "sum",
        "sum_no_overflow",
        "min",
        "max",
        "avg",
    ]
)
"""Words DuckDB itself puts into its remarks."""


def scan_target(operator: Operator, database: str, *, hide: bool) -> str:
    """What the operator scans: a table, or the function that reads files, whose names may be private."""
    details = operator.details
    table = details.get("Table")
    if table:
        return _text(table).removeprefix(database + ".").removeprefix("main.")
    function = _text(details.get("Function", "")).lower()
    files = "" if hide else _text(details.get("Filename(s)", ""))
    return f"{function}({files})" if function and files else function


def remark(operator: Operator, text: str | None) -> str:
    """What the operator compares, filters or groups by; `text` as in `plan.tree`."""
    found = [_text(operator.details[key]) for key in _REMARKS if operator.details.get(key)]
    shown = " ".join(_hidden(each, text) for each in found)
    return shown if len(shown) <= _LIMIT else shown[: _LIMIT - 1] + "…"


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else ", ".join(value)


def _hidden(value: str, text: str | None) -> str:
    parts = scan(value[:_READ])
    tokens = parts[1::2]
    if text is None:
        parts[1::2] = hide_secrets(tokens, "SELECT")
    else:
        # DuckDB need not quote a value as SQL does: whatever the query's own text does not show stays hidden.
        known = _names(text)
        shown = [HIDDEN if is_name(token) and not _is_known(token, known) else token for token in mask(tokens)]
        # `#0` is the first column of the operator below, no literal.
        parts[1::2] = [tokens[at] if at and tokens[at - 1] == "#" else token for at, token in enumerate(shown)]
    return "".join(parts)


def _is_known(token: str, known: frozenset[str]) -> bool:
    word = unquote(token).casefold()
    return word in _WORDS or word in known


@lru_cache(64)
def _names(text: str) -> frozenset[str]:
    return frozenset(unquote(token).casefold() for token in scan(text)[1::2] if is_name(token))
