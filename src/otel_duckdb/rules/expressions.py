"""PromQL built from the contract's metrics; no feature newer than Prometheus 2.42."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_duckdb.contract import DATABASE, INSTANCE_ID

if TYPE_CHECKING:
    from otel_duckdb.contract import Metric

PROCESS: Final = ("job", "instance", INSTANCE_ID)
"""The labels that tell processes apart: the first two are of the collector or of Prometheus, the third is ours."""
DATABASES: Final = (*PROCESS, DATABASE)


def grown_by(metric: Metric, window: str) -> str:
    """How much a counter's series grew in the window: exactly, and with the first value of a series that is new.

    `increase()` extrapolates, so five failures may be 5.6, and it takes no note of a series that begins at 1, as a
    counter with an error's type does. It is left with what was reset, or has ended.
    """
    name = metric.prometheus_name
    return (
        f"({name} unless {name} offset {window})\n"
        f"or ({name} - {name} offset {window} and resets({name}[{window}]) == 0)\n"
        f"or increase({name}[{window}])"
    )


def rate(metric: Metric, window: str) -> str:
    """A counter's growth per second."""
    return f"rate({metric.prometheus_name}[{window}])"


def summed(expression: str, labels: tuple[str, ...]) -> str:
    """The sum of an expression by labels; one of several lines is indented."""
    if "\n" in expression:
        expression = "\n" + "\n".join(f"  {line}" for line in expression.splitlines()) + "\n"
    return f"sum by ({', '.join(labels)}) ({expression})"


def quantile(share: float, metric: Metric, window: str, labels: tuple[str, ...]) -> str:
    """The share's quantile of a histogram over the window; NaN, on which nothing fires, where nothing happened."""
    buckets = summed(f"rate({metric.prometheus_name}_bucket[{window}])", ("le", *labels))
    return f"histogram_quantile({share:g}, {buckets})"
