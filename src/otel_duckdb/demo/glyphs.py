"""The characters that drawings are made of, as far as the terminal knows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from rich.console import OverflowMethod

_PLAIN: Final = str.maketrans({"◀": "<", "◂": "<", "·": "-", "…": "~", "µ": "u"})


@dataclass(frozen=True)
class Glyphs:
    """Guides of a tree, marks, and how what is too long is cut."""

    encoding: str
    branch: str
    last: str
    down: str
    more: str
    remark: str
    overflow: OverflowMethod

    @classmethod
    def of(cls, encoding: str) -> Glyphs:
        """Those that `encoding` knows: lines where it can draw them, else ASCII."""
        kind: Literal["ellipsis", "crop"] = "ellipsis"
        lines = cls(encoding, "├─ ", "└─ ", "│  ", "…", "◂", kind)
        try:
            (lines.branch + lines.last + lines.down + lines.more + lines.remark + "◀·µ").encode(encoding)
        except (UnicodeEncodeError, LookupError):
            return cls(encoding, "|- ", "`- ", "|  ", "...", "<", "crop")
        return lines

    def fit(self, text: str) -> str:
        """Return `text` with `?` for what the terminal does not know, and the marks of plans in its own characters."""
        if self.overflow == "ellipsis":
            return text
        try:
            return text.translate(_PLAIN).encode(self.encoding, "replace").decode(self.encoding)
        except LookupError:
            return text.translate(_PLAIN).encode("ascii", "replace").decode()
