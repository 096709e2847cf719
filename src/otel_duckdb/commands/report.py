"""`otel-duckdb report`: what a monitor saw in a number of hours, as JSON, HTML or Markdown."""

from __future__ import annotations

import os
from pathlib import Path

import click

from otel_duckdb.commands._group import CommandError
from otel_duckdb.commands._monitors import asked, one_monitor, with_monitor
from otel_duckdb.commands._options import Number
from otel_duckdb.files import write_privately
from otel_duckdb.monitor.exports import post_report
from otel_duckdb.monitor.report import FORMATS, render
from otel_duckdb.settings import SettingError

_WEBHOOK = "MONITORING_WEBHOOK"
_BY_SUFFIX = {".html": "html", ".htm": "html", ".md": "md", ".markdown": "md"}


@click.command("report", short_help="Make a report of the last hours: JSON, HTML or Markdown.")
@click.option(
    "--period",
    type=Number(0, 8784, min_open=True),
    default=24.0,
    show_default=True,
    metavar="HOURS",
    help="Hours back from now.",
)
@click.option(
    "--format",
    "shape",
    type=click.Choice(list(FORMATS)),
    help="Else what the name of --output ends with, or json.",
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="A file; else it is printed.")
@click.option("--no-webhook", is_flag=True, help=f"Do not post it to the address in {_WEBHOOK}.")
@with_monitor
def command(period: float, shape: str | None, output: Path | None, no_webhook: bool, pid: int | None) -> None:
    """Tell what a monitor saw: history, alerts, statements by time.

    The HTML page needs no network and no script, and can be printed. The file is this user's alone. Where
    MONITORING_WEBHOOK holds an address, the report is posted there too, as JSON.
    """
    report = asked(one_monitor(pid), "/api/report", hours=period)
    text = render(report, shape or (_BY_SUFFIX.get(output.suffix.lower(), "json") if output else "json"))
    if output is None:
        click.echo(text, nl=False)
    else:
        write_privately(output, text)
        click.echo(f"{output}: {len(text.encode())} bytes", err=True)
    url = os.environ.get(_WEBHOOK, "").strip()
    if not url or no_webhook:
        return
    try:
        post_report(report, url)
    except SettingError as error:
        raise click.UsageError(f"{_WEBHOOK}: {error}") from error
    except OSError as error:
        raise CommandError(f"{_WEBHOOK}: {error}") from error
