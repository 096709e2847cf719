"""What the monitor tells of itself: its options, and what it costs."""

from __future__ import annotations

import threading
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

import psutil

if TYPE_CHECKING:
    from otel_duckdb.monitor.settings import MonitorSettings

_SECRET: Final = frozenset({"api_key", "audit_key", "notify"})
"""Options whose values let others in, or hold what does."""
_THREADS: Final = "otel-duckdb"


def settings_of(settings: MonitorSettings) -> dict[str, Any]:
    """The options by name; of a secret one only whether it is set."""
    values = {each.name: getattr(settings, each.name) for each in fields(settings)}
    return {name: _told(name, value) for name, value in values.items()}


def _told(name: str, value: Any) -> Any:
    if name in _SECRET:
        return "hidden" if value else None
    return list(value) if isinstance(value, tuple) else value


def cost(seconds: float) -> dict[str, Any]:
    """The processor time of this package's threads, and its share of one core over the `seconds` they ran.

    What a query pays in the program's own threads is not in it. None where the system does not tell of threads.
    """
    ours = {thread.native_id: thread.name for thread in threading.enumerate() if thread.name.startswith(_THREADS)}
    try:
        spent = {each.id: each.user_time + each.system_time for each in psutil.Process().threads()}
    except psutil.Error:
        return {"processor_seconds": None, "processor_percent": None}
    total = sum(spent.get(native or 0, 0.0) for native in ours)
    return {
        "processor_seconds": round(total, 3),
        "processor_percent": round(total / seconds * 100, 3) if seconds > 0 else None,
    }
