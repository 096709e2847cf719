"""The tables that this process copies, for whoever follows them beside the signals: the monitor."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakSet

from otel_duckdb.telemetry.locks import make_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.util.types import AttributeValue

    Observed = tuple[int, float]


@dataclass(slots=True, eq=False, weakref_slot=True)
class SyncTable:
    """How far one table is; written by the threads that copy it.

    Attributes:
        name: The table's name, as the metrics have it.
        database: The DuckDB database, empty where the process has one.
        labels: Returns the labels of its metrics.
        observe: Returns how many rows wait, and since when, in seconds since 1970; None where nobody knows any more.
        rows: Rows acknowledged.
        bytes: Their bytes.
        succeeded: Attempts that succeeded.
        failed: Attempts that failed.
        retries: Attempts that were made again.
        succeeded_at: When one succeeded last, in seconds since 1970; None where none did.
        failed_at: When one failed last, the same.
        error: What failed last, without what it quotes of the data; empty where nothing did.
    """

    name: str
    database: str
    labels: Callable[[], Mapping[str, AttributeValue]]
    observe: Callable[[], Observed | None] | None = None
    rows: int = 0
    bytes: int = 0
    succeeded: int = 0
    failed: int = 0
    retries: int = 0
    succeeded_at: float | None = None
    failed_at: float | None = None
    error: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Let it be found."""
        with _lock:
            _known.add(self)

    def success(self) -> None:
        """An attempt succeeded."""
        self.succeeded += 1
        self.succeeded_at = time.time()

    def failure(self, error: str) -> None:
        """An attempt failed."""
        self.failed += 1
        self.failed_at, self.error = time.time(), error


_known: WeakSet[SyncTable] = WeakSet()
_lock = make_lock()


def sync_tables() -> list[SyncTable]:
    """Return the tables that this process copies or has copied, by their names."""
    with _lock:
        known = list(_known)
    return sorted(known, key=lambda table: (table.database, table.name))
