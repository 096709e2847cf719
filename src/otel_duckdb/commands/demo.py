"""`otel-duckdb demo`: run a program under `opentelemetry-instrument`, and draw its spans and metrics."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

import click

from otel_duckdb.commands._console import console
from otel_duckdb.commands._group import CommandError, echo_json, missing_package
from otel_duckdb.commands._signals import ending_in_order
from otel_duckdb.demo.metrics import draw_latencies, draw_numbers
from otel_duckdb.demo.program import run_instrumented
from otel_duckdb.demo.receiver import Receiver
from otel_duckdb.demo.spans import SpanTree, draw_errors

if TYPE_CHECKING:
    from rich.console import Console

    from otel_duckdb.demo.telemetry import Telemetry


@click.command(
    "demo",
    short_help="Run a program, and draw its DuckDB spans and metrics here.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON; the program's own output goes to stderr.")
@click.option("--limit", type=click.IntRange(1), default=60, show_default=True, help="Rows of spans that are drawn.")
@click.option("--width", type=click.IntRange(40), help="Columns to draw in; else those of the terminal, or 120.")
@click.argument("program", nargs=-1, type=click.UNPROCESSED)
@ending_in_order()
def command(program: tuple[str, ...], as_json: bool, limit: int, width: int | None) -> int:
    """Run PROGRAM (`app.py`, or any command; a small sample if left out) under opentelemetry-instrument.

    Its telemetry comes here and goes nowhere else, so no collector is needed. OTEL_DUCKDB_* options apply.
    """
    _check(program)
    with Receiver() as receiver:
        try:
            code = run_instrumented(program, receiver.endpoint, sys.stderr if as_json else None)
        except FileNotFoundError as error:
            raise missing_package("demo", "opentelemetry.instrumentation.auto_instrumentation") from error
        except PermissionError as error:
            raise click.UsageError(f"{error.filename} cannot be run: {error.strerror}") from error
    telemetry = receiver.telemetry
    if as_json:
        echo_json(_as_json(telemetry))
    else:
        _draw(program, telemetry, limit, console(width=width, highlight=True))
    if code:
        raise CommandError(f"the program ended with exit code {code}")
    if not telemetry.spans:
        raise CommandError("the program sent no span; did it use DuckDB, and end by itself?")
    return 0


def _check(program: tuple[str, ...]) -> None:
    """Refuse a program that is not there: what runs it would say so in a traceback of its own."""
    if not program:
        return
    if program[0].endswith(".py"):
        if not Path(program[0]).is_file():
            raise click.UsageError(f"there is no file {program[0]!r}; give the program to run")
    elif which(program[0]) is None:
        raise click.UsageError(f"there is no command {program[0]!r}; give the program to run")


def _as_json(telemetry: Telemetry) -> dict[str, object]:
    numbers, histograms = telemetry.numbers.values(), telemetry.histograms.values()
    return {
        "spans": [asdict(span) for span in telemetry.spans],
        "dropped_spans": telemetry.dropped_spans,
        "histograms": [asdict(histogram) for histogram in histograms],
        "numbers": [asdict(number) for number in numbers],
    }


def _draw(program: tuple[str, ...], telemetry: Telemetry, limit: int, out: Console) -> None:
    if not telemetry.spans:
        return
    out.print()
    out.print(SpanTree(" ".join(program) or "a sample program", telemetry.spans, limit, telemetry.dropped_spans))
    for table in (
        draw_errors(telemetry.spans),
        draw_latencies(list(telemetry.histograms.values())),
        draw_numbers(list(telemetry.numbers.values())),
    ):
        if table.row_count:
            out.print()
            out.print(table)
