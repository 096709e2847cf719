"""Whether anything records what is told: without an SDK OpenTelemetry's API drops it."""

from __future__ import annotations

import os
import sys

from opentelemetry import trace
from opentelemetry.metrics import _internal as metrics_api


def lacks_an_sdk() -> bool:
    """Tell whether `opentelemetry-instrument` started the program, and found no SDK to set up.

    A program started in another way may set one up later, and one with OTEL_SDK_DISABLED wants none.
    """
    if "opentelemetry.instrumentation.auto_instrumentation" not in sys.modules:
        return False
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    return trace._TRACER_PROVIDER is None and metrics_api._METER_PROVIDER is None
