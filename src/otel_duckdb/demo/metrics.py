"""Draws metrics as tables: latencies with their averages and quantiles, and what else was counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.filesize import decimal
from rich.table import Table

if TYPE_CHECKING:
    from otel_duckdb.demo.telemetry import Histogram, Number


def draw_latencies(histograms: list[Histogram]) -> Table:
    """Count, average, 95th percentile and maximum of every latency, by table or query type."""
    table = _table("latency", "of", "count", "average", "p95", "max")
    metric = ""
    for histogram in sorted(histograms, key=lambda one: (one.metric, -one.total)):
        if not histogram.metric.startswith("duckdb_"):
            continue
        values = (histogram.average, histogram.quantile(0.95), histogram.highest)
        shown = (f"{value:,.1f} {histogram.unit}" for value in values)
        repeated = histogram.metric == metric
        metric = histogram.metric
        table.add_row("" if repeated else metric, _labels(histogram.labels), f"{histogram.count:,}", *shown)
    return table


def draw_numbers(numbers: list[Number]) -> Table:
    """The last and the highest value of every gauge and counter that was ever above zero."""
    table = _table("gauge or counter", "of", "last", "highest")
    for number in sorted(numbers, key=lambda one: (one.metric, repr(one.labels))):
        if number.highest:
            shown = (_value(value, number.unit) for value in (number.value, number.highest))
            table.add_row(number.metric, _labels(number.labels), *shown)
    return table


def _table(name: str, labels: str, *values: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    table.add_column(name, no_wrap=True, style="bold")
    table.add_column(labels, no_wrap=True, overflow="ellipsis")
    for value in values:
        table.add_column(value, justify="right", no_wrap=True)
    return table


def _labels(labels: dict[str, Any]) -> str:
    return ", ".join(str(value) for value in labels.values())


def _value(value: float, unit: str) -> str:
    if unit == "By":
        return decimal(int(value))
    number = f"{value:,.2f}".rstrip("0").rstrip(".")
    return number if unit.startswith("{") or unit == "1" else f"{number} {unit}"
