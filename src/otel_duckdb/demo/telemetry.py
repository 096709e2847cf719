"""Spans and metric points, read from OTLP's messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import KeyValue
    from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint, Metric
    from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

_FAILED: Final = 2
_KEPT_SPANS: Final = 20_000
_KEPT_SERIES: Final = 10_000
_KEPT_EVENTS: Final = 20
"""Events kept of one span."""


@dataclass(frozen=True)
class Event:
    """What is noted on a span."""

    name: str
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Span:
    """One span; times are nanoseconds since the epoch, `error` is its status' text or None."""

    identity: str
    parent: str
    name: str
    start: int
    end: int
    attributes: dict[str, Any]
    error: str | None
    events: tuple[Event, ...] = ()


@dataclass(frozen=True)
class Histogram:
    """One series of a histogram; a count belongs to the bucket up to its bound, the last one has no bound."""

    metric: str
    labels: dict[str, Any]
    unit: str
    count: int
    total: float
    highest: float
    bounds: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def average(self) -> float:
        """The average of what was recorded."""
        return self.total / self.count if self.count else 0.0

    def quantile(self, share: float) -> float:
        """The value that `share` of the records do not exceed, interpolated within its bucket."""
        wanted, below = self.count * share, 0
        lows, highs = (0.0, *self.bounds), (*self.bounds, self.highest)
        for low, high, count in zip(lows, highs, self.counts, strict=True):
            if count and below + count >= wanted:
                return min(low + (high - low) * (wanted - below) / count, self.highest)
            below += count
        return self.highest


@dataclass
class Number:
    """One series of a gauge or counter: the last value, and the highest there was."""

    metric: str
    labels: dict[str, Any]
    unit: str
    value: float
    highest: float


@dataclass
class Telemetry:
    """What a program sent: its first 20,000 spans, and the latest point of each of its first 10,000 series."""

    spans: list[Span] = field(default_factory=list)
    dropped_spans: int = 0
    histograms: dict[tuple[str, str], Histogram] = field(default_factory=dict)
    numbers: dict[tuple[str, str], Number] = field(default_factory=dict)

    def add_spans(self, request: ExportTraceServiceRequest) -> None:
        """Keep the spans of a request."""
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                room = _KEPT_SPANS - len(self.spans)
                self.spans.extend(_span(message) for message in scope.spans[:room])
                self.dropped_spans += max(len(scope.spans) - room, 0)

    def add_metrics(self, request: ExportMetricsServiceRequest) -> None:
        """Keep the points of a request, in the place of earlier ones of the same series."""
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self._add_metric(metric)

    def _add_metric(self, metric: Metric) -> None:
        for histogram in _histograms(metric):
            key = _key(metric.name, histogram.labels)
            if key in self.histograms or len(self.histograms) < _KEPT_SERIES:
                self.histograms[key] = histogram
        for number in _numbers(metric):
            key = _key(metric.name, number.labels)
            if key not in self.numbers and len(self.numbers) >= _KEPT_SERIES:
                continue
            before = self.numbers.get(key)
            number.highest = max(number.value, before.highest if before else number.value)
            self.numbers[key] = number


def _key(metric: str, labels: dict[str, Any]) -> tuple[str, str]:
    return metric, repr(sorted(labels.items()))


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    found = {}
    for pair in pairs:
        kind = pair.value.WhichOneof("value")
        found[pair.key] = getattr(pair.value, kind) if kind else None
    return found


def _span(message: SpanMessage) -> Span:
    failed = message.status.code == _FAILED
    return Span(
        message.span_id.hex(),
        message.parent_span_id.hex(),
        message.name,
        message.start_time_unix_nano,
        message.end_time_unix_nano,
        _attributes(message.attributes),
        message.status.message if failed else None,
        tuple(Event(event.name, _attributes(event.attributes)) for event in message.events[:_KEPT_EVENTS]),
    )


def _histograms(metric: Metric) -> Iterator[Histogram]:
    for point in metric.histogram.data_points:
        yield _histogram(metric, point)


def _histogram(metric: Metric, point: HistogramDataPoint) -> Histogram:
    return Histogram(
        metric.name,
        _attributes(point.attributes),
        metric.unit,
        point.count,
        point.sum,
        point.max,
        tuple(point.explicit_bounds),
        tuple(point.bucket_counts),
    )


def _numbers(metric: Metric) -> Iterator[Number]:
    for point in (*metric.sum.data_points, *metric.gauge.data_points):
        value = point.as_int if point.WhichOneof("value") == "as_int" else point.as_double
        yield Number(metric.name, _attributes(point.attributes), metric.unit, value, value)
