"""The history of all series, bounded in their number."""

from __future__ import annotations

import time
from math import ceil, inf
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb import contract
from otel_duckdb.contract import Kind, Metric
from otel_duckdb.monitor.history.tier import RESOLUTIONS, Point, Resolution, Tier
from otel_duckdb.monitor.part import Part
from otel_duckdb.monitor.times import elapsed_seconds
from otel_duckdb.telemetry.locks import make_reentrant_lock

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from otel_duckdb.monitor.sample import Sample, Series

_GONE_SECONDS: Final = 120.0
"""How long a series must not have been sampled before a new one may take its place, where there is no other."""
_DETAILS: Final = (contract.TABLE_NAME, contract.MEMORY_TAG)
"""Labels of what there may be any number of, and is added up elsewhere."""
_JUMP_SECONDS: Final = 2.0
"""What the clock must have been set by, so that it is no matter of when a sample was taken."""
_MOST_STEPS: Final = 5_000
_MOST_POINTS: Final = 250_000
"""Points of one answer, of all its series together: they become JSON in the program's own process."""
METRICS: Final[Mapping[str, Metric]] = {
    value.name: value for value in vars(contract).values() if isinstance(value, Metric)
}
_COUNTERS: Final = (Kind.COUNTER, Kind.OBSERVABLE_COUNTER)


class _Series:
    """One series in all resolutions; a counter's is kept as what it grew by in a second."""

    def __init__(self, resolutions: Iterable[Resolution], *, counts: bool) -> None:
        self.tiers = [Tier(resolution) for resolution in resolutions]
        self.counts = counts
        self.seen = 0.0
        self._before: tuple[float, float] | None = None

    def add(self, sample: Sample, axis: float, value: float) -> None:
        self.seen = sample.monotonic
        if self.counts:
            before, self._before = self._before, (sample.monotonic, value)
            if before is None or value < before[1] or sample.monotonic <= before[0]:
                return
            value = (value - before[1]) / (sample.monotonic - before[0])
        for tier in self.tiers:
            tier.add(axis, value)


