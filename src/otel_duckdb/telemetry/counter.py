"""Counters whose points carry no exemplars.

OpenMetrics allows an exemplar on a counter only if its name ends in `_total`, and the contract's names do not: scraping
OpenMetrics text, Prometheus would refuse the whole page for one counter that was counted inside a sampled span.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.context import Context

from otel_duckdb.telemetry.locks import make_reentrant_lock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.metrics import Meter
    from opentelemetry.util.types import AttributeValue

    from otel_duckdb.contract import Metric

Series = tuple[str, tuple[tuple[str, str], ...]]
"""A metric's name, and its labels, sorted by their names."""

NO_SPAN: Final = Context({"otel_duckdb": "counting"})
"""Holds something, for an empty context would be replaced by the current one."""
_SERIES_LIMIT: Final = 5_000
"""Series whose totals are kept for who follows; what the labels' own limits let through is far less."""


class Counter:
    """A counter of the contract."""

    __slots__ = ("_counter", "_name")

    def __init__(self, meter: Meter, metric: Metric) -> None:
        """Make the instrument of `metric`."""
        self._name = metric.name
        self._counter = meter.create_counter(metric.name, metric.unit, metric.description)

    def add(self, amount: float, attributes: Mapping[str, AttributeValue]) -> None:
        """Count `amount` more, outside any span."""
        self._counter.add(amount, attributes, NO_SPAN)
        if _followed:
            _count(self._name, amount, attributes)


_lock: Final = make_reentrant_lock()
_followed: list[object] = []
_totals: dict[Series, float] = {}


def follow_counters(follower: object) -> None:
    """Add up what is counted from now on, for as long as there is a follower; without one counting costs nothing more.

    An SDK keeps totals for its readers alone, and the monitor works without an SDK.
    """
    with _lock:
        _followed.append(follower)


def unfollow_counters(follower: object) -> None:
    """End what `follow_counters` began for this follower."""
    with _lock:
        _followed[:] = [each for each in _followed if each is not follower]
        if not _followed:
            _totals.clear()


def counted() -> dict[Series, float]:
    """What was counted since the first of those who follow began, by series."""
    with _lock:
        return _totals.copy()


def _count(name: str, amount: float, attributes: Mapping[str, AttributeValue]) -> None:
    series = name, tuple(sorted((label, str(value)) for label, value in attributes.items()))
    with _lock:
        if series in _totals or len(_totals) < _SERIES_LIMIT:
            _totals[series] = _totals.get(series, 0.0) + amount
