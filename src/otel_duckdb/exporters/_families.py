"""What the SDK collected, as Prometheus metric families whose names carry nothing the instruments' names do not."""

from __future__ import annotations

import json
import logging
import re
from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.metrics.export import (
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    Sum,
)
from prometheus_client.core import InfoMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.samples import Exemplar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from opentelemetry.sdk.metrics._internal.exemplar import Exemplar as SdkExemplar

_logger: Final = logging.getLogger(__name__)
_NOT_IN_METRIC_NAME: Final = re.compile(r"[^a-zA-Z0-9_:]")
_NOT_IN_LABEL_NAME: Final = re.compile(r"[^a-zA-Z0-9_]")

Labels = dict[str, str]
_Series = tuple[str, frozenset[tuple[str, str]]]


class FamilyBuilder:
    """Makes families of each collection, and remembers what must outlive one: exemplars, and warnings given."""

    def __init__(self) -> None:
        self._exemplars: dict[_Series, Exemplar] = {}
        self._warned: set[str] = set()

    def build(self, data: MetricsData) -> list[Family]:
        """Turn one collection into families, `target_info` first.

        The SDK forgets its exemplars at each collection, so the last one of each bucket is kept here: a second
        scraper finds it again.
        """
        families: dict[str, Family] = {}
        kept, self._exemplars = self._exemplars, {}
        for resource_metrics in data.resource_metrics:
            families.setdefault("target_info", _target_info(resource_metrics.resource.attributes))
            for scope_metrics in resource_metrics.scope_metrics:
                for metric in scope_metrics.metrics:
                    self._add(families, metric, kept)
        return [_without_duplicates(family, self._warn) for family in families.values()]

    def _add(self, families: dict[str, Family], metric: Metric, kept: Mapping[_Series, Exemplar]) -> None:
        name = metric_name(metric.name)
        kind = _type(name, metric)
        if kind is None:
            self._warn(name, f"has data of the type {type(metric.data).__name__}, which this endpoint does not show")
            return
        base = name.removesuffix("_total") if kind == "counter" else name
        family = families.setdefault(name, Family(base, metric.description or "", kind))
        if family.type != kind:
            self._warn(name, f"is a {family.type} and a {kind} at once; only the first is shown")
            return
        for point in metric.data.data_points:
            if isinstance(point, HistogramDataPoint):
                self._add_histogram(family, point, kept)
            elif isinstance(point, NumberDataPoint):
                family.add_sample(name, labels(point.attributes), point.value)

    def _add_histogram(self, family: Family, point: HistogramDataPoint, kept: Mapping[_Series, Exemplar]) -> None:
        own = labels(point.attributes)
        fresh = _exemplars_by_bucket(point)
        total = 0
        for index, (bound, count) in enumerate(zip(_bounds(point), point.bucket_counts, strict=True)):
            total += count
            bucket = {**own, "le": bound}
            series = (family.name, frozenset(bucket.items()))
            exemplar = fresh.get(index) or kept.get(series)
            if exemplar:
                self._exemplars[series] = exemplar
            family.add_sample(f"{family.name}_bucket", bucket, total, exemplar=exemplar)
        family.add_sample(f"{family.name}_count", own, point.count)
        family.add_sample(f"{family.name}_sum", own, point.sum)

    def _warn(self, name: str, fault: str) -> None:
        if name not in self._warned:
            self._warned.add(name)
            _logger.warning("Prometheus endpoint: the metric %s %s", name, fault)


def metric_name(name: str) -> str:
    """The instrument's name with underscores for what Prometheus does not allow, and nothing added."""
    name = _NOT_IN_METRIC_NAME.sub("_", name)
    return f"_{name}" if name[:1].isdigit() else name


def labels(attributes: Mapping[str, Any] | None) -> Labels:
    """The attributes as labels; values whose names become one are joined by a semicolon, as OpenTelemetry says."""
    result: Labels = {}
    for key in sorted(attributes or {}):
        name, value = _label_name(key), _text((attributes or {})[key])
        result[name] = f"{result[name]};{value}" if name in result else value
    return result


def _label_name(key: str) -> str:
    name = _NOT_IN_LABEL_NAME.sub("_", key)
    return f"key_{name}" if name[:1].isdigit() else name


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, default=str) if isinstance(value, (bool, list, tuple, dict)) else str(value)


def _type(name: str, metric: Metric) -> str | None:
    data = metric.data
    if isinstance(data, Histogram):
        return "histogram"
    if isinstance(data, Gauge) or (isinstance(data, Sum) and not data.is_monotonic):
        return "gauge"
    if isinstance(data, Sum):
        # OpenMetrics has no counter without the suffix; `unknown` is how it says so.
        return "counter" if name.endswith("_total") else "unknown"
    return None


def _bounds(point: HistogramDataPoint) -> Iterator[str]:
    """The upper bounds as the collector writes them: `5`, not `5.0`."""
    for bound in point.explicit_bounds:
        yield str(int(bound)) if float(bound).is_integer() else repr(float(bound))
    yield "+Inf"


def _exemplars_by_bucket(point: HistogramDataPoint) -> dict[int, Exemplar]:
    by_time: Iterable[SdkExemplar] = sorted(point.exemplars, key=lambda exemplar: exemplar.time_unix_nano)
    return {
        bisect_left(point.explicit_bounds, exemplar.value): Exemplar(
            {"trace_id": f"{exemplar.trace_id:032x}", "span_id": f"{exemplar.span_id or 0:016x}"},
            exemplar.value,
            exemplar.time_unix_nano / 1e9,
        )
        for exemplar in by_time
        if exemplar.trace_id
    }


def _target_info(attributes: Mapping[str, Any]) -> Family:
    return InfoMetricFamily("target", "Attributes of the resource that the metrics are of.", labels(attributes))


def _without_duplicates(family: Family, warn: Callable[[str, str], None]) -> Family:
    """Keep the first of samples that only their scopes tell apart: Prometheus refuses a series given twice."""
    samples = {(sample.name, frozenset(sample.labels.items())): sample for sample in reversed(family.samples)}
    if len(samples) < len(family.samples):
        warn(family.name, "has points of several scopes with the same attributes; only the first is shown")
        family.samples = list(reversed(samples.values()))
    return family
