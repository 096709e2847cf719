"""The value of each rule, by series, from samples: what Prometheus computes from scrapes, computed in the process."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from otel_duckdb import contract
from otel_duckdb.monitor.sample import Series
from otel_duckdb.rules import Measure
from otel_duckdb.telemetry.counter import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_duckdb.contract import Metric
    from otel_duckdb.monitor.alerts.rule import Rule
    from otel_duckdb.monitor.sample import Sample
    from otel_duckdb.rules import Condition

Labels = tuple[tuple[str, str], ...]
Values = dict[Labels, float]
_POINTS: Final = 120
"""Points of a window that are kept: what is more is thinned."""


class _Window:
    """The past of one series within a window, in at most `_POINTS` points."""

    __slots__ = ("_points", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._points: deque[tuple[float, float]] = deque()

    def add(self, now: float, value: float) -> None:
        points = self._points
        while len(points) > 1 and points[1][0] <= now - self._seconds:  # one from before the window's begin is kept
            points.popleft()
        if len(points) > 1 and points[-1][0] - points[-2][0] < self._seconds / _POINTS:
            points[-1] = (now, value)
        else:
            points.append((now, value))

    @property
    def growth(self) -> float:
        """How much a counter grew; one that was reset began at 0."""
        values = [value for _, value in self._points]
        return sum(after - before if after >= before else after for before, after in pairwise(values))

    @property
    def least(self) -> float:
        return min(value for _, value in self._points)

    @property
    def change(self) -> float:
        return self._points[-1][1] - self._points[0][1]

    def is_full(self, now: float) -> bool:
        return now - self._points[0][0] >= self._seconds


class Measures:
    """Computes the values of rules from one sample after another."""

    def __init__(self, own: Mapping[str, Callable[[Sample], Values]], errors: Callable[[str], Values]) -> None:
        """`own` measures the rules without a condition, by name; `errors` counts operations by their error's class."""
        self._own = own
        self._errors = errors
        self._windows: dict[tuple[str, str, Labels], _Window] = {}
        self._counted: dict[str, Values] = {}

    def take(self, sample: Sample) -> Sample:
        """Begin a sample: the counters that no gauge observes are added to it."""
        values = dict(sample.values)
        for (name, labels), total in counted().items():
            values.setdefault(Series(name, labels), total)
        return type(sample)(sample.unix_seconds, sample.monotonic, values)

    def of(self, rule: Rule, sample: Sample) -> Values:
        """The value of each series of a rule."""
        condition = rule.condition
        if condition is None:
            measure = self._own.get(rule.name)
            return {} if measure is None else measure(sample)
        if condition.measure is Measure.VALUE:
            return _summed(sample, condition.metric, condition)
        if condition.measure is Measure.SHARE:
            return self._share(condition, sample)
        return self._within(rule.name, condition, sample)

    def _share(self, condition: Condition, sample: Sample) -> Values:
        assert condition.other is not None  # noqa: S101 - a share has one
        wholes = _summed(sample, condition.other, condition)
        parts = _summed(sample, condition.metric, condition)
        return {labels: part / wholes[labels] for labels, part in parts.items() if wholes.get(labels)}

    def _within(self, name: str, condition: Condition, sample: Sample) -> Values:
        if condition.measure is Measure.ERRORS:
            totals = self._errors(condition.error)
        else:
            totals = _summed(sample, condition.metric, condition)
        windows = self._follow(name, condition.metric.name, condition, totals, sample.monotonic)
        if condition.measure is Measure.GROWTH_SHARE:
            assert condition.other is not None  # noqa: S101 - a share has one
            others = _summed(sample, condition.other, condition)
            beside = self._follow(name, condition.other.name, condition, others, sample.monotonic)
            return {
                labels: window.growth / (window.growth + (beside[labels].growth if labels in beside else 0.0))
                for labels, window in windows.items()
                if window.growth
            }
        if condition.measure is Measure.GROWN:
            return {
                labels: window.least if window.is_full(sample.monotonic) and window.change > 0 else 0.0
                for labels, window in windows.items()
            }
        return {labels: window.growth for labels, window in windows.items()}

    def _follow(
        self, rule: str, metric: str, condition: Condition, totals: Values, now: float
    ) -> dict[Labels, _Window]:
        followed = {}
        for labels, total in totals.items():
            key = (rule, metric, labels)
            window = self._windows.get(key)
            if window is None:
                window = self._windows[key] = _Window(condition.window)
                if condition.measure is not Measure.GROWN and self._counted.get(f"{rule}/{metric}") is not None:
                    window.add(now, 0.0)  # a counter that is new began at 0, and its first value is growth
            window.add(now, total)
            followed[labels] = window
        self._counted[f"{rule}/{metric}"] = totals
        for key in [key for key in self._windows if key[:2] == (rule, metric) and key[2] not in totals]:
            del self._windows[key]
        return followed


def _summed(sample: Sample, metric: Metric, condition: Condition) -> Values:
    summed: Values = {}
    for series, value in sample.of(metric):
        if condition.without is not None and metric is condition.metric:
            label, left_out = condition.without
            if series.label(label) in left_out:
                value = 0.0  # noqa: PLW2901 - where all is left out, the share is none, and not unknown
        labels = tuple((name, told) for name in condition.by if (told := series.label(name)))
        summed[labels] = summed.get(labels, 0.0) + value
    return summed


def figures(sample: Sample, cpu_share: float | None) -> dict[str, dict[str, float | None]]:
    """The figures that go with an alert, in the groups of `/api/status`."""
    fullest = sample.fullest(contract.MEMORY_USED, contract.MEMORY_LIMIT)
    return {
        "memory": {
            "duckdb_memory_percent": None if fullest is None else 100 * fullest[0] / fullest[1],
            "duckdb_memory_bytes": sample.total(contract.MEMORY_USED),
            "resident_bytes": sample.total(contract.PROCESS_MEMORY),
        },
        "system": {"cpu_usage_percent": None if cpu_share is None else 100 * cpu_share},
        "queries": {"active_queries": sample.total(contract.ACTIVE_QUERIES)},
    }
