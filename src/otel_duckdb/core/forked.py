"""A forked child has this process' memory, but none of its other threads: who is to know of it is told."""

from __future__ import annotations

import os
import weakref
from contextlib import suppress
from typing import Final, Protocol


class Forkable(Protocol):
    """What wants to know of a fork."""

    def forked(self) -> None:
        """In the child: what was under way is the parent's."""


_known: Final[weakref.WeakSet[Forkable]] = weakref.WeakSet()


def tell_of_forks(one: Forkable) -> None:
    """Call `one.forked()` in each forked child, for as long as it lives."""
    _known.add(one)


def hold_for_ever(thing: object) -> None:
    """Let what is the parent's never go: a connection, and with it its database.

    DuckDB dies where the last connection of a database goes in a forked child, and be it at the end of the process: it
    waits for its threads, which are the parent's, and whose places others may have taken by now.
    """
    with suppress(ImportError):  # a Python without ctypes
        import ctypes  # noqa: PLC0415 - only a forked child needs it

        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _tell() -> None:
    for one in tuple(_known):
        with suppress(Exception):  # one must not keep another from its start, nor the child from its work
            one.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_tell)
