"""What may be shown in the holes of a message: words of the statement's redacted text, and DuckDB's own."""

from __future__ import annotations

import errno
import os
import re
from functools import cache, cached_property
from importlib.resources import files
from typing import Final

HIDDEN: Final = "?"

_tokens = re.compile(r"""'[^']*'?|"[^"]*"?|[^\W\d]\w*|\s+|.""", re.DOTALL).findall
_words = re.compile(r'"[^"]*"?|[^\W\d]\w*').findall
_STRUCTURE: Final = frozenset("()[]{}<>,.;:*=-+|!&@")
_DIGITS: Final = 7


class Words:
    """The words that one failed statement shows."""

    def __init__(self, statement: str) -> None:
        """Take the statement's text, without its literals."""
        self._statement = statement

    @cached_property
    def _shown(self) -> frozenset[str]:
        return frozenset(word.strip('"').casefold() for word in _words(self._statement))

    def shown(self, hole: str, content: str) -> str:
        """Return what may be told of a hole's content."""
        if hole == "name":
            return self._names(content)
        if hole == "number" and content.isascii() and content.isdigit() and len(content) <= _DIGITS:
            return content
        if hole == "own" and content.casefold() in _phrases():
            return content
        return HIDDEN if content else content

    def _names(self, content: str) -> str:
        """The content with `?` in place of all that is no word of the statement; neighbours are hidden as one."""
        if content.casefold() in self._shown:
            return content
        found: list[str] = []
        hidden_end = 0
        for token in _tokens(content):
            if token in _STRUCTURE or token.isspace():
                found.append(token)
            elif self._is_known(token):
                found.append(token)
                hidden_end = 0
            elif hidden_end:
                del found[hidden_end:]
            else:
                quote = '"' if token[0] == '"' else ""
                found.append(f"{quote}{HIDDEN}{quote}")
                hidden_end = len(found)
        return "".join(found)

    def _is_known(self, token: str) -> bool:
        if token[0] == '"':
            return token[1:-1].casefold() in self._shown
        folded = token.casefold()
        return folded in self._shown or folded in _types()


@cache
def _types() -> frozenset[str]:
    """The names of DuckDB's types, and words that stand among them, in lower case."""
    return frozenset(_read("types.txt").split())


@cache
def _phrases() -> frozenset[str]:
    """Kinds of entries, operations and extensions, in lower case."""
    return frozenset(_read("phrases.txt").splitlines())


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


@cache
def reasons() -> frozenset[str]:
    """What the operating system says of its errors."""
    return frozenset(os.strerror(number) for number in errno.errorcode)
