"""The functions that stand in DuckDB's place: the only Python frames between the user's code and DuckDB.

DuckDB resolves `select * from my_df` in the innermost Python frame, which is now ours:

* DuckDB 2 skips frames whose module is named `duckdb` or `duckdb.*`, so the functions get globals of that name. Its
  warnings name the first frame outside `duckdb._relation`, so it is this name.
* DuckDB 1 skips none. Where it misses a table, the call is made again inside the caller's names
  (`replacement_scans.py`).

The names here start with `_otel_` and the globals are empty, so that no query can mean them. The functions are plain
closures: a wrapping library costs four times as much on this path.
"""

from __future__ import annotations

import builtins
import functools
import sys
from types import FunctionType
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_GLOBALS = {"__name__": "duckdb._relation", "__builtins__": builtins}
_CALL = compile("_otel_original(*_otel_arguments, **_otel_keywords)", "<otel_duckdb>", "eval")


class CallHook(Protocol):
    """What is done around one DuckDB call; none of the methods raises. A method's first argument is its object."""

    def begin(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Before the call; None if the call is not to be recorded."""

    def succeed(self, call: Any, result: Any) -> Any:
        """After the call; returns what the user gets, which is `result` or one that cannot be told from it."""

    def fail(self, call: Any, error: BaseException) -> None:
        """After the call raised."""


class Scan(Protocol):
    """Makes a call of DuckDB 1 again, or at once, inside the caller's names."""

    def first(self, arguments: tuple[Any, ...], frame: FrameType) -> bool:
        """Whether the call must not be made outside the caller's names at all."""

    def missed(self, error: BaseException, arguments: tuple[Any, ...]) -> bool:
        """Whether the error says that a table was not found, and the call may be made again."""

    def again(
        self, frame: FrameType, original: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> Any:
        """Make the call inside the names of `frame`."""


def _placed(function: Any, original: Any) -> Any:
    placed = FunctionType(function.__code__, _GLOBALS, function.__name__, function.__defaults__, function.__closure__)
    return functools.update_wrapper(placed, original)


def wrapped(_otel_original: Callable[..., Any], hook: CallHook) -> Any:
    """A function that calls the original with `hook` around it."""
    _otel_begin, _otel_succeed, _otel_fail = hook.begin, hook.succeed, hook.fail

    def call(*_otel_arguments: Any, **_otel_keywords: Any) -> Any:
        _otel_call = _otel_begin(_otel_arguments, _otel_keywords)
        try:
            _otel_result = _otel_original(*_otel_arguments, **_otel_keywords)
        except BaseException as _otel_error:
            # The traceback holds this frame: it must not keep the connection, and with it the lock of its file.
            del _otel_arguments, _otel_keywords
            if _otel_call is not None:
                _otel_fail(_otel_call, _otel_error)
            del _otel_call
            raise
        return _otel_result if _otel_call is None else _otel_succeed(_otel_call, _otel_result)

    return _placed(call, _otel_original)


def _forget(frame: FrameType) -> None:
    """Clear the snapshot of a frame's names that DuckDB 1's look-up leaves on it; Python 3.13 and later make none."""
    if sys.version_info < (3, 13):
        frame.f_locals.clear()


def wrapped_scanning(_otel_original: Callable[..., Any], hook: CallHook, scan: Scan) -> Any:
    """The same for DuckDB 1, where a query may mean variables of the caller."""
    _otel_begin, _otel_succeed, _otel_fail = hook.begin, hook.succeed, hook.fail
    _otel_first, _otel_missed, _otel_again = scan.first, scan.missed, scan.again
    _otel_frame, _otel_forget = sys._getframe, _forget

    def call(*_otel_arguments: Any, **_otel_keywords: Any) -> Any:
        _otel_call = _otel_begin(_otel_arguments, _otel_keywords)
        if not _otel_first(_otel_arguments, _otel_frame(1)):
            try:
                _otel_result = _otel_original(*_otel_arguments, **_otel_keywords)
            except BaseException as _otel_error:
                if not _otel_missed(_otel_error, _otel_arguments):
                    del _otel_arguments, _otel_keywords
                    if _otel_call is not None:
                        _otel_fail(_otel_call, _otel_error)
                    del _otel_call
                    _otel_forget(_otel_frame(0))
                    raise
            else:
                return _otel_result if _otel_call is None else _otel_succeed(_otel_call, _otel_result)
        try:
            _otel_result = _otel_again(_otel_frame(1), _otel_original, _otel_arguments, _otel_keywords)
        except BaseException as _otel_error:
            del _otel_arguments, _otel_keywords
            if _otel_call is not None:
                _otel_fail(_otel_call, _otel_error)
            del _otel_call
            _otel_forget(_otel_frame(0))
            raise
        return _otel_result if _otel_call is None else _otel_succeed(_otel_call, _otel_result)

    return _placed(call, _otel_original)


def wrapped_warning(_otel_original: Callable[..., Any], hook: CallHook) -> Any:
    """The same for a method of DuckDB 1 that warns: the warning has to name the caller's file and line.

    DuckDB warns of the innermost Python frame; the call is made from code that says it stands where the caller stands.
    """
    _otel_there, _otel_frame = call_from, sys._getframe

    def original(*_otel_arguments: Any, **_otel_keywords: Any) -> Any:
        return _otel_there(_otel_frame(2), _otel_original, _otel_arguments, _otel_keywords)

    return functools.update_wrapper(wrapped(_placed(original, _otel_original), hook), _otel_original)


def call_from(
    frame: FrameType, original: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> Any:
    """Make a call from the line, and with the globals, of `frame`."""
    place = frame.f_code
    code = _CALL.replace(co_filename=place.co_filename, co_name=place.co_name, co_firstlineno=frame.f_lineno)
    names = {"_otel_original": original, "_otel_arguments": arguments, "_otel_keywords": keywords}
    try:
        return eval(code, frame.f_globals, names)  # noqa: S307 - the code is the constant above
    finally:
        names.clear()
        del frame, arguments, keywords
