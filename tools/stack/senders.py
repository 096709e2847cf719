"""Senders of OTLP that are made up: as many programs and series as a test wants, without running the programs."""

from __future__ import annotations

import urllib.error
import urllib.request
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric, ResourceMetrics

from otel_duckdb import contract

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_CUMULATIVE: Final = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE


class Sender:
    """A program, as the collector knows one: a resource whose metrics and spans are posted."""

    def __init__(self, endpoint: str, service: str, instance: str = "1") -> None:
        """Name it; `endpoint` is where it posts to."""
        self._endpoint = endpoint
        self._resource = (_attribute("service.name", service), _attribute("service.instance.id", instance))

    def metrics(self, made: Iterable[Metric]) -> int:
        """Post metrics; return the status of the answer."""
        request = ExportMetricsServiceRequest()
        resource: ResourceMetrics = request.resource_metrics.add()
        resource.resource.attributes.extend(self._resource)
        resource.scope_metrics.add().metrics.extend(made)
        return self._post("/v1/metrics", request.SerializeToString())

    def spans(self, count: int, *, now: int, name: str = "SELECT", attributes: Mapping[str, str] | None = None) -> int:
        """Post spans of traces of their own, with the same attributes; return the status of the answer."""
        request = ExportTraceServiceRequest()
        resource = request.resource_spans.add()
        resource.resource.attributes.extend(self._resource)
        scope = resource.scope_spans.add()
        for number in range(count):
            identity = (now + number).to_bytes(16, "big")
            scope.spans.add(
                trace_id=identity,
                span_id=identity[8:],
                name=name,
                start_time_unix_nano=now,
                end_time_unix_nano=now + 1_000_000,
                attributes=_attributes(attributes or {}),
            )
        return self._post("/v1/traces", request.SerializeToString())

    def _post(self, path: str, body: bytes) -> int:
        request = urllib.request.Request(
            self._endpoint + path, body, {"Content-Type": "application/x-protobuf"}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:  # the collector may hang up on a body that is too large before it was sent
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def gauge(name: str, labels: Iterable[Mapping[str, str]], value: float, now: int) -> Metric:
    """A gauge with a point for each set of labels."""
    metric = Metric(name=name)
    for each in labels:
        metric.gauge.data_points.add(attributes=_attributes(each), as_double=value, time_unix_nano=now)
    return metric


def counter(name: str, labels: Iterable[Mapping[str, str]], value: int, now: int) -> Metric:
    """A counter with a point for each set of labels."""
    metric = Metric(name=name)
    metric.sum.aggregation_temporality = _CUMULATIVE
    metric.sum.is_monotonic = True
    for each in labels:
        metric.sum.data_points.add(attributes=_attributes(each), as_int=value, time_unix_nano=now)
    return metric


def histogram(one: contract.Metric, labels: Iterable[Mapping[str, str]], count: int, now: int) -> Metric:
    """A histogram of the contract with a point for each set of labels, all values in the first bucket."""
    metric = Metric(name=one.name)
    metric.histogram.aggregation_temporality = _CUMULATIVE
    bounds = one.buckets or ()
    for each in labels:
        metric.histogram.data_points.add(
            attributes=_attributes(each),
            explicit_bounds=bounds,
            bucket_counts=[count, *(0 for _ in bounds)],
            count=count,
            sum=float(count),
            time_unix_nano=now,
        )
    return metric


def program(tables: int, count: int, now: int) -> list[Metric]:
    """What a program with so many tables reports: each is read and written."""
    by_table = [{contract.TABLE_NAME: f"table_{number}"} for number in range(tables)]
    by_type = [{contract.QUERY_TYPE: kind} for kind in ("SELECT", "INSERT", "UPDATE", "CREATE", "COMMIT")]
    here = [{contract.INSTANCE_ID: "1", contract.DATABASE: "app"}]
    tags = [{**here[0], contract.MEMORY_TAG: f"TAG_{number}"} for number in range(15)]
    engine = [one for one in contract.METRICS if one.kind is contract.Kind.OBSERVABLE_GAUGE and one.labels == _ENGINE]
    return [
        histogram(contract.QUERY_LATENCY, by_type, count, now),
        histogram(contract.SELECT_LATENCY, by_table, count, now),
        histogram(contract.INSERT_LATENCY, by_table, count, now),
        histogram(contract.OPERATION_DURATION, [{contract.DB_SYSTEM_NAME: contract.SYSTEM}], count, now),
        histogram(contract.RETURNED_ROWS, [{contract.DB_SYSTEM_NAME: contract.SYSTEM}], count, now),
        gauge(contract.SELECT_PER_SECOND.name, by_table, 1.0, now),
        gauge(contract.INSERT_PER_SECOND.name, by_table, 1.0, now),
        gauge(contract.QUERIES_PER_SECOND.name, by_type, 1.0, now),
        gauge(contract.MEMORY_BY_TAG.name, tags, 1.0, now),
        *(gauge(one.name, here, 1.0, now) for one in engine),
        counter(contract.TRANSACTION_SUCCESS.name, here, count, now),
        counter(contract.TRANSACTION_FAILURE.name, here, 0, now),
        counter(contract.FAILED_CONNECTIONS.name, [{contract.ERROR_TYPE_LABEL: "IOException"}], 0, now),
    ]


_ENGINE: Final = (contract.INSTANCE_ID, contract.DATABASE)


def _attribute(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def _attributes(labels: Mapping[str, str]) -> list[KeyValue]:
    return [_attribute(key, value) for key, value in labels.items()]
