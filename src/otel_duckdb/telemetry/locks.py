"""Locks that are free in a forked child, whichever thread held them when the process forked."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

_made: weakref.WeakSet[Any] = weakref.WeakSet()


def make_lock() -> threading.Lock:
    """A lock like `threading.Lock()`, for what no code waits for that the same thread may have interrupted."""
    made = threading.Lock()
    _made.add(made)
    return made


def make_reentrant_lock() -> threading.RLock:
    """A lock like `threading.RLock()`."""
    made = threading.RLock()
    _made.add(made)
    return made


def make_event() -> threading.Event:
    """An event like `threading.Event()`, which a signal handler may set while its thread sets it or waits for it."""
    made = threading.Event()
    made._cond = threading.Condition(threading.RLock())  # type: ignore[attr-defined] # its own is a plain lock
    return made


def _renew() -> None:
    for lock in _made:
        lock._at_fork_reinit()  # what threading itself and logging call for their locks


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
