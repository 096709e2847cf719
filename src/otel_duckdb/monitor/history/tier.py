"""One resolution of one series: a ring of the least, the mean and the most of each step of time."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from math import isfinite, nan
from typing import Final, NamedTuple


class Point(NamedTuple):
    """One step of a series; all three are the same where there was one sample."""

    low: float
    mean: float
    high: float


@dataclass(frozen=True, slots=True)
class Resolution:
    """How fine a tier is, and how far back it reaches."""

    seconds: int
    length: int


RESOLUTIONS: Final = (Resolution(1, 3600), Resolution(10, 2160), Resolution(60, 1440))
"""An hour by the second, six hours by ten seconds, a day by the minute."""


class Tier:
    """The ring of one resolution. Steps are numbered by the seconds since 1970; those without a sample are gaps."""

    __slots__ = ("_head", "_high", "_low", "_mean", "_number", "_resolution", "_sum")

    def __init__(self, resolution: Resolution) -> None:
        """Begin with gaps only; the finest tier keeps one value a step, as there is one sample in it."""
        self._resolution = resolution
        gaps = array("f", [nan]) * resolution.length
        self._mean = gaps
        self._low, self._high = (gaps[:], gaps[:]) if resolution.seconds > 1 else (gaps, gaps)
        self._head = -1
        self._sum, self._number = 0.0, 0

    def add(self, unix_seconds: float, value: float) -> None:
        """Add one value; of a time before the newest step it is left out."""
        step = int(unix_seconds // self._resolution.seconds)
        if step < self._head:
            return
        place = step % self._resolution.length
        if step > self._head:
            self._skip(step)
            self._head, self._sum, self._number = step, 0.0, 0
            self._low[place] = self._high[place] = value
        self._sum += value
        self._number += 1
        self._low[place] = min(self._low[place], value)
        self._high[place] = max(self._high[place], value)
        self._mean[place] = self._sum / self._number

    def restore(self, unix_seconds: float, point: Point) -> None:
        """Put back a whole step that was kept elsewhere; steps come in the order of their time."""
        step = int(unix_seconds // self._resolution.seconds)
        if step <= self._head:
            return
        self._skip(step)
        self._head, self._sum, self._number = step, point.mean, 1
        place = step % self._resolution.length
        self._low[place], self._mean[place], self._high[place] = point

    def at(self, step: int) -> Point | None:
        """The step of that number; None for a gap, and for what is too old."""
        if not self._head - self._resolution.length < step <= self._head:
            return None
        place = step % self._resolution.length
        mean = self._mean[place]
        return None if not isfinite(mean) else Point(self._low[place], mean, self._high[place])

    def known(self, first: int, last: int) -> range:
        """The steps from `first` to before `last` that are not too old, nor after the newest."""
        return range(max(first, self._head - self._resolution.length + 1), min(last, self._head + 1))

    def _skip(self, step: int) -> None:
        """Make gaps of the steps between the newest and this one."""
        for gap in range(max(self._head + 1, step - self._resolution.length), step):
            self._forget(gap)

    def _forget(self, step: int) -> None:
        place = step % self._resolution.length
        self._low[place] = self._mean[place] = self._high[place] = nan
