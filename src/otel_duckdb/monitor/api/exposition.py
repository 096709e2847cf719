"""The newest sample in Prometheus' text, each metric under its own name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_duckdb.contract import Kind
from otel_duckdb.monitor.history.history import METRICS
from otel_duckdb.telemetry.prometheus_names import braces, labels, metric_name, number

if TYPE_CHECKING:
    from otel_duckdb.monitor.sample import Sample

_COUNTERS: Final = (Kind.COUNTER, Kind.OBSERVABLE_COUNTER)


def exposition(sample: Sample | None) -> bytes:
    """Write a sample; nothing where none was taken yet."""
    families: dict[str, list[str]] = {}
    for series, value in () if sample is None else sample.values.items():
        name = metric_name(series.metric)
        if series.metric not in families:
            metric = METRICS.get(series.metric)
            counts = metric is not None and metric.kind in _COUNTERS
            # A counter's name that does not end in _total is none to readers built on prometheus_client.
            kind = ("counter" if name.endswith("_total") else "untyped") if counts else "gauge"
            about = "" if metric is None else metric.description.replace("\\", r"\\").replace("\n", r"\n")
            families[series.metric] = [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
        families[series.metric].append(f"{name}{braces(labels(dict(series.labels)))} {number(value)}")
    lines = [line for family in families.values() for line in family]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")
