"""What the target tables are, asked for all of them at once: 200 tables are one question."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from otel_duckdb.sync.shape import read_shapes
from otel_duckdb.sync.types import literal
from otel_duckdb.telemetry.locks import make_reentrant_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_duckdb.sync.shape import Shape
    from otel_duckdb.sync.target import Clickhouse

T = TypeVar("T")

FRESH_SECONDS: Final = 1.0
"""A sync that goes on by itself asks no more often."""


class _Answers(Generic[T]):
    """What was answered last, by table; who waited for an answer that did not come shares its error."""

    def __init__(self, ask: Callable[[Clickhouse], dict[str, T]]) -> None:
        self._ask = ask
        self._lock = make_reentrant_lock()
        self._asked = self._failed = -1.0
        self._found: dict[str, T] = {}
        self._error: Exception | None = None

    def get(self, clickhouse: Clickhouse, not_before: float) -> dict[str, T]:
        """Answers of a moment not before `not_before`."""
        called = monotonic()
        with self._lock:
            if self._error is not None and called <= self._failed:
                raise self._error.with_traceback(None)
            if self._asked < not_before:
                self._renew(clickhouse)
            return self._found

    def _renew(self, clickhouse: Clickhouse) -> None:
        begin = monotonic()
        try:
            self._found = self._ask(clickhouse)
            self._asked, self._error = begin, None
        except Exception as error:
            self._failed, self._error = monotonic(), error
            raise

    def drop(self, name: str) -> None:
        """Let nobody have the answer for a table that has changed since."""
        with self._lock:
            self._found.pop(name, None)


class Inventory:
    """The target tables of one sync."""

    def __init__(self, database: str, names: Sequence[str]) -> None:
        """Ask for these tables of a database."""
        tables = ", ".join(map(literal, names))
        query = (
            f"SELECT name, total_rows FROM system.tables WHERE database = {literal(database)} AND name IN ({tables})"
        )
        self._rows: _Answers[int | None] = _Answers(
            lambda clickhouse: {name: None if rows is None else int(rows) for name, rows in clickhouse.rows(query)}
        )
        self._shapes = _Answers(lambda clickhouse: read_shapes(clickhouse, names))

    def rows(self, clickhouse: Clickhouse, name: str, not_before: float) -> int | None:
        """How many rows a table held at a moment not before `not_before`; 0 where it is gone, None where nobody knows.

        ClickHouse counts them without reading any. Raises what `clickhouse` does.
        """
        return self._rows.get(clickhouse, not_before).get(name, 0)

    def shape(self, clickhouse: Clickhouse, name: str, not_before: float) -> Shape | None:
        """What a table was at a moment not before `not_before`, None where it is gone.

        Raises what `clickhouse` does.
        """
        shapes = self._shapes.get(clickhouse, not_before)
        return shapes[name] if name in shapes else read_shapes(clickhouse, [name])[name]

    def changed(self, name: str) -> None:
        """Hear that a table is made or altered: what it was does not count any more."""
        self._shapes.drop(name)


@dataclass(frozen=True, slots=True)
class Seen:
    """One target table, seen not before a moment."""

    inventory: Inventory
    clickhouse: Clickhouse
    name: str
    not_before: float

    def rows(self) -> int | None:
        """How many rows it held, as Inventory.rows() tells it."""
        return self.inventory.rows(self.clickhouse, self.name, self.not_before)

    def shape(self) -> Shape | None:
        """What it was, as Inventory.shape() tells it."""
        return self.inventory.shape(self.clickhouse, self.name, self.not_before)

    def changed(self) -> None:
        """Hear that it is made or altered."""
        self.inventory.changed(self.name)
