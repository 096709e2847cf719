"""What happened lately, told from the clock alone: no reading changes what the next reader sees."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from otel_duckdb.telemetry.locks import make_reentrant_lock

if TYPE_CHECKING:
    from collections.abc import Callable

SLICE_SECONDS: Final = 5.0
SLICES: Final = 12
WINDOW_SECONDS: Final = SLICE_SECONDS * SLICES
"""A window reaches back one minute, and at most one slice more; or to its start, where that is later.

One minute is how often OpenTelemetry's reader collects unless told otherwise, so that it misses nothing.
"""

T = TypeVar("T")


class Window(Generic[T]):
    """What was counted in the last minute, in slices of five seconds.

    The garbage collector may end an operation at any moment, so a slice may be asked for in the middle of any of these
    methods; they need no lock, for each changes the slices in one step.
    """

    def __init__(self, make: Callable[[], T], clock: Callable[[], float] = time.monotonic) -> None:
        """Start now; `make` makes an empty slice, and `clock` tells seconds."""
        self._make = make
        self._clock = clock
        self._begun = clock()
        self._slices: dict[int, T] = {}
        self._until = self._begun
        self._current = make()

    def current(self) -> T:
        """Return the slice of this moment, to be added to."""
        now = self._clock()
        if now >= self._until:
            self._turn(int(now // SLICE_SECONDS))
        return self._current

    def _turn(self, number: int) -> None:
        self._current = self._slices.setdefault(number, self._make())
        self._until = (number + 1) * SLICE_SECONDS
        for old in list(self._slices):
            if old < number - SLICES:
                self._slices.pop(old, None)

    def covered(self) -> tuple[float, list[T]]:
        """Return the seconds the window spans at this moment, and its slices."""
        now = self._clock()
        first = int(now // SLICE_SECONDS) - SLICES
        seconds = now - max(self._begun, first * SLICE_SECONDS)
        return seconds, [part for number, part in self._slices.copy().items() if number >= first]


class _Sum:
    """Values added up, and how many they are."""

    __slots__ = ("number", "total")

    def __init__(self) -> None:
        self.total = 0.0
        self.number = 0


class Average:
    """The average of what was added in the last minute, the same for every reader."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the window now."""
        self._lock = make_reentrant_lock()  # the garbage collector may end an operation while this thread holds it
        self._window = Window(_Sum, clock)

    def add(self, value: float, number: int = 1) -> None:
        """Add one value, or the sum of a number of them."""
        with self._lock:
            part = self._window.current()
            part.total += value
            part.number += number

    def read(self) -> float | None:
        """Return the average of the values of the window; None if it has none."""
        with self._lock:
            _, parts = self._window.covered()
            number = sum(part.number for part in parts)
            return sum(part.total for part in parts) / number if number else None
