"""Text from outside, made fit to be exported, and fit to be printed or logged."""

from __future__ import annotations

import re
import reprlib
from typing import Final

_UNPRINTABLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters, C0 and C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # they turn the direction of what follows
    "\u2028\u2029"  # line and paragraph separators
    "\ufeff\ud800-\udfff]"  # a mark that is not seen, and halves of characters
)
_SHORT: Final = reprlib.Repr()
_SHORT.maxlevel = 2
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 200
_BLANKS: Final = re.compile(r"[ \t\r\n]+")


def encodable(text: str) -> str:
    r"""Return `text` with each half of a character written as `\udXXX`, so that it can be encoded as UTF-8.

    Python holds such halves where JSON named one, and where a name of the system (a file, a variable, an argument) is
    not UTF-8. One of them in an attribute would lose the whole batch it is exported with.
    """
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def printable(text: object) -> str:
    r"""Return `text` in one line that a terminal and a log can show: blanks become one, control characters `\xXX`."""
    return _UNPRINTABLE.sub(_escape, _BLANKS.sub(" ", str(text)).strip(" "))


def shown(value: object) -> str:
    """Return the `repr` of `value` in short: where YAML's aliases name a list many times, the whole has any length."""
    return _SHORT.repr(value)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004 - two hexadecimal digits
