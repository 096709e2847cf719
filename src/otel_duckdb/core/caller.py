"""Where in the user's code DuckDB was called: the innermost frame that is of no library."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_duckdb import contract
from otel_duckdb.text import encodable

if TYPE_CHECKING:
    from types import FrameType

    from opentelemetry.util.types import AttributeValue

_OURS: Final = str(Path(__file__).parent.parent)
_INSTALLED: Final = ("site-packages", "dist-packages")


@dataclass(frozen=True, slots=True)
class Caller:
    """A place in the user's code.

    Attributes:
        path: The file.
        line: The line's number.
        function: The function's name with its module and class.
    """

    path: str
    line: int
    function: str

    @property
    def attributes(self) -> dict[str, AttributeValue]:
        """The place as the semantic conventions spell it."""
        return {
            contract.CODE_FILE_PATH: self.path,
            contract.CODE_LINE_NUMBER: self.line,
            contract.CODE_FUNCTION_NAME: self.function,
        }


def find_caller() -> Caller | None:
    """The innermost frame outside all installed packages.

    A program may itself be installed; then it is the innermost frame outside DuckDB, this package and Python's own
    library. Only its place is kept: a frame would keep the caller's variables alive.
    """
    frame: FrameType | None = sys._getframe(1)
    second: Caller | None = None
    while frame is not None:
        origin = _origin(frame.f_code.co_filename)
        if origin == "user":
            return _place(frame)
        if origin == "installed" and second is None:
            second = _place(frame)
        frame = frame.f_back
    return second


def _place(frame: FrameType) -> Caller:
    code = frame.f_code
    module = frame.f_globals.get("__name__", "")
    return Caller(encodable(code.co_filename), frame.f_lineno, encodable(f"{module}.{code.co_qualname}"))


@lru_cache(4096)
def _origin(path: str) -> str:
    if path.startswith((_OURS, "<frozen ", "<otel_duckdb>")):
        return "ours"
    parts = Path(path).parts
    for folder in _INSTALLED:
        if folder in parts:
            return "ours" if parts[parts.index(folder) + 1 :][:1] in (("duckdb",), ("_duckdb",)) else "installed"
    return "standard" if path.startswith(_standard()) else "user"


@cache
def _standard() -> tuple[str, ...]:
    import sysconfig  # noqa: PLC0415 - it reads how Python was built, which a start without a slow query goes without

    return tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")})