class History(Part):
    """Keeps each sample, and answers for any range of the last day.

    It is kept on an axis of its own, which goes on evenly whatever is done to the clock: where that is set, what was
    kept before moves with it, and nothing is lost.

    At most `limit` series are kept. A further one takes the place of the one that has not been sampled for the longest
    time, at least two minutes; or else of one that tells of a single table, or of one use of memory, where it is none
    such itself: there may be thousands of tables, and the charts begin with what tells of them all. Or it is left out.

    Attributes:
        left_out: Series of the last sample that are not kept.
        dropped: Series that gave their place to others.
        resolutions: How fine and how far back it is kept.
    """

    component = "history"

    def __init__(self, limit: int = 200, resolutions: Collection[Resolution] = RESOLUTIONS) -> None:
        self.left_out = self.dropped = 0
        self.resolutions = tuple(resolutions)
        self._limit = limit
        self._lock = make_reentrant_lock()
        self._series: dict[Series, _Series] = {}
        self._began: float | None = None
        self._shift = 0.0
        self._none_gone_before = 0.0

    def sampled(self, sample: Sample) -> None:
        """Keep the values of the sample."""
        with self._lock:
            axis = self._axis(sample)
            left_out = 0
            for series, value in sample.values.items():
                kept = self._series.get(series)
                if kept is None:
                    kept = self._begin(series, sample.monotonic)
                if kept is None:
                    left_out += 1
                else:
                    kept.add(sample, axis, value)
            self.left_out = left_out

    @property
    def count(self) -> int:
        """How many series are kept."""
        return len(self._series)

    def restore(self, unix_seconds: float, points: Mapping[Series, Point]) -> None:
        """Put back one minute that was kept elsewhere."""
        with self._lock:
            for series, point in points.items():
                kept = self._series.get(series) or self._begin(series, elapsed_seconds())
                if kept is not None:
                    kept.tiers[-1].restore(unix_seconds - self._shift, point)

    def minute(self, unix_seconds: float) -> dict[Series, Point]:
        """The points of the coarsest resolution at that time."""
        with self._lock:
            step = int((unix_seconds - self._shift) // self.resolutions[-1].seconds)
            found = ((series, kept.tiers[-1].at(step)) for series, kept in self._series.items())
            return {series: point for series, point in found if point is not None}

    def as_json(
        self,
        names: Collection[str] = (),
        start: float | None = None,
        end: float | None = None,
        step: float | None = None,
    ) -> dict[str, Any]:
        """Return the series of these metrics, of all if none is named, as JSON has them; a gap is None.

        `start` and `end` are seconds since 1970, of the last hour if not given. `step` is in seconds; where it is not
        given it is such that there are at most 500 steps.

        Raises:
            ValueError: the range or the step makes no sense.
        """
        end = time.time() if end is None else end
        start = end - 3600 if start is None else start
        if not 0 < end - start <= 366 * 86_400:
            raise ValueError(f"the range from {start:.0f} to {end:.0f} is none, or more than a year")
        resolution, wanted = self._fitting(start, end, step)
        with self._lock:
            shift = self._shift
            steps = range(int((start - shift) // wanted), int((end - shift) // wanted) + 1)
            if len(steps) > _MOST_STEPS:
                raise ValueError(f"step is {wanted} s, which makes {len(steps)} steps; at most {_MOST_STEPS} are told")
            shown = [series for series in self._series if not names or series.metric in names]
            if len(shown) * len(steps) > _MOST_POINTS:
                raise ValueError(
                    f"{len(shown)} series of {len(steps)} steps are more than {_MOST_POINTS} points; name some metrics,"
                    " or give a longer step"
                )
            return {
                "times": [number * wanted + shift for number in steps],
                "step": wanted,
                "left_out": self.left_out,
                "series": [self._told(series, resolution, wanted, steps) for series in shown],
            }

    def _told(self, series: Series, resolution: int, wanted: int, steps: range) -> dict[str, Any]:
        kept = self._series[series]
        tier, fine = kept.tiers[resolution], wanted // self.resolutions[resolution].seconds
        points = [_joined(map(tier.at, tier.known(number * fine, (number + 1) * fine))) for number in steps]
        metric = METRICS.get(series.metric)
        unit = "" if metric is None else metric.unit
        return {
            "metric": series.metric,
            "labels": dict(series.labels),
            "unit": f"{unit}/s" if kept.counts else unit,
            "min": [None if point is None else point.low for point in points],
            "mean": [None if point is None else point.mean for point in points],
            "max": [None if point is None else point.high for point in points],
        }

    def _fitting(self, start: float, end: float, step: float | None) -> tuple[int, int]:
        """The resolution that reaches back to `start`, as coarse as the step allows, and the step in its multiples."""
        wanted = (end - start) / 500 if step is None else step
        if not 0 < wanted < inf:
            raise ValueError(f"step is {wanted}; allowed are seconds above 0")
        chosen, now = len(self.resolutions) - 1, time.time()
        for number, resolution in enumerate(self.resolutions):
            reaches = resolution.seconds * resolution.length >= now - start
            coarser = number + 1 < len(self.resolutions) and self.resolutions[number + 1].seconds <= wanted
            if reaches and not coarser:
                chosen = number
                break
        seconds = self.resolutions[chosen].seconds
        return chosen, max(1, ceil(wanted / seconds)) * seconds

    def _begin(self, series: Series, now: float) -> _Series | None:
        if len(self._series) >= self._limit:
            gone = self._replaceable(series, now)
            if gone is None:
                return None
            del self._series[gone]
            self.dropped += 1
        metric = METRICS.get(series.metric)
        counts = metric is not None and metric.kind in _COUNTERS
        kept = self._series[series] = _Series(self.resolutions, counts=counts)
        return kept

    def _replaceable(self, series: Series, now: float) -> Series | None:
        """The series that gives its place to this one; None where none does."""
        if now >= self._none_gone_before:  # not for each series that is left out, at each sample
            gone = min(self._series, key=lambda each: self._series[each].seen)
            self._none_gone_before = self._series[gone].seen + _GONE_SECONDS
            if now >= self._none_gone_before:
                return gone
        if _is_detail(series):
            return None
        return next((each for each in reversed(self._series) if _is_detail(each)), None)

    def _axis(self, sample: Sample) -> float:
        """Where on the axis the sample lies, and how far the clock is from it since it was set."""
        if self._began is None:
            self._began = sample.unix_seconds - sample.monotonic
        axis = self._began + sample.monotonic
        set_by = sample.unix_seconds - axis - self._shift
        if abs(set_by) > _JUMP_SECONDS:
            self._shift += round(set_by)
        return axis


def _is_detail(series: Series) -> bool:
    return any(name in _DETAILS for name, _ in series.labels)


def _joined(points: Iterator[Point | None]) -> Point | None:
    known = [point for point in points if point is not None]
    if len(known) < 2:  # noqa: PLR2004 - one point is itself
        return known[0] if known else None
    mean = sum(point.mean for point in known) / len(known)
    return Point(min(point.low for point in known), mean, max(point.high for point in known))
