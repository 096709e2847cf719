"""The table of alerts: what is asked, when it is too much, what it means and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_duckdb.rules import engine_alerts, pipeline_alerts, query_alerts, sync_alerts
from otel_duckdb.rules.thresholds import Thresholds

if TYPE_CHECKING:
    from otel_duckdb.rules.alert import Alert
    from otel_duckdb.rules.latency import ProgramLatency


def alerts(thresholds: Thresholds | None = None, latency_of: tuple[ProgramLatency, ...] = ()) -> tuple[Alert, ...]:
    """All alerts, at the user's thresholds; `latency_of` gives programs thresholds of their own."""
    limits = thresholds or Thresholds()
    return (
        query_alerts.latency(limits, latency_of),
        query_alerts.running(limits),
        query_alerts.out_of_memory(limits),
        query_alerts.transactions(limits),
        query_alerts.connections(limits),
        query_alerts.pool(limits),
        engine_alerts.memory(limits),
        engine_alerts.disk(limits),
        engine_alerts.wal(limits),
        sync_alerts.failing(limits),
        sync_alerts.lag(limits),
        sync_alerts.stopped(limits),
        pipeline_alerts.gone(limits),
        pipeline_alerts.absent(limits),
        pipeline_alerts.internal_errors(limits),
        pipeline_alerts.export_dropped(limits),
        pipeline_alerts.collector_down(limits),
        pipeline_alerts.part_down(limits),
        pipeline_alerts.queue(limits),
        pipeline_alerts.stalled(limits),
        pipeline_alerts.dropped(limits),
    )
