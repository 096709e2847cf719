r"""The table of DuckDB's messages, and the one that a message is.

A line of `messages.txt` is one message: fixed words, and holes in braces. `{name}` holds identifiers, keywords and
types, `{own}` a phrase of DuckDB's own, `{number}` a count that is none of the data, `{error}` another message or what
the operating system says, and `{}` what is never told. `\n` and `\t` stand for a line's end and a tab.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

_KEY: Final = 4
_hole = re.compile(r"\{(|name|own|number|error)\}").split


@dataclass(frozen=True, slots=True)
class Template:
    """One message of DuckDB: its fixed parts, and between each two of them a hole."""

    parts: tuple[str, ...]
    holes: tuple[str, ...]

    @property
    def fixed(self) -> int:
        """How many characters are fixed."""
        return sum(map(len, self.parts))

    def match(self, message: str) -> list[str] | None:
        """Return what stands in the holes, or None if the message is another one.

        Each part is looked for once, from left to right: if any way to lay the parts exists, the leftmost one does.
        """
        first, last = self.parts[0], self.parts[-1]
        if not self.holes:
            return [] if message == first else None
        end = len(message) - len(last)
        position = len(first)
        if position > end or not (message.startswith(first) and message.endswith(last)):
            return None
        contents = []
        for part in self.parts[1:-1]:
            found = message.find(part, position, end)
            if found < 0:
                return None
            contents.append(message[position:found])
            position = found + len(part)
        contents.append(message[position:end])
        return contents

    def filled(self, contents: list[str]) -> str:
        """Return the message with other contents in its holes."""
        pieces = [self.parts[0]]
        for content, part in zip(contents, self.parts[1:], strict=True):
            pieces += (content, part)
        return "".join(pieces)


def template(line: str) -> Template:
    """Return the template of one line of the table."""
    pieces = _hole(line.replace("\\n", "\n").replace("\\t", "\t"))
    return Template(tuple(pieces[::2]), tuple(pieces[1::2]))


def find(message: str) -> tuple[Template, list[str]] | None:
    """Return the message's template, the one with the most fixed words, and what stands in its holes."""
    begun = _first_match(_begun(message[:_KEY]), message)
    other = _first_match(_begun(""), message)
    if begun is None or (other is not None and other[0].fixed > begun[0].fixed):
        return other
    return begun


def _first_match(templates: list[Template], message: str) -> tuple[Template, list[str]] | None:
    for candidate in templates:
        contents = candidate.match(message)
        if contents is not None:
            return candidate, contents
    return None


def _begun(key: str) -> list[Template]:
    """The templates that begin so, those of the most fixed words first; by "" those with a hole near the beginning."""
    found = _templates.get(key)
    if found is None:
        lines = _lines().get(key)
        if lines is None:
            return []
        found = _templates[key] = sorted(map(template, lines), key=lambda one: -one.fixed)
    return found


_templates: Final[dict[str, list[Template]]] = {}


@cache
def _lines() -> dict[str, list[str]]:
    """The table's lines by how their messages begin."""
    lines: dict[str, list[str]] = {}
    for line in files(__package__).joinpath("messages.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            start = line[:_KEY]
            lines.setdefault("" if "{" in start or "\\" in start else start, []).append(line)
    return lines
