"""One look at every gauge of the process, taken at the source."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from otel_duckdb.monitor.times import elapsed_seconds
from otel_duckdb.telemetry.gauges import observe_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from otel_duckdb.contract import Metric


class Series(NamedTuple):
    """One series: a metric's name as the contract has it, and its labels, sorted by their names."""

    metric: str
    labels: tuple[tuple[str, str], ...]

    def label(self, name: str) -> str:
        """The value of a label, an empty string where the series has none."""
        return dict(self.labels).get(name, "")


@dataclass(frozen=True, slots=True)
class Sample:
    """What all gauges said at one moment.

    Attributes:
        unix_seconds: When, in seconds since 1970.
        monotonic: The same moment by a clock that nobody sets; for rates, as the other may jump.
        values: The value of each series, in the metric's unit.
    """

    unix_seconds: float
    monotonic: float
    values: Mapping[Series, float]

    def of(self, metric: Metric) -> Iterator[tuple[Series, float]]:
        """The series of one metric."""
        return ((series, value) for series, value in self.values.items() if series.metric == metric.name)

    def total(self, metric: Metric, **labels: str) -> float | None:
        """The sum over the series of a metric that have these labels; None where there is none."""
        found = [
            value
            for series, value in self.of(metric)
            if all(series.label(name) == label for name, label in labels.items())
        ]
        return sum(found) if found else None

    def fullest(self, used: Metric, limit: Metric) -> tuple[float, float] | None:
        """What is used, and its limit, of the database that is nearest to its own; None where no limit is known.

        Limits are never added up: a database at its limit does not have what another has left.
        """
        limits = {series.labels: value for series, value in self.of(limit) if value}
        known = [(value, limits[series.labels]) for series, value in self.of(used) if series.labels in limits]
        return max(known, key=lambda each: each[0] / each[1], default=None)


def take_sample(further: Mapping[Series, float] | None = None) -> Sample:
    """Ask every gauge of the process for its present points; `further` are those that the monitor knows itself."""
    unix_seconds, monotonic = time.time(), elapsed_seconds()
    values: dict[Series, float] = dict(further or {})
    for metric, point in observe_all():
        labels = tuple(sorted((name, str(value)) for name, value in (point.attributes or {}).items()))
        values[Series(metric.name, labels)] = point.value
    return Sample(unix_seconds, monotonic, values)
