"""What the SDK collected, as Prometheus' text or OpenMetrics, whose names carry nothing the instruments' do not.

A scrape takes the interpreter from the program's own threads, so what does not change between two of them, the names
and labels before each value, is written once and kept.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.metrics.export import Gauge, Histogram, HistogramDataPoint, NumberDataPoint, Sum

from otel_duckdb.telemetry.prometheus_names import braces, escaped, labels, metric_name, number
from otel_duckdb.text import encodable, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.metrics.export import Metric, MetricsData
    from opentelemetry.sdk.resources import Resource

_logger: Final = logging.getLogger(__name__)
_KEPT_SERIES: Final = 50_000
"""Points whose written names and labels are kept; past that, they are written anew."""


class Exposition:
    """Writes collections, and remembers what outlives them: exemplars, warnings given, names and labels written."""

    def __init__(self) -> None:
        self._heads: dict[tuple[object, ...], tuple[str, ...]] = {}
        self._exemplars: dict[str, str] = {}
        self._warned: set[str] = set()

    def keep_exemplars(self, data: MetricsData) -> None:
        """Take the exemplars of a collection: the SDK forgets them with it, a later scraper shall see them too."""
        for _, metric in _metrics(data):
            if not isinstance(metric.data, Histogram):
                continue
            for point in metric.data.data_points:
                if isinstance(point, HistogramDataPoint) and point.exemplars:
                    try:
                        self._keep(metric_name(metric.name), point)
                    except Exception as error:
                        self._warn(metric.name, f"has an exemplar that cannot be shown ({type(error).__name__})")

    def write(self, data: MetricsData, *, openmetrics: bool) -> str:
        """The collection as text, `target_info` first."""
        families: dict[str, Family] = {}
        for name, metric in _metrics(data):
            self._add(families, name, metric, openmetrics)
        resource = _target_info(data.resource_metrics[0].resource, openmetrics) if data.resource_metrics else []
        lines = resource + [line for family in families.values() for line in family.head + family.lines]
        if openmetrics:
            lines.append("# EOF")
        return "\n".join(lines) + "\n" if lines else ""

    def _add(self, families: dict[str, Family], name: str, metric: Metric, openmetrics: bool) -> None:
        kind = _type(name, metric, openmetrics)
        if kind is None:
            self._warn(name, f"has data of the type {type(metric.data).__name__}, which this endpoint does not show")
            return
        family = families.setdefault(name, Family(name, kind, metric.description or "", openmetrics))
        if family.kind != kind:
            self._warn(name, f"is a {family.kind} and a {kind} at once; only the first is shown")
            return
        for point in metric.data.data_points:
            if not isinstance(point, (NumberDataPoint, HistogramDataPoint)):
                continue  # `_type` has excluded the data with other points
            try:
                self._add_point(family, name, point, openmetrics)
            except Exception as error:  # what one series holds is no reason to show none
                self._warn(name, f"has a series that cannot be shown ({type(error).__name__})")

    def _add_point(
        self, family: Family, name: str, point: NumberDataPoint | HistogramDataPoint, openmetrics: bool
    ) -> None:
        heads = self._series(name, point)
        if heads[-1] in family.seen:
            self._warn(name, "has points of several scopes with the same attributes; only the first is shown")
            return
        if isinstance(point, HistogramDataPoint):
            lines = list(self._histogram(heads, point, openmetrics))
        else:
            lines = [heads[0] + number(point.value)]
        family.seen.add(heads[-1])
        family.lines += lines

    def _histogram(self, heads: tuple[str, ...], point: HistogramDataPoint, openmetrics: bool) -> Iterator[str]:
        total = 0
        for head, count in zip(heads, point.bucket_counts, strict=False):
            total += count
            yield f"{head}{total}.0{self._exemplars.get(head, '') if openmetrics else ''}"
        yield f"{heads[-2]}{point.count}.0"
        yield heads[-1] + number(point.sum)

    def _series(self, name: str, point: NumberDataPoint | HistogramDataPoint) -> tuple[str, ...]:
        """What stands before the values of a point: one for a number; buckets, count and sum for a histogram."""
        bounds = tuple(point.explicit_bounds) if isinstance(point, HistogramDataPoint) else None
        key = (name, bounds, *(point.attributes or {}).items())
        heads = self._heads.get(key)
        if heads is None:
            if len(self._heads) >= _KEPT_SERIES:
                self._heads.clear()
            own = labels(point.attributes)
            heads = (f"{name}{braces(own)} ",) if bounds is None else _histogram_heads(name, own, bounds)
            self._heads[key] = heads
        return heads

    def _keep(self, name: str, point: HistogramDataPoint) -> None:
        heads = self._series(name, point)
        for exemplar in sorted(point.exemplars, key=lambda exemplar: exemplar.time_unix_nano):
            if exemplar.trace_id:
                where = heads[bisect_left(point.explicit_bounds, exemplar.value)]
                context = f'{{span_id="{exemplar.span_id or 0:016x}",trace_id="{exemplar.trace_id:032x}"}}'
                moment = f"{exemplar.time_unix_nano / 1e9:.3f}"
                self._exemplars[where] = f" # {context} {number(exemplar.value)} {moment}"

    def _warn(self, name: str, fault: str) -> None:
        if name not in self._warned:
            self._warned.add(name)
            _logger.warning("Prometheus endpoint: the metric %s %s", printable(name), fault)


class Family:
    """The lines of one name: what it is, and its series."""

    def __init__(self, name: str, kind: str, description: str, openmetrics: bool) -> None:
        self.kind = kind
        self.lines: list[str] = []
        self.seen: set[str] = set()
        base = name.removesuffix("_total") if openmetrics and kind == "counter" else name
        about = encodable(description)
        about = escaped(about) if openmetrics else about.replace("\\", r"\\").replace("\n", r"\n")
        self.head = [f"# HELP {base} {about}", f"# TYPE {base} {kind}"]


def _metrics(data: MetricsData) -> Iterator[tuple[str, Metric]]:
    for resource_metrics in data.resource_metrics:
        for scope_metrics in resource_metrics.scope_metrics:
            for metric in scope_metrics.metrics:
                yield metric_name(metric.name), metric


def _type(name: str, metric: Metric, openmetrics: bool) -> str | None:
    data = metric.data
    if isinstance(data, Histogram):
        return "histogram"
    if isinstance(data, Gauge) or (isinstance(data, Sum) and not data.is_monotonic):
        return "gauge"
    if isinstance(data, Sum) and name.endswith("_total"):
        return "counter"
    if isinstance(data, Sum):
        # OpenMetrics has no counter without the suffix. In the text, readers built on prometheus_client add it.
        return "unknown" if openmetrics else "untyped"
    return None


def _histogram_heads(name: str, own: dict[str, str], bounds: tuple[float, ...]) -> tuple[str, ...]:
    # Bounds as the collector writes them: `5`, not `5.0`.
    written = [str(int(bound)) if float(bound).is_integer() else repr(float(bound)) for bound in bounds]
    buckets = (f"{name}_bucket{braces({**own, 'le': bound})} " for bound in (*written, "+Inf"))
    return (*buckets, f"{name}_count{braces(own)} ", f"{name}_sum{braces(own)} ")


def _target_info(resource: Resource, openmetrics: bool) -> list[str]:
    name, kind = ("target", "info") if openmetrics else ("target_info", "gauge")
    return [
        f"# HELP {name} Attributes of the resource that the metrics are of.",
        f"# TYPE {name} {kind}",
        f"target_info{braces(labels(resource.attributes))} 1.0",
    ]
