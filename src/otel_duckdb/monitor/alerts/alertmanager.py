"""Takes in what an Alertmanager posts to a webhook: alerts that Prometheus judged, beside those of this process."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final

from otel_duckdb import contract
from otel_duckdb.settings import SettingError
from otel_duckdb.telemetry.locks import make_reentrant_lock
from otel_duckdb.text import encodable, printable

_VERSION: Final = "4"
_KEPT: Final = 1_000
_LABELS: Final = 64
_LENGTH: Final = 1_024


@dataclass(frozen=True, slots=True)
class Received:
    """One alert that an Alertmanager told of.

    Attributes:
        key: Its group, its labels' fingerprint and its start: the same alert told again has the same.
        status: `firing` or `resolved`.
        labels: Its labels.
        annotations: Its annotations.
        started: When it began, as the Alertmanager wrote it.
        ended: When it ended; empty while it fires.
        actions: What was done about it.
    """

    key: tuple[str, str, str]
    status: str
    labels: dict[str, str]
    annotations: dict[str, str]
    started: str
    ended: str
    actions: list[dict[str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The alert's name."""
        return self.labels.get("alertname", "")

    @property
    def database(self) -> str:
        """The database's label in the metrics, or empty."""
        return self.labels.get(contract.DATABASE, "")

    def as_json(self) -> dict[str, Any]:
        """The alert as the API shows it."""
        return {
            "id": self.key[1],
            "name": self.name,
            "level": self.labels.get("severity", "warning"),
            "database": self.database,
            "labels": self.labels,
            "message": self.annotations.get("summary", ""),
            "status": self.status,
            "started": self.started,
            "ended": self.ended or None,
            "actions": list(self.actions),
            "from": "alertmanager",
        }


class AlertmanagerWebhook:
    """Receives notifications, each of which may come more than once, from several Alertmanagers, and out of order."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._lock = make_reentrant_lock()
        self._kept = kept
        self._alerts: OrderedDict[tuple[str, str, str], Received] = OrderedDict()

    def receive(self, payload: object) -> list[Received]:
        """Take in one notification; return the alerts it tells anything new of.

        Raises:
            SettingError: it is no notification of version 4.
        """
        alerts = list(_read(payload))
        with self._lock:
            return [alert for alert in alerts if self._is_new(alert)]

    def as_json(self) -> list[dict[str, Any]]:
        """What was received, the newest first."""
        with self._lock:
            return [alert.as_json() for alert in reversed(self._alerts.values())]

    def _is_new(self, alert: Received) -> bool:
        known = self._alerts.get(alert.key)
        # One that is over stays over: what tells that it fires came late.
        if known is not None and known.status in {alert.status, "resolved"}:
            return False
        self._alerts[alert.key] = alert
        while len(self._alerts) > self._kept:
            self._alerts.popitem(last=False)
        return True


def _read(payload: object) -> list[Received]:
    if not isinstance(payload, dict) or payload.get("version") != _VERSION:
        raise SettingError(f"it is no notification of an Alertmanager, version {_VERSION}")
    group, alerts = payload.get("groupKey"), payload.get("alerts")
    if not isinstance(group, str) or not isinstance(alerts, list):
        raise SettingError("the notification must have a groupKey and alerts")
    return [_alert(group, alert) for alert in alerts]


def _alert(group: str, alert: object) -> Received:
    if not isinstance(alert, dict) or alert.get("status") not in {"firing", "resolved"}:
        raise SettingError("each alert must have the status firing or resolved")
    status, fingerprint, started = alert["status"], alert.get("fingerprint"), alert.get("startsAt")
    if not isinstance(fingerprint, str) or not isinstance(started, str):
        raise SettingError("each alert must have a fingerprint and startsAt")
    return Received(
        (_text(group), _text(fingerprint), _text(started)),
        status,
        _texts(alert.get("labels")),
        _texts(alert.get("annotations")),
        _text(started),
        _text(alert.get("endsAt", "")) if status == "resolved" else "",
    )


def _texts(given: object) -> dict[str, str]:
    pairs = list(given.items())[:_LABELS] if isinstance(given, dict) else []
    return {_text(name): _text(value) for name, value in pairs}


def _text(given: object) -> str:
    return printable(encodable(str(given)[:_LENGTH]))
