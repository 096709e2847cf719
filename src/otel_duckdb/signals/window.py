"""Totals that only grow, seen through a window of time."""

from __future__ import annotations

import time
from collections import deque
from threading import Lock, RLock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW = 10.0
"""Seconds. A window reaches back to the last collection that is at least this old, or to the start.

OpenTelemetry does not tell a gauge which reader collects it. So a reader that collects every ten seconds or slower sees
what happened since its last collection, a faster one the last ten seconds, and several readers do not rob each other.
"""
_SPACING = 0.5

T = TypeVar("T")


class Window(Generic[T]):
    """The totals of earlier collections, as far back as the window reaches."""

    def __init__(self, totals: T, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with the totals of this moment."""
        self._clock = clock
        self._lock = Lock()
        self._past = deque([(clock(), totals)])

    def slide(self, totals: T) -> tuple[float, T]:
        """Return the seconds the window spans and the totals at its beginning; remember these totals for later."""
        with self._lock:
            now = self._clock()
            while len(self._past) > 1 and now - self._past[1][0] >= WINDOW:
                self._past.popleft()
            begun, before = self._past[0]
            if now - self._past[-1][0] >= _SPACING:
                self._past.append((now, totals))
            return now - begun, before


class Average:
    """The average of what was added, over the window."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the window now."""
        self._lock = RLock()  # the garbage collector may end an operation while this thread holds it
        self._sum = 0.0
        self._number = 0
        self._window = Window((0.0, 0), clock)

    def add(self, value: float, number: int = 1) -> None:
        """Add one value, or the sum of a number of them."""
        with self._lock:
            self._sum += value
            self._number += number

    def read(self) -> float | None:
        """Return the average of the values of the window; None if it has none."""
        with self._lock:
            totals = (self._sum, self._number)
        _, before = self._window.slide(totals)
        number = totals[1] - before[1]
        return (totals[0] - before[0]) / number if number else None
