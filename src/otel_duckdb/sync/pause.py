"""The pause of one table between two passes, which others may cut short, and wait for the pass that follows."""

from __future__ import annotations

import threading
from time import monotonic


class Pause:
    """Counts the passes of one table; from any thread."""

    def __init__(self, stopping: threading.Event) -> None:
        """Whoever sets `stopping` calls `end` too."""
        self._stopping = stopping
        self._changed = threading.Condition()
        self._begun = self._ended = 0
        self._hurried = False

    def begin(self) -> None:
        """A pass begins."""
        with self._changed:
            self._begun += 1
            self._hurried = False

    def rest(self, seconds: float) -> None:
        """The pass is over; wait so long, unless somebody hurries, or it is time to stop."""
        until = monotonic() + seconds
        with self._changed:
            self._ended = self._begun
            self._changed.notify_all()
            while not self._hurried and not self._stopping.is_set() and (left := until - monotonic()) > 0:
                self._changed.wait(left)

    def hurry(self) -> int:
        """Let the next pass begin at once, also where one is under way; return the number it will have."""
        with self._changed:
            self._hurried = True
            self._changed.notify_all()
            return self._begun + 1

    def reached(self, number: int, seconds: float) -> bool:
        """Wait until the pass of that number is over; whether it is, within so many seconds."""
        until = monotonic() + seconds
        with self._changed:
            while self._ended < number and not self._stopping.is_set() and (left := until - monotonic()) > 0:
                self._changed.wait(left)
            return self._ended >= number

    def end(self) -> None:
        """It is time to stop: nobody waits any more."""
        with self._changed:
            self._changed.notify_all()
