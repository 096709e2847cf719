"""A database's limit of memory in bytes: DuckDB tells it with one decimal alone, and set to that it would creep."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from otel_duckdb.core.listener import Listener
from otel_duckdb.monitor.actions.action import Refused
from otel_duckdb.monitor.machine import memory_total

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_duckdb.core.operation import Operation
    from otel_duckdb.core.source import Cursor
    from otel_duckdb.monitor.actions.action import Target

_SETTING: Final = "select system.main.current_setting('memory_limit')"
_SET: Final = re.compile(
    r"""\b(?:set|pragma)\s+(?:(?:global|session|local)\s+)?(?:memory_limit|max_memory)\s*(?:=|\bto\b)\s*
        ['"]?\s*([0-9.]+\s*%?\s*[a-z]*)\s*['"]?""",
    re.IGNORECASE | re.VERBOSE,
)
_AMOUNT: Final = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(%|[a-z]*)", re.IGNORECASE)
_UNITS: Final = {
    **dict.fromkeys(("", "b", "byte", "bytes"), 1),
    **{f"{prefix}{unit}": 1000**power for power, prefix in enumerate("kmgt", 1) for unit in ("", "b")},
    **{f"{prefix}ib": 1024**power for power, prefix in enumerate("kmgt", 1)},
}
_REMEMBERED: Final = 64


class MemoryLimits(Listener):
    """Remembers what the program set a database's limit to, and finds the bytes that what DuckDB tells stands for."""

    component = "actions"
    kinds = frozenset({"SET", "PRAGMA"})

    def __init__(self) -> None:
        self._set: dict[str, str] = {}

    def record(self, operation: Operation) -> None:
        """Take note of a statement that sets the limit."""
        if operation.error is not None:
            return
        found = _SET.findall(operation.text)
        label = "" if operation.connection is None else operation.connection.label
        if found and label and (label in self._set or len(self._set) < _REMEMBERED):
            self._set[label] = found[-1]

    def was_set(self, database: str, size: int) -> None:
        """Take note that we set it ourselves."""
        self._set[database] = f"{size}B"

    def exact(self, target: Target) -> int:
        """The limit in bytes.

        Raises:
            Refused: what DuckDB tells may stand for several, and none of them is known to have been set.
        """
        told = limit_text(target.cursor)
        for text in self._candidates(target):
            size = _size(text)
            if size and target.cursor.rows(f"select system.main.format_bytes({size})")[0][0] == told:
                return size
        raise Refused(f"memory_limit is {told} to one decimal, and its bytes are not known; set it once by SET")

    def _candidates(self, target: Target) -> Iterator[str]:
        if target.database.name in self._set:
            yield self._set[target.database.name]
        for connection in target.connections():
            if connection.memory_limit is not None:
                yield connection.memory_limit
        yield "80%"  # DuckDB's default


def limit_text(cursor: Cursor) -> str:
    """The limit as DuckDB tells it."""
    return str(cursor.rows(_SETTING)[0][0])


def set_limit(cursor: Cursor, size: int) -> None:
    """Set the limit to exactly so many bytes."""
    cursor.run(f"set global memory_limit = '{size}B'")


def _size(text: str) -> int | None:
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        return None
    number, unit = float(found[1]), found[2].lower()
    if unit == "%":
        return int(memory_total() * number / 100)
    return int(number * _UNITS[unit]) if unit in _UNITS else None
