"""Replacement scans on DuckDB 1: a query may name a variable of the code that calls DuckDB.

DuckDB 1 looks such a name up in the innermost Python frame only. A call through a wrapper misses it; made again by code
that is evaluated with the caller's globals and locals, it finds it, as the unpatched call would have. What would have
an effect twice is evaluated so at once: a script, whose first statements have run by then, and a text whose table
functions have arguments to compute, for that is done while binding and may call Python.
"""

from __future__ import annotations

import re
from functools import lru_cache
from inspect import CO_OPTIMIZED
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.intercept.wrappers import CALL
from otel_duckdb.statement import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from types import FrameType

_LONG: Final = 20_000
"""Characters of a text above which its words are not looked for: it may mean any variable."""
_TABLE_FUNCTION: Final = re.compile(r"(?:\b(?:from|join|call|lateral)\b|,)\s*[\w.]{1,64}\s*\(", re.IGNORECASE)
_FUNCTION: Final = re.compile(r"\w\s*\(")
_WORD: Final = re.compile(r"\w+")
_MISSED: Final = re.compile(r'Table with name "?(.+?)"? (?:does not exist|is not)|Circular reference to CTE "(.+?)"')


class ReplacementScan:
    """Finds the caller's variables for DuckDB 1, in calls whose text is the argument at `position`."""

    def __init__(
        self, missing: tuple[type[BaseException], ...], position: int, python_inside: Callable[[], bool]
    ) -> None:
        """Take the classes of errors of a missed name, and what tells whether DuckDB may call the user's functions."""
        self._missing = missing
        self._position = position
        self._python_inside = python_inside

    def first(self, arguments: tuple[Any, ...], frame: FrameType) -> bool:
        """Whether the call may mean a variable, and would have an effect twice if it were made twice."""
        text = arguments[self._position] if len(arguments) > self._position else None
        if type(text) is not str:
            return self._python_inside()
        if _is_script(text):
            return _visible(parse(text).table_name.split(","), frame)
        if not (self._python_inside() or _computes_while_binding(text)):
            return False
        return len(text) > _LONG or _visible(_words(text), frame)

    def missed(self, error: BaseException, arguments: tuple[Any, ...], frame: FrameType) -> bool:
        """Whether a single statement failed to bind for want of a name that the caller has."""
        found = _MISSED.search(str(error)[:_LONG]) if isinstance(error, self._missing) else None
        if found is None or not _visible({found[1] or found[2]}, frame):
            return False
        text = arguments[self._position] if len(arguments) > self._position else None
        return not (type(text) is str and _is_script(text))

    def again(
        self,
        frame: FrameType,
        original: Callable[..., Any],
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
    ) -> Any:
        """Make the call inside the caller's names.

        Reading `f_locals` leaves a snapshot on the frame up to Python 3.12, just as DuckDB's own look-up does.
        """
        names = {
            **frame.f_locals,
            "_otel_original": original,
            "_otel_arguments": arguments,
            "_otel_keywords": keywords,
        }
        try:
            return eval(CALL, frame.f_globals, names)  # noqa: S307 - the code is the constant above
        finally:
            # A traceback that holds these frames must not keep the caller's objects.
            names.clear()
            del frame, arguments, keywords


def _is_script(text: str) -> bool:
    return ";" in text and parse(text).count > 1


def _computes_while_binding(text: str) -> bool:
    """Whether a table function may have a function among its arguments."""
    return text.count("(") > 1 and (len(text) > _LONG or _calls_in_arguments(text))


@lru_cache(512)
def _calls_in_arguments(text: str) -> bool:
    found = _TABLE_FUNCTION.search(text)
    return found is not None and _FUNCTION.search(text, found.end()) is not None


@lru_cache(512)
def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text))


def _visible(names: Collection[str], frame: FrameType) -> bool:
    """Whether one of the names is a variable of the frame; the locals of a function are not read for it."""
    code = frame.f_code
    if code.co_flags & CO_OPTIMIZED:
        own: Collection[str] = {*code.co_varnames, *code.co_cellvars, *code.co_freevars}
    else:
        own = frame.f_locals
    return any(name in own or name in frame.f_globals for name in names)
