"""What a statement says of which database is the current one, and which there are: USE, SET schema, ATTACH, DETACH."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_duckdb.statement.scanner import is_file_name, is_name, is_open, scan, unquote

if TYPE_CHECKING:
    from otel_duckdb.statement.reader import Reader

USE: Final = "USE"
ATTACH: Final = "ATTACH"
DETACH: Final = "DETACH"

_SCHEMA: Final = frozenset({"SCHEMA", "SEARCH_PATH"})
_IN_FRONT: Final = frozenset({"DATABASE", "IF", "NOT", "EXISTS", "OR", "REPLACE"})
_plain_file: Final = re.compile(r"'(?:[^':?]*/)?([^':?/.]+)(?:\.[^':?/]*)?'").fullmatch
_PARTS_OF_TWO: Final = 3
"""Tokens of a database, a point and a schema."""


class DatabaseStep(NamedTuple):
    """What one statement does to the databases of its connection once it has succeeded.

    Attributes:
        action: USE, ATTACH or DETACH.
        name: The database's name; of a USE empty where the connection goes back to its own database.
        is_certain: Whether the name is one of a database, and not perhaps of a schema in the current one.
    """

    action: str
    name: str
    is_certain: bool


def database_step(reader: Reader) -> DatabaseStep | None:
    """What a statement does to the databases of its connection; None where it does nothing, or nothing plain."""
    words = reader.words
    if reader.kind in ("ATTACH", "DETACH"):
        name = _attached(reader) if reader.kind == "ATTACH" else _name_at(reader, _skipped(words, 1))
        return DatabaseStep(reader.kind, name, True) if name else None
    if reader.kind != "SET":
        return None
    first = words[0]
    if first == "USE":
        return _used(reader.tokens[1:])
    setting = 2 if words[1] == "SESSION" else 1
    if words[setting] not in _SCHEMA:
        return None
    if first == "RESET":
        return DatabaseStep(USE, "", True)
    return _used(reader.tokens[setting + 2 :]) if words[setting + 1] in ("=", "TO") else None


def _used(value: list[str]) -> DatabaseStep | None:
    """The database of `name`, `name.schema`, or of a string that holds one of these, or several after commas."""
    if value[-1:] == [";"]:
        value = value[:-1]
    if len(value) == 1 and value[0][:1] == "'" and not is_open(value[0]):
        value = scan(value[0][1:-1].replace("''", "'").partition(",")[0])[1::2]
    if len(value) not in (1, _PARTS_OF_TWO) or not all(map(is_name, value[::2])) or any(map(is_open, value)):
        return None
    if len(value) == _PARTS_OF_TWO and value[1] != ".":
        return None
    return DatabaseStep(USE, unquote(value[0]), len(value) > 1)


def _attached(reader: Reader) -> str:
    """The name that ATTACH gives, or that DuckDB makes of the name of a plain file."""
    index = _skipped(reader.words, 1)
    if reader.words[index + 1] == "AS":
        return _name_at(reader, index + 2)
    found = _plain_file(reader.tokens[index]) if index < len(reader.tokens) else None
    return found[1] if found else ""


def _name_at(reader: Reader, index: int) -> str:
    token = reader.tokens[index] if index < len(reader.tokens) else ""
    return unquote(token) if is_name(token) and not is_open(token) and not is_file_name(token) else ""


def _skipped(words: list[str], index: int) -> int:
    while words[index] in _IN_FRONT:
        index += 1
    return index
