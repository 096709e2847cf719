"""Histograms of the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram, Meter

    from otel_duckdb.contract import Metric


def create_histogram(meter: Meter, metric: Metric) -> Histogram:
    """Make the instrument of `metric`, with the buckets the contract gives it."""
    return meter.create_histogram(
        metric.name, metric.unit, metric.description, explicit_bucket_boundaries_advisory=metric.buckets
    )


def create_wanted_histogram(meter: Meter, metric: Metric) -> Histogram | None:
    """Make the instrument of `metric`, or return None where the SDK has Views for it and each of them drops it.

    To such an instrument a measurement is nothing, and costs as much as to others.
    """
    made = create_histogram(meter, metric)
    try:
        return None if _is_dropped(made) else made
    except Exception:  # an SDK that keeps its Views elsewhere
        return made


def _is_dropped(instrument: Any) -> bool:
    # A provider's Views are as it was made with; OpenTelemetry's interface does not tell them.
    consumer = getattr(instrument, "_measurement_consumer", None)
    views = getattr(getattr(consumer, "_sdk_config", None), "views", ())
    matching = [view for view in views if view._match(instrument)]
    return bool(matching) and all(type(view._aggregation).__name__ == "DropAggregation" for view in matching)
