"""How it was lately: the latency of all statements as series of the history, and the time of each in minutes."""

from __future__ import annotations

from array import array
from collections import deque
from functools import reduce
from typing import TYPE_CHECKING, Final

from otel_duckdb import contract
from otel_duckdb.monitor.sample import Series
from otel_duckdb.monitor.statements.quantiles import quantile, together

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_WINDOW_SECONDS: Final = 10.0
QUANTILES: Final = {
    share: Series(contract.QUERY_LATENCY.name, (("quantile", f"{share:g}"),)) for share in (0.5, 0.95, 0.99)
}
"""The series of each quantile, named as a summary of Prometheus would be."""
STEP_SECONDS: Final = 10
STEPS: Final = 30
_STEP_NS: Final = STEP_SECONDS * 1_000_000_000


class Latency:
    """The quantiles of the last 10 s, in milliseconds; a moment without a statement has none."""

    __slots__ = ("_before", "_present")

    def __init__(self) -> None:
        self._before: deque[tuple[float, Mapping[int, int]]] = deque()
        self._present: Mapping[int, int] = {}

    def add(self, durations: Mapping[int, int]) -> None:
        """Count durations of operations, by their buckets."""
        self._present = together(self._present, durations)

    def tick(self, monotonic: float) -> Mapping[Series, float]:
        """Return the value of each series at this moment."""
        before = self._before
        if self._present:
            before.append((monotonic, self._present))
            self._present = {}
        while before and before[0][0] <= monotonic - _WINDOW_SECONDS:
            before.popleft()
        if not before:
            return {}
        counts = reduce(together, (each for _, each in before))
        return {series: quantile(counts, share) / 1e6 for share, series in QUANTILES.items()}


class Lately:
    """The time that one statement took in each of the last 30 steps of 10 s."""

    __slots__ = ("_latest", "_milliseconds")

    def __init__(self) -> None:
        self._milliseconds = array("f", [0.0] * STEPS)
        self._latest = 0

    def add(self, durations: Sequence[int], began: Sequence[int]) -> None:
        """Add what executions took that began at these moments, both in nanoseconds, the latter since 1970.

        What began before the latest step counts for that one, for it ended there.
        """
        first, last = min(began) // _STEP_NS, max(began) // _STEP_NS
        if first == last:
            self._add(first, sum(durations))
            return
        for duration, moment in zip(durations, began, strict=True):
            self._add(moment // _STEP_NS, duration)

    def _add(self, step: int, nanoseconds: int) -> None:
        self._advance(step)
        self._milliseconds[self._latest % STEPS] += nanoseconds / 1e6

    def milliseconds(self, unix_seconds: float) -> list[float]:
        """Return the time of each step, the present one last."""
        self._advance(int(unix_seconds // STEP_SECONDS))
        return [self._milliseconds[step % STEPS] for step in range(self._latest - STEPS + 1, self._latest + 1)]

    def _advance(self, step: int) -> None:
        for passed in range(max(self._latest, step - STEPS) + 1, step + 1):
            self._milliseconds[passed % STEPS] = 0.0
        self._latest = max(step, self._latest)
