"""Draws spans as a tree, with what each says in columns beside it, and below it its profile, its plan and its N+1."""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby
from typing import TYPE_CHECKING, Final

from rich.filesize import decimal
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from otel_duckdb import contract
from otel_duckdb.demo.glyphs import Glyphs
from otel_duckdb.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console, ConsoleOptions, RenderResult

    from otel_duckdb.demo.telemetry import Span

    Line = tuple[str, str, list[Span]]
    """The guides before a row and before what stands below it, and the spans the row is of."""

_FIGURES: Final[tuple[tuple[str, str, Callable[[float], str]], ...]] = (
    (contract.DUCKDB_CPU_TIME, "in threads", lambda value: f"{value:,.1f} ms"),
    (contract.DUCKDB_BLOCKED_TIME, "blocked", lambda value: f"{value:,.1f} ms"),
    (contract.DUCKDB_ROWS_SCANNED, "scanned", lambda value: f"{value:,.0f} rows"),
    (contract.DUCKDB_BYTES_READ, "read", lambda value: decimal(int(value))),
    (contract.DUCKDB_PEAK_MEMORY, "of memory", lambda value: decimal(int(value))),
    (contract.DUCKDB_PEAK_TEMPORARY, "spilled", lambda value: decimal(int(value))),
)


class SpanTree:
    """The spans as rows of at most `limit`, under a line for `root`; spans alike that follow each other share one."""

    def __init__(self, root: str, spans: list[Span], limit: int, dropped: int = 0) -> None:
        self._root = root
        self._spans = spans
        self._limit = limit
        self._dropped = dropped

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Write the rows, and between them what is told of a query beyond its row."""
        glyphs = Glyphs.of(console.encoding)
        lines = list(_lines(_families(self._spans), glyphs))
        shown = lines[: self._limit]
        table = _table(glyphs)
        table.add_row(Text(printable(self._root), "bold green"))
        for guide, _, alike in shown:
            table.add_row(*_row(guide, alike, glyphs))
        heading = 2  # the names of the columns, and the root
        for number, row in enumerate(console.render_lines(table, options, pad=False)):
            yield from row
            yield Segment.line()
            if number >= heading:
                _, guide, alike = shown[number - heading]
                yield from (_note(guide, note, glyphs) for note in _notes(alike, glyphs))
        if left_out := len(lines) - len(shown):
            yield Text(f"{glyphs.more} {left_out} more rows", "dim")
        if self._dropped:
            yield Text(f"{glyphs.more} {self._dropped:,} more spans, of which nothing was kept", "dim")


def draw_errors(spans: list[Span]) -> Table:
    """What went wrong, once for each name and text."""
    table = Table(box=None, pad_edge=False, padding=(0, 1), show_header=False)
    failures = {(printable(span.name), printable(span.error)): None for span in spans if span.error is not None}
    for name, error in failures:
        table.add_row(Text(name, "bold red", no_wrap=True), Text(error, "red"))
    return table


def _table(glyphs: Glyphs) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1), expand=True)
    table.add_column("span", no_wrap=True, overflow=glyphs.overflow)
    for heading in ("ms", "execute", "fetch", "rows"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("query text", no_wrap=True, overflow=glyphs.overflow, ratio=1)
    return table


def _families(spans: list[Span]) -> dict[str, list[Span]]:
    """The children of each span in the order of their start; those without a known parent belong to ''."""
    known = {span.identity for span in spans}
    families: dict[str, list[Span]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: span.start):
        families[span.parent if span.parent in known else ""].append(span)
    return families


def _lines(families: dict[str, list[Span]], glyphs: Glyphs) -> Iterator[Line]:
    waiting = _branches(families, "", "", glyphs)
    while waiting:
        guide, below, alike = waiting.pop()
        children = _branches(families, alike[0].identity, below, glyphs) if alike[0].identity else []
        yield guide, below + (glyphs.down if children else "   "), alike
        waiting += children


def _branches(families: dict[str, list[Span]], parent: str, guide: str, glyphs: Glyphs) -> list[Line]:
    """The rows of the children of `parent`, the last one first."""
    groups = [list(group) for _, group in groupby(families.get(parent, []), lambda span: _likeness(span, families))]
    rows = [(guide + glyphs.branch, guide + glyphs.down, alike) for alike in groups]
    if rows:
        rows[-1] = (guide + glyphs.last, guide + "   ", groups[-1])
    return rows[::-1]


def _likeness(span: Span, families: dict[str, list[Span]]) -> tuple[object, ...]:
    alone = "" if span.identity not in families else span.identity
    return span.name, span.attributes.get(contract.DB_QUERY_TEXT), span.error, alone


def _row(guide: str, alike: list[Span], glyphs: Glyphs) -> list[Text]:
    first = alike[0]
    times = f" {len(alike)} times" if len(alike) > 1 else ""
    style = "bold red" if first.error is not None else "bold"
    name = Text.assemble((guide, "dim"), (glyphs.fit(printable(first.name)), style), times)
    batch = first.attributes.get(contract.DB_OPERATION_BATCH_SIZE)
    rows = _total(alike, contract.DB_RESPONSE_RETURNED_ROWS)
    text = printable(first.attributes.get(contract.DB_QUERY_TEXT, ""))
    return [
        name,
        Text(_number(sum(span.end - span.start for span in alike) / 1e6)),
        Text(_number(_total(alike, contract.DUCKDB_EXECUTE_TIME)), "cyan"),
        Text(_number(_total(alike, contract.DUCKDB_FETCH_TIME)), "magenta"),
        Text("" if rows is None else f"{rows:,}"),
        Text((f"[{batch} in one] " if batch else "") + glyphs.fit(text), "dim"),
    ]


def _notes(alike: list[Span], glyphs: Glyphs) -> Iterator[Text]:
    """Statements that were repeated under these spans; the profile and the plan of the last that has one."""
    for span in alike:
        count = span.attributes.get(contract.DUCKDB_REPEATED_COUNT)
        if count is not None:
            what = glyphs.fit(printable(span.attributes.get(contract.DUCKDB_REPEATED_SUMMARY, "a statement")))
            together = span.attributes.get(contract.DUCKDB_REPEATED_TIME, 0.0)
            yield Text(f"{glyphs.remark} N+1: {what} {count:,} times, {together:,.1f} ms together", "bold yellow")
    profiled = [span for span in alike if contract.DUCKDB_CPU_TIME in span.attributes]
    if not profiled:
        return
    told = profiled[-1]
    figures = (f"{show(told.attributes[name])} {of}" for name, of, show in _FIGURES if told.attributes.get(name))
    yield Text(f"profile: {', '.join(figures) or 'no time'}", "yellow")
    for event in told.events:
        if event.name == contract.EVENT_PLAN:
            for line in str(event.attributes.get(contract.DUCKDB_PLAN, "")).splitlines():
                indent = line[: len(line) - len(line.lstrip(" "))]
                yield Text(f"  {indent}{glyphs.fit(printable(line))}", "yellow")


def _note(guide: str, note: Text, glyphs: Glyphs) -> Text:
    text = Text.assemble((guide, "dim"), note)
    text.no_wrap, text.overflow = True, glyphs.overflow
    return text


def _total(alike: list[Span], attribute: str) -> float | None:
    values = [span.attributes[attribute] for span in alike if attribute in span.attributes]
    return sum(values) if values else None


def _number(milliseconds: float | None) -> str:
    return "" if milliseconds is None else f"{milliseconds:,.1f}"
