"""Marks the code of this package while it runs, so that DuckDB called from inside it is not recorded.

Whatever runs in the middle of it, in the same thread, may use DuckDB: a hook, a log handler, an exporter, a signal
handler, a finalizer. To record such a call would have no end (the log record of a slow query is stored by a query that
is slow), or wait for a lock that this very thread holds, one of ours or one of the SDK's.
"""

from __future__ import annotations

import os
import sys
import threading
from contextvars import ContextVar
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
_NOT, _LOCKING, _CALLING = range(3)
_FILES_LIMIT: Final = 10_000
_files: dict[str, int] = {}
"""Which files are the SDK's; those of notebooks and of generated code have no end."""
_collecting: Final = [0]
_main: Final = [threading.main_thread().ident]
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _main.__setitem__(0, threading.get_ident()))


def _judge(file: str) -> int:
    if len(_files) >= _FILES_LIMIT:
        _files.clear()
    found = _CALLING if file.endswith(_CALLBACKS) else _LOCKING if os.sep + _SDK in file else _NOT
    return _files.setdefault(file, found)


def collecting(thread: int) -> None:
    """Tell the thread in which the garbage collector runs; 0 where it does not."""
    _collecting[0] = thread


def inside_the_sdk() -> bool:
    """Whether this thread was interrupted in the middle of OpenTelemetry's SDK, by a signal or a finalizer.

    The program called the SDK itself, and its locks may be held: to tell it anything would wait for them for ever. The
    callback of an observable instrument is called where none is held that matters. Python runs signal handlers in the
    main thread; others are looked at in a garbage collection only, for the look takes time for each frame.
    """
    thread = threading.get_ident()
    if thread != _main[0] and thread != _collecting[0]:
        return False
    files = _files
    frame: FrameType | None = sys._getframe(2)  # the first two are ours
    while frame is not None:
        file = frame.f_code.co_filename
        found = files.get(file)
        if found is None:
            found = _judge(file)
        if found:
            return found == _LOCKING
        frame = frame.f_back
    return False


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
