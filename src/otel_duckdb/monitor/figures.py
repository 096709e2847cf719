"""Numbers as people read them, by the unit that the contract gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_BYTES: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_STEP: Final = 1024.0
_MINUTE_MS: Final = 60_000.0
_SECOND_MS: Final = 1000.0


def bytes_text(value: float | None) -> str:
    """`1536` as `1.5 KiB`; `-` for what is not known."""
    if value is None:
        return "-"
    unit = 0
    while abs(value) >= _STEP and unit < len(_BYTES) - 1:
        value, unit = value / _STEP, unit + 1
    return f"{value:.0f} B" if unit == 0 else f"{value:.1f} {_BYTES[unit]}"


def duration_text(milliseconds: float | None) -> str:
    """`1500` as `1.50 s`; `-` for what is not known."""
    if milliseconds is None:
        return "-"
    if milliseconds < _SECOND_MS:
        return f"{milliseconds:.2f} ms"
    if milliseconds < _MINUTE_MS:
        return f"{milliseconds / _SECOND_MS:.2f} s"
    minutes, seconds = divmod(round(milliseconds / _SECOND_MS), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s"


def value_text(value: float | None, unit: str) -> str:
    """A value with its unit: bytes and times in what fits them, others as they are."""
    if value is None:
        return "-"
    if unit == "By":
        return bytes_text(value)
    if unit in {"s", "ms"}:
        return duration_text(value * _SECOND_MS if unit == "s" else value)
    shown = f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"
    plain = unit.strip("{}") if unit.startswith("{") and unit.endswith("}") else unit.replace("{", "").replace("}", "")
    return f"{shown} {plain}".strip() if plain != "1" else shown


def labels_text(labels: Mapping[str, Any]) -> str:
    """Labels as one short text; empty where there are none. A report is of one process, so its id is left out."""
    return ", ".join(f"{name}={value}" for name, value in labels.items() if name != "instance_id")


def shown_time(iso: str) -> str:
    """A time of ISO 8601 in UTC to the second, as a person reads it."""
    return f"{iso[:10]} {iso[11:19]} UTC"
