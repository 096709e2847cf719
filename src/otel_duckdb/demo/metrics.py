"""Draws metrics as tables: latencies with their averages and quantiles, and what else was counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from otel_duckdb import contract
from otel_duckdb.text import printable

if TYPE_CHECKING:
    from otel_duckdb.demo.telemetry import Histogram, Number

_LATENCIES: Final = tuple(
    metric.name
    for metric in contract.METRICS
    if metric.kind is contract.Kind.HISTOGRAM and metric.name.startswith("duckdb_")
)
_VALUES: Final = tuple(
    metric.name
    for metric in contract.METRICS
    if metric.kind is not contract.Kind.HISTOGRAM
    and metric.name.startswith("duckdb_")
    and not metric.name.endswith("_per_sec")
    and metric is not contract.MEMORY_BY_TAG
)
"""The values worth a row after a short run: rates and memory by tag are for a longer look."""


def draw_latencies(histograms: list[Histogram]) -> Table:
    """Count, average, 95th percentile and maximum of every latency, by table or query type."""
    table = _table("latency", "count", "average", "p95", "max")
    for metric in _LATENCIES:
        name = metric
        for series in sorted((one for one in histograms if one.metric == metric), key=lambda one: -one.total):
            values = (series.average, series.quantile(0.95), series.highest)
            table.add_row(
                name, Text(_labels(series.labels)), f"{series.count:,}", *(f"{value:,.1f}" for value in values)
            )
            name = ""
    return table


def draw_numbers(numbers: list[Number]) -> Table:
    """The last and the highest value of every gauge and counter that was ever above zero."""
    table = _table("gauge or counter", "last", "highest")
    shown = [one for one in numbers if one.metric in _VALUES and one.highest]
    for number in sorted(shown, key=lambda one: (_VALUES.index(one.metric), repr(one.labels))):
        values = (_value(value, number.unit) for value in (number.value, number.highest))
        table.add_row(number.metric, Text(_labels(number.labels)), *values)
    return table


def _table(name: str, *values: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    table.add_column(name, no_wrap=True, style="bold")
    table.add_column("of", no_wrap=True, overflow="crop", max_width=40)
    for value in values:
        table.add_column(value, justify="right", no_wrap=True)
    return table


def _labels(labels: dict[str, Any]) -> str:
    return printable(", ".join(str(value) for label, value in labels.items() if label != contract.INSTANCE_ID))


def _value(value: float, unit: str) -> str:
    if unit == "By":
        return decimal(int(value))
    number = f"{value:,.2f}".rstrip("0").rstrip(".")
    return number if unit.startswith("{") or unit == "1" else f"{number} {unit}"
