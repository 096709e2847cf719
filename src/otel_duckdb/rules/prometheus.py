"""The alerts as a Prometheus rule file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from otel_duckdb.rules.alerts import alerts
from otel_duckdb.rules.links import Links
from otel_duckdb.rules.thresholds import Thresholds

if TYPE_CHECKING:
    from otel_duckdb.rules.alert import Alert
    from otel_duckdb.rules.latency import ProgramLatency

_EVERY: Final = 15
"""Seconds between two looks: the windows are minutes, and over a hundred programs a look costs."""
_HELD: Final = 120
"""Seconds an alert goes on without its data: a collector that is started again must not end it."""
_HEAD: Final = """\
# Alerts on DuckDB; `otel-duckdb rules` prints them with other thresholds. Generated: do not edit.
groups:
  - name: otel-duckdb
    interval: {every}
    rules:
"""


def prometheus_rules(
    thresholds: Thresholds | None = None, *, latency_of: tuple[ProgramLatency, ...] = (), links: Links | None = None
) -> str:
    """A rule file, as YAML, that Prometheus 2.42 and later load."""
    limits = thresholds or Thresholds()
    rules = (_rule(alert, limits.duration(_HELD), links or Links()) for alert in alerts(limits, latency_of))
    return _HEAD.format(every=limits.duration(_EVERY)) + "".join(rules)


def _rule(alert: Alert, held: str, links: Links) -> str:
    annotations = {"summary": alert.summary}
    if alert.culprit is not None:
        annotations["culprit"] = alert.culprit.template
    annotations |= {"meaning": alert.meaning, "check": alert.check, "action": alert.action, **links.of(alert)}
    return "\n".join(
        (
            f"      - alert: {alert.name}",
            "        expr: |-",
            *(f"          {line}" for line in alert.expression.splitlines()),
            f"        for: {alert.lasting}",
            f"        keep_firing_for: {held}",
            "        labels:",
            f"          severity: {alert.severity.value}",
            "        annotations:",
            # A JSON string is a YAML string.
            *(f"          {name}: {json.dumps(text)}" for name, text in annotations.items()),
            "",
        )
    )
