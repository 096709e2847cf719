"""What of an error's message may be told: the words that are DuckDB's own, and those that the statement shows anyway.

`messages.txt` holds the messages of DuckDB 1.4, 1.5 and 2.x as fixed words with holes between. A message that is one
of them keeps the fixed words; what stands in its holes is taken for a value of the user, unless the redacted text of
the statement has the same words. Of a message that is none of them, only DuckDB's kind of error is told.
"""

from __future__ import annotations

from typing import Final

from otel_duckdb.error_messages.kinds import split_kind
from otel_duckdb.error_messages.table import find
from otel_duckdb.error_messages.words import HIDDEN, Words, reasons

__all__ = ["HIDDEN", "MESSAGE_LIMIT", "bounded", "redact"]

MESSAGE_LIMIT: Final = 4096
"""Characters of a message that are looked at and told: its beginning and its end."""
_GAP: Final = " … "
_DEPTH: Final = 4
_EXCERPTS: Final = ("\n\nLINE ", "\nLINE ")


def redact(message: str, statement: str) -> str:
    """Return an error's message with `?` for all that is not known to be safe.

    Args:
        message: The message as DuckDB gave it, of any length.
        statement: The redacted text of the statement that failed. Its identifiers and keywords stay in the message.

    Returns:
        At most `MESSAGE_LIMIT` characters; `Binder Error: ?` where only the kind of error is known, `?` where not
        even that. It takes time linear in the length of both texts.
    """
    kind, body = split_kind(_without_excerpt(bounded(message)))
    return _told(kind, _body(body, Words(statement), _DEPTH))


def bounded(message: str, limit: int = MESSAGE_LIMIT) -> str:
    """Return the beginning and the end of a message that has more characters than the limit, else the message."""
    half = (limit - len(_GAP)) // 2
    return message if len(message) <= limit else message[:half] + _GAP + message[-half:]


def _told(kind: str, body: str) -> str:
    return f"{kind} Error: {body}" if kind else body


def _without_excerpt(message: str) -> str:
    """The message without the line of the statement that DuckDB shows at its end."""
    for mark in _EXCERPTS:
        start = message.rfind(mark)
        if start >= 0:
            return message[:start]
    return message


def _body(body: str, words: Words, depth: int) -> str:
    """A message without its kind of error; `depth` is how many messages may yet be found inside each other."""
    found = find(body)
    if found is None:
        return HIDDEN
    template, holes = found
    contents = [
        _inner(content, words, depth) if hole == "error" else words.shown(hole, content)
        for hole, content in zip(template.holes, holes, strict=True)
    ]
    return template.filled(contents)


def _inner(message: str, words: Words, depth: int) -> str:
    """What is told of a message inside another one, or after it."""
    text = message.strip()
    if not text or text in reasons():
        return message
    if depth == 0:
        return HIDDEN
    start = message.index(text)
    kind, body = split_kind(text)
    return message[:start] + _told(kind, _body(body, words, depth - 1)) + message[start + len(text) :]
