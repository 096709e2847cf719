"""Frees the locks of OpenTelemetry's metrics in a forked child, where the threads that held them are not.

The SDK holds locks while it collects, and so while our gauges ask DuckDB, and while it sends. A process that forks then
had a child that waited for them for ever, with its first instrument or its first measurement, and sent no metric
(https://github.com/open-telemetry/opentelemetry-python/issues/4345).
"""

from __future__ import annotations

import os
import sys
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.metrics import _internal as metrics_api

from otel_duckdb.telemetry.locks import make_lock, make_reentrant_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_LOCKS: Final = (type(make_lock()), type(make_reentrant_lock()))
_OPENTELEMETRY: Final = "opentelemetry."
_METRICS: Final = os.path.join("", "opentelemetry", "sdk", "metrics", "")  # noqa: PTH118 - a part of a path

_providers: Final[weakref.WeakSet[Any]] = weakref.WeakSet()


def free_in_forked_children(provider: object | None) -> None:
    """Have the locks of a meter provider free in forked children; those of the global one are in any case."""
    if provider is not None:
        with suppress(TypeError):  # one that cannot be referred to weakly
            _providers.add(provider)


def _locks(*roots: object) -> Iterator[Any]:
    """The locks in what OpenTelemetry's own objects hold, and these in turn."""
    seen: set[int] = set()
    waiting = list(roots)
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, _LOCKS):
            yield one
        elif isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, (list, tuple)):
            waiting += one
        elif type(one).__module__.startswith(_OPENTELEMETRY):
            waiting += getattr(one, "__dict__", {}).values()


def _in_the_middle() -> bool:
    """Whether this very thread is in the SDK's metrics: a callback or an exporter forked, and returns to it."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and _METRICS not in frame.f_code.co_filename:
        frame = frame.f_back
    return frame is not None


def _free() -> None:
    if _in_the_middle():  # it will let go of what it holds
        return
    with suppress(Exception):  # nothing of this may keep a child from its work
        for lock in _locks(metrics_api._METER_PROVIDER, metrics_api._PROXY_METER_PROVIDER, *_providers):
            lock._at_fork_reinit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free)
