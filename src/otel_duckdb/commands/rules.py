"""`otel-duckdb rules`: print the alert rules, with the user's own thresholds."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from otel_duckdb.rules import Links, ProgramLatency, Thresholds, prometheus_rules
from otel_duckdb.settings import SettingError

if TYPE_CHECKING:
    from collections.abc import Callable


def _with_thresholds(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(fields(Thresholds)):
        name = f"--{option.name.replace('_', '-')}"
        meaning = option.metadata["meaning"]
        function = click.option(name, type=float, default=option.default, show_default=True, help=meaning)(function)
    return function


def _with_links(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(fields(Links)):
        name = f"--{option.name.replace('_', '-')}"
        meaning = option.metadata["meaning"]
        function = click.option(name, default=option.default, show_default=True, help=meaning)(function)
    return function


@click.command("rules", short_help="Print alert rules for Prometheus, with your thresholds.")
@click.option(
    "--format",
    "shape",
    type=click.Choice(["prometheus"]),
    default="prometheus",
    show_default=True,
    help="What the rules are printed for.",
)
@_with_thresholds
@click.option(
    "--latency-ms-of",
    metavar="PROGRAM[/KIND]=MS",
    multiple=True,
    help="A latency threshold of its own for one program, or one kind of its statements; or `off`.",
)
@_with_links
def command(
    shape: str, latency_ms_of: tuple[str, ...], runbook_url: str, grafana_url: str, jaeger_url: str, **thresholds: float
) -> None:
    """Print alert rules for DuckDB as a file that Prometheus' `rule_files` reads.

    An alert fires above its threshold, not at it. For a batch job: --latency-ms-of nightly=60000.
    """
    del shape  # there is one
    try:
        latency_of = tuple(ProgramLatency.parse(one) for one in latency_ms_of)
        links = Links(runbook_url, grafana_url, jaeger_url)
        click.echo(prometheus_rules(Thresholds(**thresholds), latency_of=latency_of, links=links), nl=False)
    except SettingError as error:
        raise click.UsageError(str(error)) from error
