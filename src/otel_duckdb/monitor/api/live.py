"""What is told on `/api/events` while it happens, as server-sent events: each is written once for all readers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.monitor.api.answers import as_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_duckdb.monitor.api.watched import Watched

STREAM: Final = (("Content-Type", "text/event-stream; charset=utf-8"), ("X-Accel-Buffering", "no"))
"""The headers; the second keeps nginx from holding the stream back."""
_RETRY: Final = b"retry: 3000\n\n"


class Live:
    """Tells of each sample (`sample`, as `/api/status`), of what runs (`running`) and of each change of an alert."""

    def __init__(self, monitor: Watched, broadcast: Callable[[bytes], None]) -> None:
        """Tell all readers by `broadcast`."""
        self._monitor = monitor
        self._broadcast = broadcast
        self._alerts: dict[str, dict[str, Any]] = {}
        self._running: dict[str, Any] | None = None

    def begin(self) -> bytes:
        """What a new reader is told at once: the newest figures, what runs, and the alerts that last."""
        alerts = b"".join(_event("alert", alert) for alert in self._monitor.open_alerts())
        status, running = self._monitor.status(), self._monitor.running()
        return _RETRY + _event("sample", status) + _event("running", running) + alerts

    def sampled(self) -> None:
        """A sample was taken, and somebody reads."""
        told = _event("sample", self._monitor.status())
        running = self._monitor.running()
        if running != self._running:  # what runs has an age, so that it differs each time
            self._running = running
            told += _event("running", running)
        self._broadcast(told + self._changed())

    def _changed(self) -> bytes:
        """The alerts that began, changed or ended since the last time."""
        present = {alert["id"]: alert for alert in self._monitor.open_alerts()}
        before, self._alerts = self._alerts, present
        told = [alert for name, alert in present.items() if _face(alert) != _face(before.get(name))]
        if before.keys() - present.keys():
            told += [alert for alert in self._monitor.alerts()["resolved"] if alert["id"] in before]
        return b"".join(_event("alert", alert) for alert in told)


def _face(alert: dict[str, Any] | None) -> tuple[Any, ...] | None:
    """What is worth telling of when it changes; the value changes at each sample."""
    if alert is None:
        return None
    return alert["level"], alert["silenced"], len(alert["actions"]), len(alert["notifications"])


def _event(name: str, value: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), as_json(value))
