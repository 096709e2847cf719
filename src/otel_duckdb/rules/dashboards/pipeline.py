"""The dashboard of the pipeline: its parts, the collector's queues, and what is dropped on the way."""

from __future__ import annotations

from typing import Final

from otel_duckdb import contract
from otel_duckdb.rules.dashboards.grafana import Dashboard, Panel, Query, Row, interval_variable
from otel_duckdb.rules.dashboards.panels import lines, number
from otel_duckdb.rules.dashboards.promql import WINDOW
from otel_duckdb.rules.thresholds import Thresholds

_LIMITS: Final = Thresholds()
_SIGNALS: Final = {"spans": "spans", "metric_points": "points of metrics", "log_records": "logs"}


def pipeline() -> Dashboard:
    """The dashboard of the pipeline."""
    return Dashboard(
        "otel-duckdb-pipeline",
        "DuckDB / Pipeline",
        "Whether what programs tell arrives: the parts, the collector's queues, and what is dropped.",
        (interval_variable(),),
        (
            Row("Is it healthy?", _health(), height=6),
            Row("Collector", _collector()),
            Row("Programs", _programs()),
        ),
    )


def _rate(name: str, *labels: str) -> str:
    return f"sum by ({', '.join(labels)}) (rate({name}[{WINDOW}]))"


def _health() -> tuple[Panel, ...]:
    return (
        lines(
            "Parts",
            "1 where Prometheus can scrape a part, 0 where it cannot.",
            Query("up", "{{job}} {{instance}}"),
            unit="short",
        ),
        lines(
            "Scrape of the metrics",
            "How long Prometheus takes to read all programs' metrics; above the timeout, everything is blind.",
            Query('scrape_duration_seconds{job="duckdb"}', "duration"),
            unit="s",
            limit=1,
        ),
        number(
            "Series",
            "Series of all programs in the last scrape.",
            Query('scrape_samples_scraped{job="duckdb"}'),
            unit="short",
        ),
        number(
            "Fullest queue",
            "The queue of the collector of which the largest part is filled.",
            Query(
                "topk(1, otelcol_exporter_queue_size / otelcol_exporter_queue_capacity)", "{{exporter}} {{data_type}}"
            ),
            unit="percentunit",
            limit=_LIMITS.queue_ratio,
            named=True,
        ),
    )


def _collector() -> tuple[Panel, ...]:
    lost = [
        Query(
            f"{_rate(f'otelcol_exporter_{kind}_{signal}_total', 'exporter')} > 0", f"{{{{exporter}}}}: {name} {words}"
        )
        for kind, words in (("enqueue_failed", "did not fit"), ("send_failed", "were refused"))
        for signal, name in _SIGNALS.items()
    ]
    refused = [
        Query(_rate(f"otelcol_receiver_refused_{signal}_total", "receiver"), f"{{{{receiver}}}}: {name} refused")
        for signal, name in _SIGNALS.items()
    ]
    return (
        lines(
            "Queues",
            "Part of each queue of the collector that is filled. The dashed line is the alert's.",
            Query("otelcol_exporter_queue_size / otelcol_exporter_queue_capacity", "{{exporter}} {{data_type}}"),
            unit="percentunit",
            limit=_LIMITS.queue_ratio,
        ),
        lines(
            "Sent",
            "What each exporter delivers per second.",
            *(
                Query(_rate(f"otelcol_exporter_sent_{signal}_total", "exporter"), f"{{{{exporter}}}}: {name}")
                for signal, name in _SIGNALS.items()
            ),
            unit="ops",
        ),
        lines(
            "Dropped and refused",
            "What did not fit into a queue, was refused for good, or was refused by the collector for want of memory;"
            " and points of"
            " senders with too many series. Nothing is well.",
            *refused,
            *lost,
            Query(
                _rate("otelcol_processor_sender_limit_dropped_points_total", "sender") + " > 0",
                "{{sender}}: too many series",
            ),
            unit="ops",
        ),
        lines(
            "Accepted",
            "What arrives from programs per second.",
            *(
                Query(_rate(f"otelcol_receiver_accepted_{signal}_total", "transport"), f"{{{{transport}}}}: {name}")
                for signal, name in _SIGNALS.items()
            ),
            unit="ops",
        ),
        lines(
            "Series that count",
            "Series of all programs, as the collector counts them towards OTELCOL_MAX_SERIES.",
            Query("sum(otelcol_processor_sender_limit_series)", "series"),
            unit="short",
        ),
        lines(
            "Memory of the collector",
            "Its resident memory; above the limit of its memory_limiter it refuses data.",
            Query("otelcol_process_memory_rss_bytes", "{{instance}}"),
            unit="bytes",
        ),
    )


def _programs() -> tuple[Panel, ...]:
    dropped = [
        Query(f'sum by (job) (rate({name}{{error_type!=""}}[{WINDOW}])) > 0', f"{{{{job}}}}: {words}")
        for name, words in (
            ("otel_sdk_processor_span_processed", "spans, the queue was full"),
            ("otel_sdk_processor_log_processed", "logs, the queue was full"),
            ("otel_sdk_exporter_span_exported", "spans, not taken"),
            ("otel_sdk_exporter_log_exported", "logs, not taken"),
            ("otel_sdk_exporter_metric_data_point_exported", "metrics, not taken"),
        )
    ]
    return (
        lines(
            "Dropped in programs",
            "What programs could not send, with OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED=true. Nothing is well.",
            Query(f"sum by (job) (rate(otel_sdk_exporter_span_exported[{WINDOW}]))", "{{job}}: spans sent"),
            *dropped,
            unit="ops",
            width=24,
        ),
        lines(
            "Actions of the monitors",
            "What the monitors inside the programs did about alerts, by action and outcome.",
            Query(
                f"sum by (job, action, outcome) (increase({contract.MONITOR_ACTIONS.prometheus_name}[{WINDOW}])) > 0",
                "{{job}}: {{action}}, {{outcome}}",
            ),
            unit="short",
            width=24,
        ),
    )
