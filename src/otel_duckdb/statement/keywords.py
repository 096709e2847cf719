"""Handlers of keywords: what a keyword means where it begins a statement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from otel_duckdb.statement.reader import QUERY_WORDS, Reader

Handler = Callable[[Reader, int], None]

_SCOPES: Final = frozenset(
    {"GLOBAL", "SESSION", "LOCAL", "VARIABLE", "DATABASE", "IF", "EXISTS", "ALL", "PREPARE", "SCHEMA"}
)


def first(opener: Handler, otherwise: Handler | None = None) -> Handler:
    """A handler for a keyword that means something else, or nothing, unless it begins a statement or a query."""

    def handler(reader: Reader, index: int) -> None:
        only_query = (bool(reader.levels) and not reader.level.is_cte) or reader.level.operation == "UNION"
        is_first = index == reader.start and (not only_query or reader.words[index] in QUERY_WORDS)
        if is_first and (not reader.levels or reader.words[index + 1] not in (")", ",", ".")):
            opener(reader, index)
        elif otherwise is not None:
            otherwise(reader, index)

    return handler


def plain(kind: str, label: str = "") -> Handler:
    """A statement of which no more is said than its kind."""
    return first(lambda reader, index: reader.operate(kind, label or reader.words[index]))


def named(kind: str, otherwise: Handler | None = None) -> Handler:
    """A statement whose summary names what follows, which is no table."""
    return first(lambda reader, index: name(reader, index, kind), otherwise)


def name(reader: Reader, index: int, kind: str) -> None:
    """Note a statement of this kind, and what its keyword is followed by."""
    reader.operate(kind, reader.words[index])
    while reader.words[index + 1] in _SCOPES:
        index += 1
    reader.name(index + 1)
