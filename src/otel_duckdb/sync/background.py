"""Work in threads that never keep a program from ending.

The threads of concurrent.futures are waited for at the interpreter's end, however long they take.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextvars import copy_context
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


def in_background(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> Future[T]:
    """Call a function in a daemon thread, in a copy of this context; the future tells its end."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(function(*arguments, **named))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=copy_context().run, args=(run,), name="otel-duckdb-sync", daemon=True).start()
    return future
