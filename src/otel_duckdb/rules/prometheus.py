"""The alerts as a Prometheus rule file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from otel_duckdb.rules.alerts import alerts

if TYPE_CHECKING:
    from otel_duckdb.rules.alerts import Alert
    from otel_duckdb.rules.thresholds import Thresholds

_HEAD: Final = """\
# Alerts on DuckDB; `otel-duckdb rules` prints them with other thresholds. Generated: do not edit.
groups:
  - name: otel-duckdb
    rules:
"""


def prometheus_rules(thresholds: Thresholds | None = None) -> str:
    """A rule file, as YAML, that Prometheus 2.42 and later load."""
    return _HEAD + "".join(_rule(alert) for alert in alerts(thresholds))


def _rule(alert: Alert) -> str:
    annotations = {
        "summary": alert.summary,
        "meaning": alert.meaning,
        "check": alert.check,
        "action": alert.action,
    }
    return "\n".join(
        (
            f"      - alert: {alert.name}",
            "        expr: |-",
            *(f"          {line}" for line in alert.expression.splitlines()),
            f"        for: {alert.lasting}",
            "        labels:",
            f"          severity: {alert.severity.value}",
            "        annotations:",
            # A JSON string is a YAML string.
            *(f"          {name}: {json.dumps(text)}" for name, text in annotations.items()),
            "",
        )
    )
