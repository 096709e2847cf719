"""Whether a statement takes longer than it used to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_LEARNT: Final = 50
"""Executions from which a statement's own past is known."""
_FORGOTTEN_NS: Final = 3600e9
"""Nanoseconds in which what is taken for the past follows what is: an alert must last longer than it takes to fire."""
_MOST: Final = 0.05
"""How much one execution moves the past at most, however long the one before it is ago."""
_MOST_NS: Final = _MOST * _FORGOTTEN_NS
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

    def add(self, executions: Iterable[tuple[float, int]]) -> None:
        """Take note of executions that did not fail: how many nanoseconds each took, and when it began."""
        calls, seen, alone, past, now = self._calls, self._seen_ns, self._alone, self._past_ns, self._present_ns
        for duration, unix_ns in executions:
            if calls >= _LEARNT:
                passed = unix_ns - seen
                weight = 0.0 if passed <= 0 else passed / _FORGOTTEN_NS if passed < _MOST_NS else _MOST
            else:
                weight = 1 / (calls + 1)  # all alike, while it is young
            seen = unix_ns
            most = _OUTLIER * past
            far = calls > 0 and duration > most
            present = most if far and alone else duration
            alone = not far
            past += weight * (present - past)
            now += (_QUICK if calls else 1.0) * (present - now)
            calls += 1
        self._calls, self._seen_ns, self._alone, self._past_ns, self._present_ns = calls, seen, alone, past, now

    @property
    def times_slower(self) -> float:
        """How many times as long as in its past it takes now; 1 where there is too little past to tell."""
        if self._calls < _LEARNT or self._present_ns - self._past_ns < _NOTICED_NS:
            return 1.0
        return self._present_ns / max(self._past_ns, 1.0)
