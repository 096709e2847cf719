"""The syncs that run in this process, for whoever asks one to go on at once: the monitor, which knows no sync."""

from __future__ import annotations

import weakref
from typing import Final, NamedTuple, Protocol


class TablePass(NamedTuple):
    """What one pass of one table did."""

    table: str
    rows: int
    error: str | None


class RunningSync(Protocol):
    """A sync that copies tables of a database at an interval."""

    @property
    def path(self) -> str | None:
        """The real path of the database, None in memory."""

    def pending_rows(self) -> int:
        """The rows that wait to be sent."""

    def sync_now(self, timeout: float) -> list[TablePass]:
        """Let every table begin a pass at once, and return what these passes did within so many seconds."""


_running: Final[weakref.WeakSet[RunningSync]] = weakref.WeakSet()


def runs(sync: RunningSync) -> None:
    """Take note of a sync that runs, for as long as it lives."""
    _running.add(sync)


def rests(sync: RunningSync) -> None:
    """It runs no more."""
    _running.discard(sync)


def running_syncs(path: str | None) -> list[RunningSync]:
    """The syncs that run on the database at this path, or in memory."""
    return [sync for sync in tuple(_running) if sync.path == path]
