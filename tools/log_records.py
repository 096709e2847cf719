"""Log records kept in memory, on every line of OpenTelemetry that is supported."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk._logs import export

_names = vars(export)
InMemoryLogRecordExporter: Any = _names.get("InMemoryLogRecordExporter") or _names["InMemoryLogExporter"]
"""The SDK's exporter into memory, which was called `InMemoryLogExporter` until 1.38."""
