"""The alerts on the programs being there, and on the way of what they tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_duckdb import contract
from otel_duckdb.rules.alert import FIGURE, MINUTE, SHARE, WHERE, Alert, Culprit, Severity
from otel_duckdb.rules.condition import Condition, Measure
from otel_duckdb.rules.expressions import PROGRAM, grown_by, summed

if TYPE_CHECKING:
    from otel_duckdb.rules.thresholds import Thresholds

_EXPORTER: Final = ("instance", "exporter")
_SIGNALS: Final = ("spans", "metric_points", "log_records")
_IN_PROGRAM: Final = tuple(
    f'{name}{{error_type!=""}}'
    for name in (
        "otel_sdk_processor_span_processed",
        "otel_sdk_processor_log_processed",
        "otel_sdk_exporter_span_exported",
        "otel_sdk_exporter_log_exported",
        "otel_sdk_exporter_metric_data_point_exported",
    )
)
"""What OpenTelemetry's SDK counts of itself, with OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED=true."""


def _all(*terms: str) -> str:
    """The sum of vectors of which some may have nothing, by the labels of each: the labels of a sum."""
    return "\nor ".join(terms)


def gone(limits: Thresholds) -> Alert:
    """A program that was there and is no more, and did not say that it ends."""
    lasting, recently = limits.duration(5 * MINUTE), limits.duration(30 * MINUTE)
    name = contract.RUNNING.prometheus_name
    return Alert(
        "DuckDBProgramGone",
        Severity.CRITICAL,
        f"count by (job) (last_over_time({name}[{recently}]))\n"
        f"unless on (job) count by (job) ({name})\n"
        f"unless on (job) min by (job) (last_over_time({name}[{recently}])) == 0\n"
        'and on () count(up{job="duckdb"} == 1)',
        lasting,
        "{{ $labels.job }} has reported nothing any more, and did not end in order",
        f"A program reported within the last {recently}, has not for {lasting}, and did not tell that it ends, as it"
        " does at"
        " an orderly end. It was killed, crashed, or cannot reach the collector. Other programs are seen.",
        "Whether the program runs; its log, and the kernel's for a process that was killed for memory; whether it"
        " reaches the"
        " collector.",
        f"Start it again. If it was killed on purpose, silence this alert; it ends by itself {recently} after the"
        " last report.",
        ("engine", "Programs"),
    )


def absent(limits: Thresholds) -> Alert:
    """Nothing from any program."""
    lasting = limits.duration(5 * MINUTE)
    return Alert(
        "DuckDBTargetAbsent",
        Severity.CRITICAL,
        f"absent({contract.ACTIVE_CONNECTIONS.prometheus_name})",
        lasting,
        "No DuckDB metric has arrived",
        f"For {lasting} no program has reported any DuckDB metric: none runs, none is instrumented, or the way to"
        " Prometheus is cut. The other alerts see nothing meanwhile.",
        "Prometheus' page of targets; then whether the program runs, under opentelemetry-instrument or with"
        " instrument() called, and where its OTEL_EXPORTER_OTLP_ENDPOINT leads.",
        "Start what is missing. If no program is meant to run, silence this alert for that time.",
        ("engine", "Programs"),
    )


def internal_errors(limits: Thresholds) -> Alert:
    """Faults of this package."""
    window = limits.duration(30 * MINUTE)
    name, component = contract.INTERNAL_ERRORS.prometheus_name, contract.COMPONENT
    return Alert(
        "DuckDBInstrumentationErrors",
        Severity.WARNING,
        f"{summed(grown_by(name, 30 * MINUTE, limits), PROGRAM)} > {limits.internal_errors:g}",
        "0s",
        f"{WHERE}: {FIGURE} faults inside the instrumentation within {window}",
        "Something inside otel-duckdb, a hook given to it, or an exporter it calls has failed. The program was not"
        " disturbed,"
        " but what it tells may be incomplete.",
        "The culprit names the part. The first fault of each kind is in the program's log, from the logger"
        " otel_duckdb.",
        "Report it with that log. A hook of yours: mend it.",
        ("queries", "Faults of the instrumentation"),
        Culprit(f"topk(3, sum by ({component}) ({name}{{job={{{{ $labels.job }}}}}}) > 0)", component),
        condition=Condition(
            Measure.GROWTH, contract.INTERNAL_ERRORS, limits.internal_errors, window=limits.seconds(30 * MINUTE)
        ),
    )


def export_dropped(limits: Thresholds) -> Alert:
    """Telemetry that a program could not send."""
    window = limits.duration(5 * MINUTE)
    grown = _all(
        *(summed(grown_by(series, 5 * MINUTE, limits), (*PROGRAM, "otel_component_type")) for series in _IN_PROGRAM)
    )
    return Alert(
        "DuckDBExportDropped",
        Severity.WARNING,
        f"sum by (job, otel_component_type) (\n{_indented(grown)}\n) > 0",
        "0s",
        f"{WHERE}: {{{{ $labels.otel_component_type }}}} dropped {FIGURE} items within {window}",
        "OpenTelemetry's SDK in the program threw spans, logs or metrics away: its queue was full, or the collector"
        " refused or"
        " did not answer in time. The program itself runs on.",
        "Whether the collector answers and what it refuses; the program's log, from the loggers opentelemetry.*.",
        "Collector away: start it. Else more room (OTEL_BSP_MAX_QUEUE_SIZE), or fewer spans (OTEL_TRACES_SAMPLER)."
        " The program"
        " tells this only with OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED=true.",
        ("pipeline", "Dropped in programs"),
    )


