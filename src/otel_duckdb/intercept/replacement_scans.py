"""Replacement scans on DuckDB 1: a query may name a variable of the code that calls DuckDB.

DuckDB 1 looks such a name up in the innermost Python frame only. A call through a wrapper misses it; made again by code
that is evaluated with the caller's globals and locals, it finds it, as the unpatched call would have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_duckdb.statement import parse

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_CALL = compile("_otel_original(*_otel_arguments, **_otel_keywords)", "<otel_duckdb>", "eval")


class ReplacementScan:
    """Finds the caller's variables for DuckDB 1, in calls whose text is the argument at `position`."""

    def __init__(self, catalog_exception: type[BaseException], position: int) -> None:
        self._catalog_exception = catalog_exception
        self._position = position

    def first(self, arguments: tuple[Any, ...], frame: FrameType) -> bool:
        """Whether the text is a script that may mean a variable: its first statements must not run twice."""
        if not self._is_script(arguments):
            return False
        return _may_mean_variable(parse(arguments[self._position]).table_name.split(","), frame)

    def missed(self, error: BaseException, arguments: tuple[Any, ...]) -> bool:
        """Whether a single statement failed to bind for want of a table; binding has no effects on DuckDB 1."""
        return (
            isinstance(error, self._catalog_exception)
            and "Table with name" in str(error)
            and not self._is_script(arguments)
        )

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
            return eval(_CALL, frame.f_globals, names)  # noqa: S307 - the code is the constant above
        finally:
            # A traceback that holds these frames must not keep the caller's objects.
            names.clear()
            del frame, arguments, keywords

    def _is_script(self, arguments: tuple[Any, ...]) -> bool:
        text = arguments[self._position] if len(arguments) > self._position else None
        return type(text) is str and ";" in text and parse(text).count > 1


def _may_mean_variable(tables: list[str], frame: FrameType) -> bool:
    code = frame.f_code
    own = {*code.co_varnames, *code.co_cellvars, *code.co_freevars, *code.co_names}
    return any(table in own or table in frame.f_globals for table in tables)
