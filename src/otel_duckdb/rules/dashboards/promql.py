"""PromQL for panels: the contract's metrics, filtered by a dashboard's variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from otel_duckdb.contract import Metric

WINDOW: Final = "$__rate_interval"
JOB: Final = "job"
INSTANCE: Final = "instance"
_EVERYWHERE: Final = (JOB, INSTANCE)


@dataclass(frozen=True, slots=True)
class Filtered:
    """The metrics as a dashboard with these variables sees them."""

    variables: tuple[str, ...]

    def series(self, metric: Metric, suffix: str = "", *matchers: str) -> str:
        """The metric's series that the variables choose; a label that the metric has not is not asked for."""
        chosen = [name for name in self.variables if name in _EVERYWHERE or name in metric.labels]
        braces = ", ".join([f'{name}=~"${name}"' for name in chosen] + list(matchers))
        return f"{metric.prometheus_name}{suffix}{{{braces}}}"

    def total(self, metric: Metric, *labels: str) -> str:
        """The sum of a gauge by labels."""
        return _sum(self.series(metric), labels)

    def rate(self, metric: Metric, *labels: str, suffix: str = "", matchers: tuple[str, ...] = ()) -> str:
        """The growth per second of a counter by labels."""
        return _sum(f"rate({self.series(metric, suffix, *matchers)}[{WINDOW}])", labels)

    def worst(self, expression: str) -> str:
        """The largest of an expression's series, with its labels: it names whose it is."""
        return f"topk(1, {expression})"

    def grown(self, metric: Metric, *labels: str, window: str = WINDOW) -> str:
        """The growth of a counter with the first value of a series that begins, which `increase()` does not see."""
        series = self.series(metric)
        return _sum(f"(increase({series}[{window}]) > 0 or ({series} unless {series} offset {window}))", labels)

    def increase(self, metric: Metric, *labels: str, suffix: str = "", window: str = WINDOW) -> str:
        """The growth of a counter between two points of the panel, by labels."""
        return _sum(f"increase({self.series(metric, suffix)}[{window}])", labels)

    def quantile(self, share: float, metric: Metric, *labels: str, window: str = WINDOW) -> str:
        """The share's quantile of a histogram by labels."""
        buckets = _sum(f"rate({self.series(metric, '_bucket')}[{window}])", ("le", *labels))
        return f"histogram_quantile({share:g}, {buckets})"

    def mean(self, metric: Metric, *labels: str, window: str = WINDOW) -> str:
        """The mean of a histogram's values by labels.

        The largest bucket is the count; with the others beside it, the exemplars of all are found.
        """
        total = _sum(f"rate({self.series(metric, '_sum')}[{window}])", labels)
        buckets = _sum(f"rate({self.series(metric, '_bucket')}[{window}])", ("le", *labels))
        return f"{total} / max by ({', '.join(labels)}) ({buckets})"

    def ratio(self, part: Metric, whole: Metric) -> str:
        """One gauge divided by another of the same labels."""
        return f"{self.series(part)} / {self.series(whole)}"


def _sum(expression: str, labels: tuple[str, ...]) -> str:
    return f"sum by ({', '.join(labels)}) ({expression})" if labels else f"sum({expression})"
