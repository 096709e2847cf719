"""Histograms of the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram, Meter

    from otel_duckdb.contract import Metric


def create_histogram(meter: Meter, metric: Metric) -> Histogram:
    """Make the instrument of `metric`, with the buckets the contract gives it."""
    return meter.create_histogram(
        metric.name, metric.unit, metric.description, explicit_bucket_boundaries_advisory=metric.buckets
    )
