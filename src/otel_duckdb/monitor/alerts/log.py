"""The log of alerts: those that last, and the latest of those that are over."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.telemetry.locks import make_reentrant_lock

if TYPE_CHECKING:
    from otel_duckdb.monitor.alerts.alert import Alert

_KEPT: Final = 500
_NOTES: Final = 50
"""Actions and notifications of one alert that are kept; an alert that flaps for days has more."""


class AlertLog:
    """Keeps every open alert and the latest that are over; from any thread.

    Attributes:
        dropped: How many that were over have been dropped, the oldest first.
    """

    def __init__(self, kept: int = _KEPT) -> None:
        self._lock = make_reentrant_lock()
        self._open: dict[str, Alert] = {}
        self._resolved: deque[Alert] = deque(maxlen=kept)
        self.dropped = 0

    def opened(self, alert: Alert) -> None:
        """Take in an alert that fired."""
        with self._lock:
            self._open[alert.id] = alert

    def resolved(self, alert: Alert) -> None:
        """Take note that an alert is over."""
        with self._lock:
            self._open.pop(alert.id, None)
            self.dropped += len(self._resolved) == self._resolved.maxlen
            self._resolved.append(alert)

    def acted(self, alert: Alert, action: dict[str, Any]) -> None:
        """Add what was done about an alert."""
        with self._lock:
            _append(alert.actions, action)

    def told(self, alert: Alert, notification: dict[str, Any]) -> None:
        """Add who was told of an alert, and with which result."""
        with self._lock:
            _append(alert.notifications, notification)

    def open_alerts(self) -> list[Alert]:
        """Those that last, the worst first."""
        with self._lock:
            return sorted(self._open.values(), key=lambda alert: (-alert.level.rank, alert.started))

    def as_json(self) -> dict[str, Any]:
        """Open and resolved alerts as the API shows them, the newest of the resolved first."""
        with self._lock:
            still_open = [alert.as_json() for alert in self._open.values()]
            resolved = [alert.as_json() for alert in reversed(self._resolved)]
        return {"open": still_open, "resolved": resolved, "dropped": self.dropped}


def _append(notes: list[dict[str, Any]], note: dict[str, Any]) -> None:
    notes.append(note)
    del notes[:-_NOTES]
