"""Charts as SVG inside a page: they need no script, print, and take their colours from the page."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.monitor.figures import labels_text, value_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_WIDTH: Final = 720
_HEIGHT: Final = 160
_LEFT: Final = 84
_BOTTOM: Final = 18
_TOP: Final = 8
LINES: Final = 6
"""Series in one chart; the page has as many colours."""


def chart(title: str, times: Sequence[float], series: Sequence[Mapping[str, Any]]) -> str:
    """Draw up to six series of one metric: the means as lines, what lies between least and most as an area.

    `series` are those of `Monitor.metrics`, whose None is a gap in the line.
    """
    drawn = series[:LINES]
    highest = max((value for one in drawn for value in one["max"] if value is not None), default=0.0)
    lowest = min((value for one in drawn for value in one["min"] if value is not None), default=0.0)
    top, bottom = highest if highest > 0 else 1.0, min(lowest, 0.0)
    unit = str(drawn[0]["unit"]) if drawn else ""
    scale = _Scale(times[0] if times else 0.0, times[-1] if times else 1.0, bottom, top)
    pieces = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(_spoken(title, drawn))}">',
        f'<path class="axis" d="M{_LEFT} {_TOP}V{_HEIGHT - _BOTTOM}H{_WIDTH}"/>',
        f'<text x="{_LEFT - 6}" y="{_TOP + 8}" text-anchor="end">{escape(value_text(top, unit))}</text>',
        f'<text x="{_LEFT - 6}" y="{_HEIGHT - _BOTTOM}" text-anchor="end">{escape(value_text(bottom, unit))}</text>',
    ]
    for number, one in enumerate(drawn):
        for part in _unbroken(one["mean"]):
            pieces += _part(number, part, times, one, scale)
    return "".join([*pieces, "</svg>"])


class _Scale:
    """From times and values to places in the drawing."""

    def __init__(self, start: float, end: float, bottom: float, top: float) -> None:
        self._start, self._bottom = start, bottom
        self._wide = (_WIDTH - _LEFT) / ((end - start) or 1.0)
        self._high = (_HEIGHT - _TOP - _BOTTOM) / ((top - bottom) or 1.0)

    def __call__(self, moment: float, value: float) -> str:
        x = _LEFT + (moment - self._start) * self._wide
        y = _HEIGHT - _BOTTOM - (value - self._bottom) * self._high
        return f"{x:.1f},{y:.1f}"


def _part(number: int, part: range, times: Sequence[float], one: Mapping[str, Any], scale: _Scale) -> list[str]:
    """One unbroken stretch of a series."""
    line = " ".join(scale(times[step], one["mean"][step]) for step in part)
    if len(part) == 1:
        x, _, y = line.partition(",")
        return [f'<circle class="dot{number}" cx="{x}" cy="{y}" r="1.5"/>']
    over = [scale(times[step], one["max"][step]) for step in part]
    under = [scale(times[step], one["min"][step]) for step in reversed(part)]
    area = [] if over == under[::-1] else [f'<polygon class="area{number}" points="{" ".join(over + under)}"/>']
    return [*area, f'<polyline class="line{number}" points="{line}"/>']


def _unbroken(values: Sequence[float | None]) -> Iterator[range]:
    """The stretches without a gap."""
    start: int | None = None
    for step, value in enumerate([*values, None]):
        if value is None and start is not None:
            yield range(start, step)
            start = None
        elif value is not None and start is None:
            start = step


def _spoken(title: str, drawn: Sequence[Mapping[str, Any]]) -> str:
    """What a chart says to those who do not see it."""
    said = []
    for one in drawn:
        known = [value for value in one["mean"] if value is not None]
        if known:
            name = labels_text(one["labels"])
            said.append(f"{name + ': ' if name else ''}last {value_text(known[-1], one['unit'])}")
    return f"{title}. {'; '.join(said) or 'no samples'}"
