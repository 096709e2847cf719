"""What DuckDB does and did, kept in the process itself: history, statements, alerts, actions; no collector needed.

`Monitor` is imported when it is first asked for: the commands that ask a monitor in another process do without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otel_duckdb.monitor.monitor import Monitor

__all__ = ["Monitor"]


def __getattr__(name: str) -> Any:
    """Import `Monitor`."""
    if name != "Monitor":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from otel_duckdb.monitor.monitor import Monitor  # noqa: PLC0415 - it brings the server and the alerts

    globals()[name] = Monitor
    return Monitor
