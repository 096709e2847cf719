"""Splits what an HTTP request carries into the SQL statement and the data behind it, as ClickHouse's parser does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(
    rb"""(?P<blank> \s+ | --[^\n]* | \#[!\ ][^\n]* | /\*.*?\*/ )
    | (?P<quoted> '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" | `(?:[^`\\]|\\.)*` )
    | (?P<word> [A-Za-z_]\w* )
    | (?P<opening> [(\[{] )
    | (?P<closing> [)\]}] )
    | [0-9][\w.]* | .""",
    re.VERBOSE | re.DOTALL,
)
_DATA_START = re.compile(rb"[ \t\f]*\r?\n?")


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement; of an insert with a FORMAT clause: its text before the clause, the format, the data behind."""

    sql: str
    is_insert: bool
    format: str | None = None
    data: bytes = b""

    @property
    def carries_data(self) -> bool:
        """Whether the rows to insert came with the statement, in `format`."""
        return self.is_insert and self.format is not None


def split(request: bytes) -> Statement:
    """Separate the statement from the data, which begins only behind the FORMAT clause of an INSERT of given rows."""
    words = _outer_words(request)
    first = next(words, None)
    inserts = first is not None and _upper(first) == b"INSERT"
    for word in words if inserts else ():
        match _upper(word):
            case b"SELECT" | b"VALUES":
                break
            case b"FORMAT" if name := next(words, None):
                start = _DATA_START.match(request, name.end())
                data = request[start.end() if start else name.end() :]
                return Statement(request[: word.start()].decode(), inserts, name.group().decode(), data)
    return Statement(request.decode(), inserts)


def _outer_words(text: bytes) -> Iterator[re.Match[bytes]]:
    """Yield the words outside of brackets, quotes and comments; it reads no further than it is asked to."""
    depth = 0
    for token in _TOKEN.finditer(text):
        match token.lastgroup:
            case "opening":
                depth += 1
            case "closing":
                depth -= 1
            case "word" if depth == 0:
                yield token


def _upper(word: re.Match[bytes]) -> bytes:
    return word.group().upper()
