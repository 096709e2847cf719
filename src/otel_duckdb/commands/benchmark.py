"""`otel-duckdb benchmark`: measure DuckDB on this machine, and compare with an earlier run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from otel_duckdb.commands._console import console
from otel_duckdb.commands._group import echo_json
from otel_duckdb.commands._signals import ending_in_order
from otel_duckdb.commands._sync_benchmark import LEFT_OUT, read_target, run_sync, with_target
from otel_duckdb.files import read_text, write_privately
from otel_duckdb.monitor.benchmark import ROWS, TESTS, compare, machine, run_test
from otel_duckdb.monitor.figures import bytes_text, duration_text

_SYNC: Final = "sync"


@click.command("benchmark", short_help="Measure DuckDB on this machine, and compare with an earlier run.")
@click.option(
    "--test-type", type=click.Choice([*TESTS, _SYNC, "all"]), default="all", show_default=True, help="What is run."
)
@click.option("--rows", type=click.IntRange(1000, 1_000_000_000), default=ROWS, show_default=True, help="Rows used.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="A file for the result, as JSON.")
@click.option("--compare", "earlier", type=click.Path(path_type=Path, dir_okay=False), help="An earlier result.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False, exists=True), help="Where files are made.")
@with_target
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@ending_in_order()
def command(
    test_type: str,
    rows: int,
    output: Path | None,
    earlier: Path | None,
    folder: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Run each test five times on databases of its own, which are removed; the medians are told.

    The test sync sends rows to a new table of a ClickHouse that --host names, or of an embedded chDB, and drops it.
    Less is better. Compare only runs with the same --rows on the same, else idle machine.
    """
    before, target = None if earlier is None else _read(earlier, rows), read_target(**options)
    if test_type == _SYNC and target is None:
        raise click.UsageError("the test sync needs a target: --host names a ClickHouse server, --chdb embeds one")
    names = [*TESTS, *([_SYNC] if target else [])] if test_type == "all" else [test_type]
    if test_type == "all" and target is None:
        click.echo(LEFT_OUT, err=True)
    tests: dict[str, Any] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("benchmark", total=len(names))
        for name in names:
            progress.update(task, description=name)
            tests[name] = run_sync(target, folder, rows) if target and name == _SYNC else run_test(name, folder, rows)
            progress.advance(task)
    ratios = {} if before is None else compare(tests, before)
    if before is not None and not ratios:
        click.echo(f"otel-duckdb: {earlier} has no result of {' or '.join(tests)}; nothing is compared", err=True)
    result = {**machine(), "rows": rows, "tests": tests}
    if output is not None:
        write_privately(output, json.dumps(result, indent=2) + "\n")
    if as_json:
        told = {f"{test}: {figure}": ratio for (test, figure), ratio in ratios.items()}
        echo_json({**result, "compared": told} if before is not None else result)
    else:
        _draw(tests, ratios)


def _read(path: Path, rows: int) -> dict[str, Any]:
    try:
        result = json.loads(read_text(path))
        tests: dict[str, Any] = result["tests"]
        compare(tests, tests)
        measured = result["rows"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise click.UsageError(f"{path} is no result of otel-duckdb benchmark") from error
    if measured != rows:
        raise click.UsageError(f"{path} was measured with --rows {measured}, not {rows}; use the same")
    return tests


def _draw(tests: dict[str, Any], ratios: dict[tuple[str, str], float]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("test", "figure"):
        table.add_column(name)
    for name in ("median", "least", "most", *(("compared",) if ratios else ())):
        table.add_column(name, justify="right")
    for test, figures in tests.items():
        for figure in figures:
            told = bytes_text if figure["unit"] == "By" else duration_text
            ratio = ratios.get((test, figure["name"]))
            cells = [told(figure["median"]), told(min(figure["values"])), told(max(figure["values"]))]
            table.add_row(
                test, figure["name"], *cells, *(["-" if ratio is None else f"x {ratio:.2f}"] if ratios else [])
            )
    console().print(table)