def collector_down(limits: Thresholds) -> Alert:
    """The collector does not answer."""
    return Alert(
        "DuckDBCollectorDown",
        Severity.CRITICAL,
        'up{job="collector"} == 0',
        limits.duration(MINUTE),
        "The OpenTelemetry Collector at {{ $labels.instance }} does not answer",
        "Prometheus cannot read the collector's own metrics. Telemetry of all programs is delayed, and lost once their"
        " queues are full; the programs themselves run on.",
        "The collector's log and its health endpoint (port 13133).",
        "Start it again; what its storage queue holds is then delivered. If it was killed for memory, raise the limit"
        " of its memory_limiter and of its container together.",
        ("pipeline", "Parts"),
    )


def part_down(limits: Thresholds) -> Alert:
    """Any other part does not answer."""
    return Alert(
        "DuckDBPartDown",
        Severity.CRITICAL,
        'up{job!="collector"} == 0',
        limits.duration(MINUTE),
        "{{ $labels.job }} at {{ $labels.instance }} does not answer Prometheus",
        "Prometheus cannot scrape this part of the pipeline: it is down, it hangs, or its answer takes longer than"
        " the scrape's"
        " timeout. If it is the collector's endpoint (duckdb), no alert on DuckDB sees anything.",
        "Prometheus' page of targets shows the error of the scrape; the part's log.",
        "Start it again. A scrape that takes too long: fewer series (docs/deploy.md, What a series costs), or a longer"
        " scrape_interval and scrape_timeout.",
        ("pipeline", "Parts"),
    )


def queue(limits: Thresholds) -> Alert:
    """The collector's queue fills."""
    size, capacity = "otelcol_exporter_queue_size", "otelcol_exporter_queue_capacity"
    return Alert(
        "DuckDBCollectorQueueHigh",
        Severity.WARNING,
        f"{size} / {capacity} > {limits.queue_ratio:g}",
        limits.duration(5 * MINUTE),
        f"The collector's queue of {{{{ $labels.data_type }}}} for {{{{ $labels.exporter }}}} is {SHARE} full",
        f"What waits for an exporter takes over {limits.queue_ratio:.0%} of its queue. When it is full, the newest is"
        " dropped;"
        " the other exporters go on.",
        "On the pipeline dashboard, the queues and what is sent; whether ClickHouse or Jaeger answers, and how fast.",
        "Bring back what is away, or make it faster; or give the queue more room (OTELCOL_QUEUE_BYTES, and the disk"
        " for it).",
        ("pipeline", "Queues"),
    )


def stalled(limits: Thresholds) -> Alert:
    """An exporter has something to send and sends nothing."""
    window = limits.duration(2 * MINUTE)
    sent = " or ".join(
        f"sum by ({', '.join(_EXPORTER)}) (rate(otelcol_exporter_sent_{signal}_total[{window}])) > 0"
        for signal in _SIGNALS
    )
    waiting = f"sum by ({', '.join(_EXPORTER)}) (min_over_time(otelcol_exporter_queue_size[{window}])) > 0"
    return Alert(
        "DuckDBExporterStalled",
        Severity.CRITICAL,
        f"{waiting}\nunless ({sent})",
        window,
        "The collector's exporter {{ $labels.exporter }} sends nothing, and its queue grows",
        f"Something waits for an exporter of the collector, and for {window} nothing was delivered: its destination"
        " is away"
        " or refuses. What arrives waits in the queue as long as it has room; the other exporters go on.",
        "The collector's log names the error; whether the destination answers.",
        "Bring the destination back; what waits is then delivered. Wrong address or password: correct it in the"
        " collector's"
        " environment and start it again.",
        ("pipeline", "Sent"),
    )


def dropped(limits: Thresholds) -> Alert:
    """The collector drops or refuses what it is sent."""
    window = limits.duration(5 * MINUTE)
    causes = [
        (f"otelcol_exporter_{kind}_{signal}_total", ("exporter",))
        for kind in ("enqueue_failed", "send_failed")
        for signal in _SIGNALS
    ]
    causes += [(f"otelcol_receiver_refused_{signal}_total", ("receiver",)) for signal in _SIGNALS]
    causes.append(("otelcol_processor_sender_limit_dropped_points_total", ("sender",)))
    grown = _all(
        *(summed(grown_by(name, 5 * MINUTE, limits), ("instance", *labels)) + " > 0" for name, labels in causes)
    )
    return Alert(
        "DuckDBTelemetryDropped",
        Severity.WARNING,
        grown,
        "0s",
        "The collector dropped or refused telemetry:{{ with $labels.exporter }} the queue of {{ . }} is full, or it"
        " was refused"
        " for good{{ end }}{{ with $labels.receiver }} its memory is at the limit{{ end }}{{ with $labels.sender }}"
        " {{ . }} sends"
        " more series than one sender may{{ end }}",
        f"Within {window} the collector lost something for an exporter whose queue or disk is full, told senders to"
        " wait because"
        " its memory is at the limit, or dropped series of a sender that has too many.",
        "On the pipeline dashboard, dropped and refused by part.",
        "Exporter: see DuckDBCollectorQueueHigh. Memory: raise OTELCOL_MEMORY_LIMIT_MIB and the container's limit"
        " together."
        " Sender: see what costs so many series (docs/deploy.md, What a series costs), or raise"
        " OTELCOL_SENDER_MAX_SERIES.",
        ("pipeline", "Dropped and refused"),
    )


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
