"""The live table of `otel-duckdb sync --watch`: who is unwell comes first, and what does not fit is counted."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

from rich.console import Group
from rich.table import Table
from rich.text import Text

from otel_duckdb.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from otel_duckdb.sync import TableStatus

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400
_NARROWEST_NAME: Final = 8
_HEADS: Final = ("table", "stored", "waiting", "caught up")
_GAP: Final = 2
_FRAME_LINES: Final = 6
"""Title, heads, what is not shown, the last word, and a line or two to spare."""


def view(
    title: str, rows: Sequence[TableStatus], word: str, size: tuple[int, int], moment: datetime | None = None
) -> RenderableType:
    """The tables as they are, fit for a terminal of `size` columns and lines; `word` is what was logged last."""
    width, height = size
    moment = moment or datetime.now(UTC)
    unwell = [row for row in rows if not row.healthy]
    ordered = [*unwell, *sorted((row for row in rows if row.healthy), key=lambda row: -row.pending_rows)]
    failures = [_failure(row, width) for row in unwell if row.failure]
    room = max(1, height - _FRAME_LINES - sum(_lines(one, width) for one in failures[:3]))
    parts: list[RenderableType] = [Text(shortened(title, width), style="dim"), _table(ordered[:room], width, moment)]
    if len(ordered) > room:
        hidden = ordered[room:]
        waiting = sum(row.pending_rows for row in hidden)
        parts.append(Text(f"and {len(hidden)} more, with {waiting:,} rows waiting", style="dim"))
    parts += failures[:3]
    if word:
        parts.append(Text(shortened(word, width), style="dim"))
    return Group(*parts)


def _table(rows: Sequence[TableStatus], width: int, moment: datetime) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    for name in _HEADS:
        side: Literal["left", "right"] = "right" if name in ("stored", "waiting") else "left"
        table.add_column(name, justify=side, no_wrap=True, overflow="crop")
    cells = [(figure(row.acknowledged_rows), figure(row.pending_rows), _state(row, moment)) for row in rows]
    others = sum(_GAP + max(len(part) for part in column) for column in zip(_HEADS[1:], *cells, strict=True))
    for row, (stored, waiting, state) in zip(rows, cells, strict=True):
        name = _cut_in_the_middle(row.name, max(_NARROWEST_NAME, width - others))
        style = "" if row.healthy else "bold red"
        table.add_row(Text(name, style=style), stored, waiting, Text(state, style=style))
    return table


def _state(row: TableStatus, moment: datetime) -> str:
    if not row.healthy:
        return "FULL" if row.full and not row.failure else "FAILING"
    if row.caught_up is None:
        return "not yet"
    if not row.pending_rows:
        return "yes"
    return f"{_age((moment - datetime.fromisoformat(row.caught_up)).total_seconds())} ago"


def _age(seconds: float) -> str:
    """`250` as `4 min`."""
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def figure(count: int) -> str:
    """A count in nine characters at most: `1,234,567`, then `12,345 M`."""
    million = 1_000_000
    return f"{count:,}" if count < 10 * million else f"{count / million:,.0f} M"


def _failure(row: TableStatus, width: int) -> Text:
    since = f"since {row.failing_since[11:19]} " if row.failing_since else ""
    name = "" if row.failure and row.name in row.failure else f"{row.name}: "
    return Text(shortened(f"{since}{name}{row.failure}", 4 * width), style="red")


def _lines(text: Text, width: int) -> int:
    return -(-len(text.plain) // max(1, width)) + 1


def shortened(text: str, length: int) -> str:
    """A text in one line of so many characters at most; three dots, which any terminal knows, tell that it was cut."""
    line = printable(text)
    return line if len(line) <= length else line[: max(0, length - 3)] + "..."


def _cut_in_the_middle(name: str, length: int) -> str:
    """A name, of which the end tells as much as the beginning."""
    line = printable(name)
    if len(line) <= length:
        return line
    kept = length - 3
    return line[: kept - kept // 2] + "..." + line[len(line) - kept // 2 :]


class LastWord(logging.Handler):
    """Keeps the last line that was logged: printed as usual, it would tear the table apart."""

    def __init__(self) -> None:
        """Nothing was logged yet."""
        super().__init__()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it, with its time."""
        moment = datetime.fromtimestamp(record.created, UTC)
        self.text = f"{moment:%H:%M:%S} {printable(record.getMessage())}"
