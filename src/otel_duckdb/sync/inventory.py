"""How many rows each target table holds, asked for all of them at once: 200 idle tables are one question."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from otel_duckdb.telemetry.locks import make_reentrant_lock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_duckdb.sync.target import Clickhouse

FRESH_SECONDS: Final = 1.0
"""A sync that goes on by itself asks no more often."""


class Inventory:
    """The rows of the target tables of one sync, as ClickHouse counts them without reading any."""

    def __init__(self, database: str, names: Sequence[str]) -> None:
        """Ask for these tables of a database."""
        quoted = ", ".join("'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'" for name in (database, *names))
        where, _, tables = quoted.partition(", ")
        self._query = f"SELECT name, total_rows FROM system.tables WHERE database = {where} AND name IN ({tables})"
        self._lock = make_reentrant_lock()
        self._asked = -1.0
        self._rows: dict[str, int | None] = {}
        self._error: Exception | None = None

    def rows(self, clickhouse: Clickhouse, name: str, not_before: float) -> int | None:
        """How many rows a table held at a moment not before `not_before`; 0 where it is gone, None where nobody knows.

        Raises what `clickhouse` does; who waited for an answer that did not come shares its error.
        """
        with self._lock:
            if self._asked < not_before:
                self._ask(clickhouse)
            if self._error is not None:
                raise self._error.with_traceback(None)
            return self._rows.get(name, 0)

    def _ask(self, clickhouse: Clickhouse) -> None:
        begin = monotonic()
        try:
            found = clickhouse.rows(self._query)
            self._rows = {str(name): None if rows is None else int(rows) for name, rows in found}
            self._asked, self._error = begin, None
        except Exception as error:
            self._asked, self._error = monotonic(), error
            raise
