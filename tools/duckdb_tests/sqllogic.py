"""The statements of one file of DuckDB's tests, in its sqllogictest format; what they should give is left out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_BUILT_IN: Final = frozenset(
    {"json", "parquet", "icu", "core_functions", "skip_reload", "vector_size", "noforcestorage", "notwindows", "64bit"}
)
"""What a file may require: extensions of the Python package, and what is true of it."""
_head = re.compile(r"(statement|query)\b\s*(\S*)\s*(\S*)").match


@dataclass(frozen=True, slots=True)
class Step:
    """A statement on the connection of a name, or the opening of a database file, whose text is its path."""

    text: str
    connection: str = ""
    opens: bool = False


def steps(content: str) -> Iterator[Step]:
    """The steps in their order: of a loop only its first turn, and nothing after what this package cannot do."""
    variables: list[tuple[str, str]] = []
    lines = iter(content.splitlines())
    for line in lines:
        words = line.split()
        word = words[0] if words else ""
        if word in ("foreach", "concurrentforeach", "loop", "concurrentloop"):
            variables.append((words[1], words[2] if len(words) > 2 else ""))  # noqa: PLR2004 - a name, then values
        elif word == "endloop" and variables:
            variables.pop()
        elif word == "require" and words[1] not in _BUILT_IN:
            return
        elif word in ("load", "restart"):
            yield Step(words[1] if word == "load" and len(words) > 1 else "", opens=True)
        else:
            head = _head(line)
            if head:
                text = "\n".join(_body(lines))
                for name, value in variables:
                    text = text.replace(f"${{{name}}}", value)
                yield Step(text, head[3] if head[1] == "statement" else "")


def _body(lines: Iterator[str]) -> Iterator[str]:
    """The lines of a statement; those of its result are passed over."""
    is_result = False
    for line in lines:
        if not line.strip():
            return
        is_result = is_result or line.strip() == "----"
        if not is_result:
            yield line
