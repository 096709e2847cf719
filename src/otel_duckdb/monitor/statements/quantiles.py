"""Quantiles of durations from counts in buckets: no value is kept, and each is told within 7 %."""

from __future__ import annotations

from collections import Counter
from math import frexp, ldexp
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PARTS = 8
"""Buckets between a power of two and the next."""


def in_buckets(durations: Iterable[int]) -> Mapping[int, int]:
    """Return how many of these nanoseconds fall in each bucket."""
    # A mantissa is 0.5 to 1, so its part is counted from `_PARTS` on.
    return Counter([exponent * _PARTS + int(mantissa * 2 * _PARTS) for mantissa, exponent in map(frexp, durations)])


def together(some: Mapping[int, int], others: Mapping[int, int]) -> Mapping[int, int]:
    """Return the counts of both."""
    counts = dict(some)
    for bucket, number in others.items():
        counts[bucket] = counts.get(bucket, 0) + number
    return counts


def quantile(counts: Mapping[int, int], share: float) -> float:
    """Return the middle of the bucket that this share of all durations reaches, in nanoseconds; 0 without any."""
    wanted, seen = share * sum(counts.values()), 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= wanted:
            exponent, part = divmod(bucket - _PARTS, _PARTS)
            return ldexp(0.5 + (part + 0.5) / (2 * _PARTS), exponent)
    return 0.0


def quantile_below(longest: int, counts: Mapping[int, int], share: float) -> float:
    """Return the same where the longest duration is known: it is told itself where the share reaches it."""
    number = sum(counts.values())
    return longest if share * number > number - 1 else min(quantile(counts, share), longest)
