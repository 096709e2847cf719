"""Quantiles of durations from counts in buckets: no value is kept, and each is told within 7 %."""

from __future__ import annotations

from math import frexp, ldexp

_PARTS = 8
"""Buckets between a power of two and the next."""


class Durations:
    """How many durations fell in each bucket."""

    __slots__ = ("_counts", "_number")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._number = 0

    def __bool__(self) -> bool:
        """Whether anything was counted."""
        return self._number > 0

    def add(self, nanoseconds: int) -> None:
        """Count one duration."""
        mantissa, exponent = frexp(nanoseconds)
        bucket = exponent * _PARTS + int((mantissa - 0.5) * 2 * _PARTS)
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
        self._number += 1

    def merge(self, other: Durations) -> None:
        """Count all that `other` has counted."""
        for bucket, number in other._counts.items():
            self._counts[bucket] = self._counts.get(bucket, 0) + number
        self._number += other._number

    def quantile(self, share: float) -> float:
        """Return the middle of the bucket that this share of all durations reaches, in nanoseconds; 0 without any."""
        wanted, seen = share * self._number, 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= wanted:
                exponent, part = divmod(bucket, _PARTS)
                return ldexp(0.5 + (part + 0.5) / (2 * _PARTS), exponent)
        return 0.0
