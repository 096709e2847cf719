"""`otel-duckdb rules`: print the alert rules, with the user's own thresholds."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from otel_duckdb.rules import Thresholds, prometheus_rules
from otel_duckdb.settings import SettingError

if TYPE_CHECKING:
    from collections.abc import Callable


def _with_thresholds(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(fields(Thresholds)):
        name = f"--{option.name.replace('_', '-')}"
        meaning = option.metadata["meaning"]
        function = click.option(name, type=float, default=option.default, show_default=True, help=meaning)(function)
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
def command(shape: str, **thresholds: float) -> None:
    """Print alert rules for DuckDB as a file that Prometheus' `rule_files` reads.

    An alert fires above its threshold, not at it.
    """
    del shape  # there is one
    try:
        click.echo(prometheus_rules(Thresholds(**thresholds)), nl=False)
    except SettingError as error:
        raise click.UsageError(str(error)) from error
