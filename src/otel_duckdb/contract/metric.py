"""What is said of a metric."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """The OpenTelemetry instrument a metric is made with."""

    HISTOGRAM = "histogram"
    COUNTER = "counter"
    OBSERVABLE_COUNTER = "observable counter"
    OBSERVABLE_GAUGE = "gauge"
    OBSERVABLE_UP_DOWN_COUNTER = "observable up-down counter"

    @property
    def prometheus_type(self) -> str:
        """The type that Prometheus' exposition gives to such a metric."""
        if self is Kind.HISTOGRAM:
            return "histogram"
        return "counter" if self in (Kind.COUNTER, Kind.OBSERVABLE_COUNTER) else "gauge"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: what it is called, what it counts, and by what it is split.

    `labels` are the attributes that its points carry, every one of them unless it is in `optional` and there is nothing
    to say; `buckets` are a histogram's upper bounds in the metric's unit.
    """

    name: str
    kind: Kind
    unit: str
    description: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] | None = None
    optional: tuple[str, ...] = ()

    @property
    def prometheus_name(self) -> str:
        """The name in Prometheus: the same, with dots as underscores and nothing added."""
        return self.name.replace(".", "_")
