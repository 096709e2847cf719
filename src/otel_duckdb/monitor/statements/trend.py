"""Whether a statement takes longer than it used to."""

from __future__ import annotations

from typing import Final

_LEARNT: Final = 50
"""Executions from which a statement's own past is known."""
_FORGOTTEN_NS: Final = 3600e9
"""Nanoseconds in which what is taken for the past follows what is: an alert must last longer than it takes to fire."""
_MOST: Final = 0.05
"""How much one execution moves the past at most, however long the one before it is ago."""
_QUICK: Final = 0.2
"""How much one execution moves what is taken for the present."""
_OUTLIER: Final = 10.0
"""Times the past beyond which an execution that stands alone does not count: one that waited is no trend."""
_NOTICED_NS: Final = 20e6
"""Nanoseconds that a statement must have got slower by, that a user feels."""


class Trend:
    """The past and the present of one statement's duration."""

    __slots__ = ("_alone", "_calls", "_past_ns", "_present_ns", "_seen_ns")

    def __init__(self) -> None:
        self._calls = 0
        self._past_ns = self._present_ns = 0.0
        self._seen_ns = 0
        self._alone = True

    def add(self, duration_ns: float, unix_ns: int) -> None:
        """Take note of one execution that did not fail, and began at that time."""
        calls = self._calls
        self._calls = calls + 1
        passed, self._seen_ns = unix_ns - self._seen_ns, unix_ns
        # All alike, while it is young.
        weight = 1 / (calls + 1) if calls < _LEARNT else min(_MOST, max(0.0, passed / _FORGOTTEN_NS))
        most = _OUTLIER * self._past_ns
        far = calls > 0 and duration_ns > most
        present = most if far and self._alone else duration_ns
        self._alone = not far
        self._past_ns += weight * (present - self._past_ns)
        self._present_ns += (_QUICK if calls else 1.0) * (present - self._present_ns)

    @property
    def times_slower(self) -> float:
        """How many times as long as in its past it takes now; 1 where there is too little past to tell."""
        if self._calls < _LEARNT or self._present_ns - self._past_ns < _NOTICED_NS:
            return 1.0
        return self._present_ns / max(self._past_ns, 1.0)
