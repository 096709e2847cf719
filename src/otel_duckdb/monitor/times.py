"""Times as the monitor writes them."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(unix_seconds: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(unix_seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
