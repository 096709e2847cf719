"""Lists of options in brackets, as COPY, ATTACH and CREATE SECRET have them: `(FORMAT parquet, TOKEN x)`."""

from __future__ import annotations

from typing import Final

from otel_duckdb.statement.scanner import is_name
from otel_duckdb.statement.text import HIDDEN

_OPEN: Final = frozenset(
    {"FORMAT", "TYPE", "PROVIDER", "CHAIN", "COMPRESSION", "CODEC", "ENCODING", "PARQUET_VERSION", "STORAGE_VERSION"}
    | {"HEADER", "READ_ONLY", "READ_WRITE", "ACCESS_MODE", "RECOVERY_MODE", "BLOCK_SIZE", "ROW_GROUP_SIZE", "SCHEMA"}
    | {"PARTITION_BY", "PARTITION", "PARTITIONED", "ORDER", "FORCE_QUOTE", "FORCE_NOT_NULL", "FORCE_NULL"}
)
"""Options whose value may be shown where it is a bare word."""


def hide_option_values(tokens: list[str], start: int, *, all_lists: bool = False) -> list[str]:
    """Masked tokens with `?` for the bare words that are values, in the list opened at `start` or in all from there.

    The names of options stay, and so do the values of those that never hold a secret.
    """
    tokens = tokens.copy()
    depth, is_value, is_open = 0, False, False
    for index in range(start, len(tokens)):
        word = tokens[index]
        if word == "(":
            depth += 1
            is_value = is_value if depth > 1 else False
        elif word == ")":
            depth -= 1
            if depth <= 0 and not all_lists:
                break
        elif depth == 1 and word == ",":
            is_value = False
        elif depth > 0 and is_name(word):
            if not is_value:
                is_value, is_open = True, word.upper() in _OPEN
            elif not is_open:
                tokens[index] = HIDDEN
    return tokens
