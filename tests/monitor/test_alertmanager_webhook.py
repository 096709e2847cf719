"""What an Alertmanager posts is taken in once, however often it comes, and refused where it is something else."""

import pytest

from otel_duckdb.monitor.alerts.alertmanager import AlertmanagerWebhook
from otel_duckdb.settings import SettingError


def notification(*alerts, **changed):
    return {"version": "4", "groupKey": "{}:{alertname}", "status": "firing", "alerts": list(alerts), **changed}


def alert(status="firing", fingerprint="f1", started="2026-11-25T10:00:00Z", **changed):
    return {
        "status": status,
        "labels": {"alertname": "DuckDBMemoryHigh", "severity": "warning", "database": "db"},
        "annotations": {"summary": "db: high\x1b[31m"},
        "startsAt": started,
        "endsAt": "2026-11-25T11:00:00Z",
        "fingerprint": fingerprint,
        **changed,
    }


def test_the_same_alert_counts_once_and_its_end_once():
    webhook = AlertmanagerWebhook()
    assert len(webhook.receive(notification(alert()))) == 1
    assert webhook.receive(notification(alert())) == []
    assert [one.status for one in webhook.receive(notification(alert("resolved"), alert(fingerprint="f2")))] == [
        *("resolved", "firing"),
    ]
    assert webhook.receive(notification(alert())) == []  # a node that was late
    assert len(webhook.receive(notification(alert(started="2026-11-26T10:00:00Z")))) == 1
    shown = webhook.as_json()
    assert [(one["name"], one["status"], one["ended"]) for one in shown] == [
        ("DuckDBMemoryHigh", "firing", None),
        ("DuckDBMemoryHigh", "firing", None),
        ("DuckDBMemoryHigh", "resolved", "2026-11-25T11:00:00Z"),
    ]
    assert shown[0]["message"] == r"db: high\x1b[31m"


def test_what_is_kept_is_bounded():
    webhook = AlertmanagerWebhook(kept=10)
    for number in range(100):
        webhook.receive(notification(alert(fingerprint=str(number))))
    assert [one["id"] for one in webhook.as_json()] == [str(number) for number in range(99, 89, -1)]


@pytest.mark.parametrize(
    "payload",
    [
        *(None, [], "4", 4, {}, {"version": "3"}, notification(version="5"), notification(groupKey=1)),
        *(notification(alerts={}), notification("x"), notification(alert("odd")), notification(alert(fingerprint=1))),
        notification(alert(started=None)),
    ],
)
def test_what_is_no_notification_is_refused_whole(payload):
    webhook = AlertmanagerWebhook()
    with pytest.raises(SettingError):
        webhook.receive(payload)
    assert webhook.as_json() == []
