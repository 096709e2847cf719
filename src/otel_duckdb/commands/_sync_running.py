"""How `otel-duckdb sync` runs: once with a bar for each table, or for ever with a word now and then."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from otel_duckdb import sync
from otel_duckdb.commands import _telemetry
from otel_duckdb.commands._group import CommandError, console_handlers, echo_json, flush_output
from otel_duckdb.commands._sync_table import LastWord, view
from otel_duckdb.sync.errors import SyncError
from otel_duckdb.telemetry.locks import make_event
from otel_duckdb.text import printable

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from otel_duckdb.sync import Sync, TableReport, TableStatus
    from otel_duckdb.sync.config import Config

_GRACE_SECONDS: Final = 5.0
"""How long a batch that is under way may take after the word to end; the next start finds out what became of it."""
_ABORT_SECONDS: Final = 2.0
_WORD_SECONDS: Final = 60.0
_FIRST_WORD_SECONDS: Final = 3.0
_LOOK_SECONDS: Final = 0.5
_LIVE_SECONDS: Final = 1.0
_SHARE: Final = 20
"""The state of large tables with a key takes time to tell; it is told for a twentieth of the time at most."""
_PACKAGE: Final = "otel_duckdb"
_LOGGER: Final = "otel_duckdb.sync.passes"


def _nothing(_name: str, _rows: int) -> None:
    """Report no progress."""


def _no_failed_pass(record: logging.LogRecord) -> bool:
    return record.name != _LOGGER


@contextmanager
def opened(config: Config, progress: Callable[[str, int], None] = _nothing) -> Iterator[Sync]:
    """A sync of all that the configuration says.

    Its failures are told by the command, and not on the console by the log as well; other handlers, such as the one
    that exports logs, get them.
    """
    handlers = console_handlers()
    for handler in handlers:
        handler.addFilter(_no_failed_pass)
    try:
        with sync.Sync(
            config.database,
            config.tables,
            config.target,
            batch=config.batch,
            retry=config.retry,
            parallel_tables=config.parallel_tables,
            progress=progress,
        ) as one:
            yield one
    finally:
        for handler in handlers:
            handler.removeFilter(_no_failed_pass)


def once(config: Config, *, as_json: bool) -> int:
    """Sync once; 0 where no table failed.

    Raises:
        CommandError: a table failed; all failures are told in one line.
    """
    with _telemetry.exported(), ExitStack() as stack:
        progress, advance = _bars(config, hidden=as_json)
        if progress is not None:
            stack.enter_context(progress)
        reports = stack.enter_context(opened(config, advance)).run_once()
    if as_json:
        echo_json([{"table": one.name, "rows": one.rows, "error": _text(one)} for one in reports])
    for line in () if as_json else _lines(reports):
        click.echo(line)
    failures = [str(one.error) for one in reports if one.error]
    if failures:
        raise CommandError("; ".join(failures))
    return 0


def _text(report: TableReport) -> str | None:
    return None if report.error is None else str(report.error)


def _lines(reports: list[TableReport]) -> Iterator[str]:
    for report in reports:
        yield (
            printable(report.name) + f": {report.rows} rows sent" + ("" if report.error is None else ", then it failed")
        )


def watch(config: Config) -> int:
    """Sync until SIGINT or SIGTERM, which end it within seconds whatever the target does."""
    ending = make_event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.set())
    with _telemetry.exported(), opened(config) as one:
        one.start(config.interval)
        try:
            _tell(one, ending)
        finally:
            _end(one)
        return int(any(report.error for report in one.reports.values()))


def _end(one: Sync) -> None:
    """Stop, however the watching ended: at most for seconds, whatever the target does."""
    if one.stop(_GRACE_SECONDS):
        return
    one.abort()
    if not one.stop(_ABORT_SECONDS):  # something that nobody can break off, as the resolver of names
        with suppress(OSError):
            click.echo("otel-duckdb: ended while a batch was under way; the next start finds out about it", err=True)
        with suppress(OSError):
            flush_output()
        os._exit(1)


def _tell(one: Sync, ending: threading.Event) -> None:
    """Show life until the end: a table on a terminal, a line a minute elsewhere, and each new failure at once.

    Who sends the output elsewhere means the lines, also where the errors still go to a terminal.
    """
    console = Console(stderr=True)
    if console.is_terminal and sys.stdout is not None and sys.stdout.isatty():
        _show_table(one, ending, console)
    else:
        _print_lines(one, ending)


def _show_table(one: Sync, ending: threading.Event, console: Console) -> None:
    """Draw the table each second, so that a terminal of another size has it whole soon; look less often."""
    title = f"sync of {one.config.database} to {one.target.host or 'the embedded chDB'}; Ctrl-C ends"
    rows: list[TableStatus] = []
    due = 0.0
    with _last_word() as word:
        with Live(console=console, auto_refresh=False, screen=True) as live:
            while not ending.is_set():
                begin = time.monotonic()
                if begin >= due:
                    rows = _status(one)
                    due = time.monotonic() + _SHARE * (time.monotonic() - begin)
                live.update(view(title, rows, word.text, console.size), refresh=True)
                ending.wait(_LIVE_SECONDS)
        console.print(view(title, rows, word.text, console.size))


@contextmanager
def _last_word() -> Iterator[LastWord]:
    """Keep what is logged for the table, in place of printing it."""
    log, printing, word = logging.getLogger(_PACKAGE), console_handlers(), LastWord()
    word.addFilter(_no_failed_pass)
    for handler in printing:
        log.removeHandler(handler)
    log.addHandler(word)
    try:
        yield word
    finally:
        log.removeHandler(word)
        for handler in printing:
            log.addHandler(handler)


def _print_lines(one: Sync, ending: threading.Event) -> None:
    told: dict[str, str | None] = {}
    due = time.monotonic() + _FIRST_WORD_SECONDS
    while not ending.wait(_LOOK_SECONDS):
        for name, report in one.reports.items():
            failure = _text(report)
            if failure != told.get(name):
                told[name] = failure
                _say(f"{name}: FAILING: {failure}" if failure else f"{name}: works again")
        if time.monotonic() >= due:
            due = time.monotonic() + _WORD_SECONDS
            _say(_word(_status(one)))


def _say(text: str) -> None:
    """Print a line; a disk that is full of such lines keeps no row from being sent, but who reads no more ends it."""
    try:
        click.echo(_stamped(text))
    except BrokenPipeError:
        raise
    except OSError as error:
        logging.getLogger(_PACKAGE).warning("the sync goes on, but a line cannot be printed: %s", error.strerror)


def _status(one: Sync) -> list[TableStatus]:
    try:
        return one.status()
    except SyncError as error:
        logging.getLogger(_PACKAGE).warning("%s", error)
        return []


def _stamped(text: str) -> str:
    return f"{datetime.now(UTC).isoformat(timespec='seconds')} {printable(text)}"


def _word(rows: list[TableStatus]) -> str:
    stored, waiting = sum(row.acknowledged_rows for row in rows), sum(row.pending_rows for row in rows)
    unwell = [row.name for row in rows if not row.healthy]
    words = f"{len(rows)} tables, {stored} rows stored, {waiting} waiting"
    return words + (f"; failing or full: {', '.join(unwell)}" if unwell else "")


def _bars(config: Config, hidden: bool) -> tuple[Any, Callable[[str, int], None]]:
    """A progress bar for each table on a terminal, and what moves it."""
    console = Console(stderr=True)
    if hidden or not console.is_terminal:
        return None, _nothing
    bars = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    )
    waiting = {row.name: row.pending_rows for row in sync.read_status(config.database, config.tables)}
    tasks = {name: bars.add_task(printable(name), total=rows) for name, rows in waiting.items()}
    return bars, lambda name, rows: bars.advance(tasks[name], rows)
