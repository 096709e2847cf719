"""Counters whose points carry no exemplars.

OpenMetrics allows an exemplar on a counter only if its name ends in `_total`, and the contract's names do not: scraping
OpenMetrics text, Prometheus would refuse the whole page for one counter that was counted inside a sampled span.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.context import Context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.metrics import Meter
    from opentelemetry.util.types import AttributeValue

    from otel_duckdb.contract import Metric

_NO_SPAN: Final = Context({"otel_duckdb": "counting"})
"""Holds something, for an empty context would be replaced by the current one."""


class Counter:
    """A counter of the contract."""

    __slots__ = ("_counter",)

    def __init__(self, meter: Meter, metric: Metric) -> None:
        """Make the instrument of `metric`."""
        self._counter = meter.create_counter(metric.name, metric.unit, metric.description)

    def add(self, amount: float, attributes: Mapping[str, AttributeValue]) -> None:
        """Count `amount` more, outside any span."""
        self._counter.add(amount, attributes, _NO_SPAN)
