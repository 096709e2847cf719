"""Draws spans as a tree, with what each says in columns beside it."""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from otel_duckdb import contract

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_duckdb.demo.telemetry import Span

    Line = tuple[str, list[Span]]
    """The guides before a row, and the spans it stands for."""


def draw_spans(root: str, spans: list[Span], limit: int) -> Table:
    """A table of at most `limit` rows under a line for `root`; spans alike that follow each other share one."""
    table = Table(box=None, pad_edge=False, padding=(0, 1), expand=True)
    table.add_column("span", no_wrap=True)
    for heading in ("ms", "execute", "fetch", "rows"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("query text", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_row(Text(root, "bold green"))
    lines = list(_lines(_families(spans), "", ""))
    for guide, alike in lines[:limit]:
        table.add_row(*_row(guide, alike))
    if len(lines) > limit:
        table.add_row(Text(f"… {len(lines) - limit} more rows", "dim"))
    return table


def draw_errors(spans: list[Span]) -> Table:
    """What went wrong, once for each name and text."""
    table = Table(box=None, pad_edge=False, padding=(0, 1), show_header=False)
    failures = {(span.name, _one_line(span.error)): None for span in spans if span.error is not None}
    for name, error in failures:
        table.add_row(Text(name, "bold red", no_wrap=True), Text(error, "red"))
    return table


def _families(spans: list[Span]) -> dict[str, list[Span]]:
    """The children of each span in the order of their start; those without a known parent belong to ''."""
    known = {span.identity for span in spans}
    families: dict[str, list[Span]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: span.start):
        families[span.parent if span.parent in known else ""].append(span)
    return families


def _lines(families: dict[str, list[Span]], parent: str, guide: str) -> Iterator[Line]:
    groups = [list(group) for _, group in groupby(families.get(parent, []), lambda span: _likeness(span, families))]
    for alike in groups:
        last = alike is groups[-1]
        below = guide + ("   " if last else "│  ")
        yield guide + ("└─ " if last else "├─ "), alike
        yield from _lines(families, alike[0].identity, below)


def _likeness(span: Span, families: dict[str, list[Span]]) -> tuple[object, ...]:
    alone = "" if span.identity not in families else span.identity
    return span.name, span.attributes.get(contract.DB_QUERY_TEXT), span.error, alone


def _row(guide: str, alike: list[Span]) -> list[Text]:
    first = alike[0]
    times = f" {len(alike)} times" if len(alike) > 1 else ""
    name = Text.assemble((guide, "dim"), (first.name, "bold red" if first.error is not None else "bold"), times)
    batch = first.attributes.get(contract.DB_OPERATION_BATCH_SIZE)
    rows = _total(alike, contract.DB_RESPONSE_RETURNED_ROWS)
    return [
        name,
        Text(_number(sum(span.end - span.start for span in alike) / 1e6)),
        Text(_number(_total(alike, contract.DUCKDB_EXECUTE_TIME)), "cyan"),
        Text(_number(_total(alike, contract.DUCKDB_FETCH_TIME)), "magenta"),
        Text("" if rows is None else f"{rows:,}"),
        Text((f"[{batch} sets] " if batch else "") + _one_line(first.attributes.get(contract.DB_QUERY_TEXT)), "dim"),
    ]


def _total(alike: list[Span], attribute: str) -> float | None:
    values = [span.attributes[attribute] for span in alike if attribute in span.attributes]
    return sum(values) if values else None


def _number(milliseconds: float | None) -> str:
    return "" if milliseconds is None else f"{milliseconds:,.1f}"


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())
