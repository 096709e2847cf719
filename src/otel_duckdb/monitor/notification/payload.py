"""What a notification says: the webhook's JSON, and the mail."""

from __future__ import annotations

import html
import socket
from typing import TYPE_CHECKING, Any

from otel_duckdb.text import encodable, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_duckdb.monitor.alerts.alert import Alert

_COLOURS = {"emergency": "danger", "critical": "danger", "warning": "warning"}


def _safe(text: object) -> str:
    return printable(encodable(str(text)))


def _status(alert: Alert) -> str:
    return "resolved" if alert.ended is not None else alert.level.word


def title(alerts: Sequence[Alert]) -> str:
    """The subject: of one alert its level and name, of several how many there are and the worst of them."""
    worst = max(alerts, key=lambda alert: (alert.ended is None, alert.level))
    word = _status(worst).upper()
    if len(alerts) == 1:
        return _safe(f"DuckDB Alert: {word} - {worst.name}")
    return _safe(f"DuckDB Alert: {word} - {worst.name} and {len(alerts) - 1} more")


def webhook_payload(alerts: Sequence[Alert]) -> dict[str, Any]:
    """The JSON of a webhook: `text`, and for each alert an attachment with a colour and its fields.

    Slack and what is compatible with it show it as it is. `alerts` has each alert in whole, for programs.
    """
    return {
        "text": title(alerts),
        "attachments": [
            {
                "color": "good" if alert.ended is not None else _COLOURS[alert.level.word],
                "fields": [
                    {"title": "Alert", "value": _safe(alert.name), "short": True},
                    {"title": "Level", "value": _status(alert), "short": True},
                    {"title": "Message", "value": _safe(alert.message), "short": False},
                    {"title": "Time", "value": alert.timestamp, "short": True},
                ],
            }
            for alert in alerts
        ],
        "alerts": [alert.as_json() for alert in alerts],
        "host": _safe(socket.gethostname()),
    }


def plain_text(alerts: Sequence[Alert]) -> str:
    """The alerts as text, a paragraph each."""
    return "\n\n".join("\n".join(f"{name}: {value}" for name, value in _lines(alert)) for alert in alerts) + "\n"


def html_text(alerts: Sequence[Alert]) -> str:
    """The alerts as HTML for a mail, a heading and a list each."""
    return "".join(
        f"<h2>{html.escape(_safe(alert.name))}</h2>"
        + "".join(f"<p><strong>{name}:</strong> {html.escape(value)}</p>" for name, value in _lines(alert))
        for alert in alerts
    )


def _lines(alert: Alert) -> list[tuple[str, str]]:
    memory, system = alert.metrics.get("memory", {}), alert.metrics.get("system", {})
    figures = (
        ("Memory usage", memory.get("duckdb_memory_percent"), "{:.1f}%"),
        ("CPU usage", system.get("cpu_usage_percent"), "{:.1f}%"),
        ("Active queries", alert.metrics.get("queries", {}).get("active_queries"), "{:.0f}"),
    )
    done = [f"{one['action']}: {one['outcome']}, {one['detail']}" for one in alert.actions]
    return [
        ("Alert", _safe(alert.name)),
        ("Level", _status(alert)),
        ("Message", _safe(alert.message)),
        ("Time", alert.timestamp),
        *((name, form.format(value)) for name, value, form in figures if value is not None),
        *(("Done", _safe(one)) for one in done),
        *((("What to do", _safe(alert.rule.action)),) if alert.rule.action else ()),
    ]
