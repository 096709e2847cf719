"""Alerts are made to fire by what they warn of, reach the webhook, and resolve: the design guide's six and others."""

from __future__ import annotations

import time

import clickhouse_connect
import pytest

from clickhouse_standin import StandIn
from stack import eventually

ALERTS = {
    "DuckDBQueryLatencyHigh": "warning",
    "DuckDBMemoryHigh": "warning",
    "DuckDBDiskHigh": "critical",
    "DuckDBSyncFailing": "warning",
    "DuckDBTransactionFailuresHigh": "warning",
    "DuckDBConnectionsFailing": "critical",
    "DuckDBQueryRunningLong": "warning",
    "DuckDBOutOfMemory": "critical",
    "DuckDBWalGrowing": "warning",
    "DuckDBPoolTimeouts": "warning",
}
CULPRITS = {
    "DuckDBMemoryHigh": "IN_MEMORY_TABLE",
    "DuckDBSyncFailing": "ticks",
    "DuckDBConnectionsFailing": "IOException",
    "DuckDBOutOfMemory": "SELECT prices",
}
SERVICE = "troubled"
PATIENCE = 90.0
"""Seconds: windows and waiting times of nine to eighteen seconds, twice over, on a machine that is busy."""


class Episode:
    """What the webhook was told while there was trouble, and after it ended."""

    def __init__(self) -> None:
        self.firing: set[str] = set()
        self.resolved: set[str] = set()
        self.rows = 0


def wait_for(webhook, status: str) -> set[str]:
    """Wait until the webhook was told of all alerts; give what it was told when the patience ends."""
    deadline = time.monotonic() + PATIENCE
    while not (names := webhook.names(status, job=SERVICE)) >= set(ALERTS) and time.monotonic() < deadline:
        time.sleep(0.25)
    return names


@pytest.fixture(scope="module")
def episode(stack, start_service, webhook, tmp_path_factory):
    """Trouble from its beginning to its end."""
    seen = Episode()
    with StandIn(tmp_path_factory.mktemp("target")) as target:
        service = start_service(SERVICE, OTEL_DUCKDB_MAX_DISK_BYTES="60MB")
        with target.refusing():
            service.do("start_trouble", clickhouse_port=target.port)
            seen.firing = wait_for(webhook, "firing")
            service.do("pause_trouble")
        service.do("stop_trouble")
        seen.resolved = wait_for(webhook, "resolved")
        with clickhouse_connect.get_client(host=target.host, port=target.port) as client:
            seen.rows = client.command("SELECT count() FROM ticks")
    assert service.stop() == 0
    return seen


@pytest.mark.timeout(300)
@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_fires_and_reaches_the_webhook(episode, webhook, alert):
    assert alert in episode.firing
    notice = next(notice for notice in webhook.notices if (notice.name, notice.labels["job"]) == (alert, SERVICE))
    assert notice.labels["severity"] == ALERTS[alert]
    assert notice.annotations["summary"].startswith(SERVICE)
    assert notice.annotations["action"]
    assert notice.annotations["runbook_url"].endswith(f"#{alert.lower()}")
    assert CULPRITS.get(alert, "") in notice.annotations.get("culprit", "")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_resolves_when_its_cause_ends(episode, alert):
    assert alert in episode.resolved


def test_the_sync_catches_up_once_clickhouse_is_back(episode):
    assert episode.rows == 10


def test_the_collector_being_down_is_an_alert_of_its_own(stack, webhook):
    stack.collector.stop()
    try:
        eventually(lambda: "DuckDBCollectorDown" in webhook.names("firing"))
    finally:
        stack.collector.start()
        stack.collector.wait_until_ready()
    eventually(lambda: "DuckDBCollectorDown" in webhook.names("resolved"))
