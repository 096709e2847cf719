"""Monitors in a forked child: each starts anew there, for its threads are the parent's."""

from __future__ import annotations

import os
import weakref
from contextlib import suppress
from typing import Final, Protocol


class Forkable(Protocol):
    """What starts anew in a forked child."""

    def restart_in_child(self) -> None:
        """Start anew where it ran."""


_known: Final[weakref.WeakSet[Forkable]] = weakref.WeakSet()


def restart_in_children(one: Forkable) -> None:
    """Let it start anew in each forked child, for as long as it lives."""
    _known.add(one)


def _restart() -> None:
    for one in tuple(_known):
        with suppress(Exception):  # one must not keep another from its start, nor the child from its work
            one.restart_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart)
