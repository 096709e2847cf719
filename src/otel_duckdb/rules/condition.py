"""What an alert asks, for whoever can judge it inside the process: the same metrics and thresholds as its PromQL."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from otel_duckdb.contract import Metric

CALM: Final = 0.75
"""Where a share of something limited begins to deserve a warning; its alert's threshold is critical."""
USUAL: Final = 0.9
"""The usual threshold; with another one the warning moves along."""
ALARM: Final = 0.97
"""Where it is an emergency."""


class Measure(Enum):
    """How a value comes of the metrics."""

    VALUE = "the gauge itself"
    SHARE = "the gauge, without the series that are left out, divided by another"
    GROWTH = "how much the counter grew within the window"
    GROWTH_SHARE = "that, divided by the growth of this counter and another together"
    GROWN = "the least value within the window, where it grew in it"
    ERRORS = "how many operations ended in the error that is named, within the window"


@dataclass(frozen=True, slots=True)
class Condition:
    """When an alert fires, by its series.

    Attributes:
        measure: How the value comes of the metrics.
        metric: The metric that is measured.
        above: The threshold; the alert fires above it, not at it.
        lasting: For how many seconds it must have been above.
        other: The metric that `SHARE` and `GROWTH_SHARE` divide by.
        window: The seconds that growth is measured in.
        by: The labels that tell series apart; what differs by others is added up.
        without: A label, and the values of it that are left out.
        error: The class of error that `ERRORS` counts.
        unit: What the value is: `share`, `s`, `bytes`, or empty for a count.
    """

    measure: Measure
    metric: Metric
    above: float
    lasting: float = 0
    other: Metric | None = None
    window: float = 0
    by: tuple[str, ...] = ()
    without: tuple[str, tuple[str, ...]] | None = None
    error: str = ""
    unit: str = ""

    @property
    def levels(self) -> tuple[float, float, float] | None:
        """Thresholds of warning, critical and emergency, where a share of something limited is measured."""
        if self.measure is not Measure.SHARE:
            return None
        return (min(CALM, self.above * CALM / USUAL), self.above, max(ALARM, self.above))
