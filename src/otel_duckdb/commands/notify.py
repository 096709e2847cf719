"""`otel-duckdb notify`: whether alerts would reach anybody, tried with a message that says it is a trial."""

from __future__ import annotations

import os
import time
from typing import Final

import click

from otel_duckdb.commands._group import echo_json
from otel_duckdb.monitor.alerts.alert import Alert
from otel_duckdb.monitor.alerts.level import Level
from otel_duckdb.monitor.alerts.rule import Rule
from otel_duckdb.monitor.notification.senders import Sender, cause, make_senders
from otel_duckdb.monitor.settings import MonitorSettings
from otel_duckdb.text import printable

_RULE: Final = Rule("NotificationTest", {Level.WARNING: 0.0}, lasting=0.0)
_MESSAGE: Final = "This is a test of the notification, sent by otel-duckdb notify; nothing is wrong."


@click.command("notify", short_help="Send a test message to everybody who is told of alerts.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> int:
    """Send a test message to all whom the environment names, and tell what came of each.

    Run it with the variables of your program: DUCKDB_ALERT_WEBHOOK_URL, SMTP_HOST and ALERT_EMAIL,
    OTEL_DUCKDB_MONITOR_NOTIFY. Exit code 0 if everybody was told, 1 if somebody was not, 2 if nobody is named.
    """
    senders = make_senders(os.environ, MonitorSettings.load().notify)
    if not senders:
        raise click.UsageError(
            "nobody is named; set DUCKDB_ALERT_WEBHOOK_URL, SMTP_HOST and ALERT_EMAIL, or OTEL_DUCKDB_MONITOR_NOTIFY"
        )
    failed = False
    results = []
    for sender in senders:
        error = _try(sender)
        failed = failed or error is not None
        results.append({"to": sender.name, "result": "sent" if error is None else "failed", "error": error})
        if not as_json:
            click.echo(printable(f"{sender.name}: {'sent' if error is None else f'failed: {error}'}"))
    if as_json:
        echo_json(results)
    return 1 if failed else 0


def _try(sender: Sender) -> str | None:
    """Send one message; why it was not sent, or None."""
    trial = Alert("test", _RULE, "", {}, Level.WARNING, _MESSAGE, 0.0, 0.0, time.time())
    try:
        sender.send((trial,))
    except Exception as error:
        return cause(error)
    return None
