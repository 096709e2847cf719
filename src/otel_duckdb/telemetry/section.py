"""Marks the code of this package while it runs, so that DuckDB called from inside it is not recorded.

Whatever runs in the middle of it, in the same thread, may use DuckDB: a hook, a log handler, an exporter, a signal
handler, a finalizer. To record such a call would have no end (the log record of a slow query is stored by a query that
is slow), or wait for a lock that this very thread holds, one of ours or one of the SDK's.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

INSIDE: Final[ContextVar[bool]] = ContextVar("otel_duckdb_inside", default=False)
"""Whether code of this package runs. Greenlets and tasks have one each, and a signal handler that of its thread."""


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
