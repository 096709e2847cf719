"""What a pass over one table works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from duckdb import DuckDBPyConnection

    from otel_duckdb.sync.config import Limits, Table
    from otel_duckdb.sync.destination import Destination
    from otel_duckdb.sync.journal import Journal
    from otel_duckdb.sync.schema import Schema
    from otel_duckdb.sync.sender import Sender
    from otel_duckdb.sync.signals import SyncSpan


@dataclass(frozen=True, slots=True)
class PassContext:
    """One table's options, and the parts that bring it over.

    `schema_without_times` is the table's for a target without Time64. `target_rows` tells cheaply how many rows the
    target holds, earlier versions of rows included; None where nobody knows. `progress` hears of every acknowledged
    batch how many rows it had. Of the two cursors one reads while the other writes the journal.
    """

    options: Table
    limits: Limits
    schema: Schema
    schema_without_times: Callable[[], Schema]
    journal: Journal
    sender: Sender
    destination: Destination
    target_rows: Callable[[], int | None]
    progress: Callable[[int], None]
    cursor: DuckDBPyConnection
    reading_cursor: DuckDBPyConnection

    def target_lacks(self, expected: int, span: SyncSpan) -> bool:
        """Whether the target certainly lacks some of so many rows, so that a closer look is due."""
        if self.options.expires or not expected:
            return False
        found = self.sender.call(f"table {self.options.name!r}", self.target_rows, span)
        return found is not None and found < expected
