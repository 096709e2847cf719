"""Exports a command's own telemetry where the standard OTEL_* variables ask for it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final

from opentelemetry import metrics, trace

if TYPE_CHECKING:
    from collections.abc import Iterator

_ASKING: Final = ("OTEL_EXPORTER_OTLP_", "OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_CONFIG_FILE")
_OFF: Final = {"true", "1"}


def asked() -> bool:
    """Whether the environment asks for telemetry, and nobody has configured any yet."""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() in _OFF:
        return False
    configured = trace._TRACER_PROVIDER is not None or metrics._internal._METER_PROVIDER is not None
    return not configured and any(name.startswith(_ASKING) and value.strip() for name, value in os.environ.items())


@contextmanager
def exported() -> Iterator[None]:
    """Configure OpenTelemetry's SDK as `opentelemetry-instrument` does, and send what is left at the end."""
    if not asked():
        yield
        return
    os.environ.setdefault("OTEL_SERVICE_NAME", "otel-duckdb-sync")
    for signal in ("TRACES", "METRICS"):
        os.environ.setdefault(f"OTEL_{signal}_EXPORTER", "otlp")
    os.environ.setdefault("OTEL_LOGS_EXPORTER", "none")
    for point in entry_points(group="opentelemetry_configurator"):
        point.load()().configure(auto_instrumentation_version="")
        break
    try:
        yield
    finally:
        for provider in (trace.get_tracer_provider(), metrics.get_meter_provider()):
            shutdown = getattr(provider, "shutdown", None)
            if shutdown is not None:
                shutdown()
