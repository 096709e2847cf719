"""Marks the code of this package while it runs, so that DuckDB called from inside it is not recorded.

Whatever runs in the middle of it, in the same thread, may use DuckDB: a hook, a log handler, an exporter, a signal
handler, a finalizer. To record such a call would have no end (the log record of a slow query is stored by a query that
is slow), or wait for a lock that this very thread holds, one of ours or one of the SDK's.
"""

from __future__ import annotations

import logging
import os
import sys
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

P = ParamSpec("P")
T = TypeVar("T")

INSIDE: Final[ContextVar[bool]] = ContextVar("otel_duckdb_inside", default=False)
"""Whether code of this package runs. Greenlets and tasks have one each, and a signal handler that of its thread."""

_SDK: Final = os.path.join("", "opentelemetry", "sdk", "")  # noqa: PTH118 - a part of a path
_CALLBACKS: Final = os.path.join(_SDK, "metrics", "_internal", "instrument.py")  # noqa: PTH118 - the same
_LOGGING: Final = logging.Handler.handle.__code__.co_filename
_NOT, _LOCKING, _CALLING = range(3)


def _judge(file: str) -> int:
    if file.endswith(_CALLBACKS):
        return _CALLING
    return _LOCKING if os.sep + _SDK in file or file == _LOGGING else _NOT


_judge_once: Final = lru_cache(10_000)(_judge)  # the files of notebooks and of generated code have no end


def python_inside_the_sdk() -> bool:
    """Whether this thread was interrupted in the middle of OpenTelemetry's SDK, by a signal or a finalizer.

    The program called the SDK itself, and its locks may be held: to tell it anything would wait for them for ever. The
    callback of an observable instrument is called where none is held that matters. A log handler counts as the SDK: its
    lock is held while it works, and what is told of its query may be logged, by a handler that waits for this one.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        found = _judge_once(frame.f_code.co_filename)
        if found:
            return found == _LOCKING
        frame = frame.f_back
    return False


inside_the_sdk: Callable[[], bool] = python_inside_the_sdk
try:
    from otel_duckdb.telemetry import _section
except ImportError:  # nothing was compiled; the look takes five times as long
    pass
else:
    _section.judge_by(_judge)
    inside_the_sdk = _section.inside_the_sdk


def in_section(action: Callable[P, T]) -> Callable[P, T]:
    """The action, marked while it runs."""

    def run(*arguments: P.args, **keywords: P.kwargs) -> T:
        token = INSIDE.set(True)
        try:
            return action(*arguments, **keywords)
        finally:
            INSIDE.reset(token)

    return run


def unless_inside(action: Callable[P, T]) -> Callable[P, T | None]:
    """The action, marked while it runs; inside a marked one nothing is done, and None is returned."""
    run = in_section(action)

    def run_outside(*arguments: P.args, **keywords: P.kwargs) -> T | None:
        return None if INSIDE.get() else run(*arguments, **keywords)

    return run_outside
