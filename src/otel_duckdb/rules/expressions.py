"""PromQL built from the contract's metrics; no feature newer than Prometheus 2.42."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_duckdb.contract import DATABASE, INSTANCE_ID

if TYPE_CHECKING:
    from otel_duckdb.contract import Metric
    from otel_duckdb.rules.thresholds import Thresholds

PROGRAM: Final = ("job",)
"""The label of a program, whatever process it lives in: the collector's or Prometheus' own."""
PROCESS: Final = (*PROGRAM, "instance", INSTANCE_ID)
"""The labels that tell processes apart: the first two are of the collector or of Prometheus, the third is ours."""
DATABASES: Final = (*PROCESS, DATABASE)
_REMEMBERED: Final = 12
"""How many windows back a series is looked for before it counts as new: an hour for a window of five minutes."""


def grown_by(series: str, seconds: float, limits: Thresholds) -> str:
    """How much a counter's series grew in the window: exactly, with the first value of a series that is new.

    `increase()` extrapolates, so five failures may be 5.6, and it takes no note of a series that begins at 1, as a
    counter with an error's type does. It is left with what was reset. What had ended before the window's end counts, so
    that the lives of a program add up; a series that was away for a moment is not new when it comes back.
    """
    window = limits.duration(seconds)
    remembered = f"{limits.duration(seconds * _REMEMBERED)}:{limits.duration(seconds / 10)}"
    return (
        f"(increase({series}[{window}]) and resets({series}[{window}]) > 0)\n"
        f"or (last_over_time({series}[{window}])"
        f" - ({series} offset {window} or last_over_time({series}[{remembered}] offset {window}))) >= 0\n"
        f"or last_over_time({series}[{window}])"
    )


def rate(metric: Metric, window: str) -> str:
    """A counter's growth per second."""
    return f"rate({metric.prometheus_name}[{window}])"


def summed(expression: str, labels: tuple[str, ...]) -> str:
    """The sum of an expression by labels; one of several lines is indented."""
    if "\n" in expression:
        expression = "\n" + "\n".join(f"  {line}" for line in expression.splitlines()) + "\n"
    return f"sum by ({', '.join(labels)}) ({expression})"


def quantile(share: float, series: str, window: str, labels: tuple[str, ...]) -> str:
    """The share's quantile of a histogram's buckets over the window; NaN, on which nothing fires, where nothing was."""
    return f"histogram_quantile({share:g}, {summed(f'rate({series}[{window}])', ('le', *labels))})"
