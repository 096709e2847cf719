"""How it was lately: the latency of all statements as series of the history, and the time of each in minutes."""

from __future__ import annotations

from array import array
from collections import deque
from typing import TYPE_CHECKING, Final

from otel_duckdb import contract
from otel_duckdb.monitor.sample import Series
from otel_duckdb.monitor.statements.quantiles import Durations

if TYPE_CHECKING:
    from collections.abc import Mapping

_WINDOW_SECONDS: Final = 10.0
QUANTILES: Final = {
    share: Series(contract.QUERY_LATENCY.name, (("quantile", f"{share:g}"),)) for share in (0.5, 0.95, 0.99)
}
"""The series of each quantile, named as a summary of Prometheus would be."""
STEP_SECONDS: Final = 10
STEPS: Final = 30


class Latency:
    """The quantiles of the last 10 s, in milliseconds; a moment without a statement has none."""

    __slots__ = ("_before", "_present")

    def __init__(self) -> None:
        self._before: deque[tuple[float, Durations]] = deque()
        self._present = Durations()

    def add(self, nanoseconds: int) -> None:
        """Count the duration of one operation."""
        self._present.add(nanoseconds)

    def tick(self, monotonic: float) -> Mapping[Series, float]:
        """Return the value of each series at this moment."""
        before = self._before
        if self._present:
            before.append((monotonic, self._present))
            self._present = Durations()
        while before and before[0][0] <= monotonic - _WINDOW_SECONDS:
            before.popleft()
        if not before:
            return {}
        together = Durations()
        for _, each in before:
            together.merge(each)
        return {series: together.quantile(share) / 1e6 for share, series in QUANTILES.items()}


class Lately:
    """The time that one statement took in each of the last 30 steps of 10 s."""

    __slots__ = ("_latest", "_milliseconds")

    def __init__(self) -> None:
        self._milliseconds = array("f", [0.0] * STEPS)
        self._latest = 0

    def add(self, unix_seconds: float, nanoseconds: int) -> None:
        """Add what one execution took."""
        self._advance(unix_seconds)
        self._milliseconds[self._latest % STEPS] += nanoseconds / 1e6

    def milliseconds(self, unix_seconds: float) -> list[float]:
        """Return the time of each step, the present one last."""
        self._advance(unix_seconds)
        return [self._milliseconds[step % STEPS] for step in range(self._latest - STEPS + 1, self._latest + 1)]

    def _advance(self, unix_seconds: float) -> None:
        step = int(unix_seconds // STEP_SECONDS)
        for passed in range(max(self._latest, step - STEPS) + 1, step + 1):
            self._milliseconds[passed % STEPS] = 0.0
        self._latest = max(step, self._latest)
