"""What commands print tables on: the terminal, or a page of 120 columns where the output is none."""

from __future__ import annotations

import os
import re
import shutil
import sys
from typing import IO, TYPE_CHECKING, Any, Final, cast

from rich.console import Console

if TYPE_CHECKING:
    from rich.console import OverflowMethod

_WIDTH: Final = 120
_TRAILING: Final = re.compile(r"[ \t]+(?=\n)")


def console(*, width: int | None = None, highlight: bool = False) -> Console:
    """The terminal, or a page where the output is none, whose lines end with their last character."""
    if sys.stdout.isatty():
        if os.environ.get("TERM") == "dumb":  # rich takes it for one of 80 columns
            width = width or shutil.get_terminal_size().columns
        return Console(width=width, highlight=highlight)
    return Console(width=width or _WIDTH, highlight=highlight, file=cast("IO[str]", _Trimmed(sys.stdout)))


def cut_off() -> OverflowMethod:
    """How a text that is too long is cut: with an ellipsis, where the terminal knows that character."""
    return "ellipsis" if console().encoding.startswith("utf") else "crop"


class _Trimmed:
    """A stream that leaves out the blanks at the ends of lines, with which rich fills its tables up."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        """What else a stream has."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write whole lines."""
        return self._stream.write(_TRAILING.sub("", text))
