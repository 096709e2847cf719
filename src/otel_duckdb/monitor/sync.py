"""How far the tables are that this process copies: what waits and for how long, how fast it goes, what failed last."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb import contract
from otel_duckdb.monitor.part import Part
from otel_duckdb.monitor.sample import Series
from otel_duckdb.monitor.times import iso
from otel_duckdb.telemetry.section import in_section
from otel_duckdb.telemetry.sync_tables import sync_tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_duckdb.monitor.sample import Sample
    from otel_duckdb.telemetry.sync_tables import SyncTable

_EVERY_SECONDS: Final = 10.0
"""Between two looks at what waits; a look at a large table takes time, so it is taken in a thread of its own."""
_RATE_SECONDS: Final = 60.0


class SyncProgress(Part):
    """Follows the tables."""

    component = "sync"

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[int, float] | None] = {}
        self._rows: deque[tuple[float, dict[int, tuple[int, int]]]] = deque()
        self._due = 0.0
        self._looked_at: set[int] = set()
        self._looking: threading.Thread | None = None

    def sampled(self, sample: Sample) -> None:
        """Remember how many rows were sent by now, and look at what waits when it is time to."""
        tables = sync_tables()
        if not tables:
            self._rows.clear()
            return
        self._rows.append((sample.monotonic, {id(one): (one.rows, one.bytes) for one in tables}))
        while sample.monotonic - self._rows[0][0] > _RATE_SECONDS:
            self._rows.popleft()
        fresh = any(table.observe is not None and id(table) not in self._looked_at for table in tables)
        if (fresh or sample.monotonic >= self._due) and (self._looking is None or not self._looking.is_alive()):
            self._due = sample.monotonic + _EVERY_SECONDS
            self._looked_at = {id(table) for table in tables if table.observe is not None}
            self._looking = threading.Thread(
                target=in_section(self._look), args=(tables,), name="otel-duckdb-sync-watch", daemon=True
            )
            self._looking.start()

    def points(self) -> Iterator[tuple[Series, float]]:
        """The gauges of the sync, as they were seen last."""
        for table in sync_tables():
            waiting = self._waiting.get(id(table))
            if waiting is not None:
                labels = tuple(sorted((name, str(value)) for name, value in table.labels().items()))
                yield Series(contract.SYNC_PENDING_ROWS.name, labels), float(waiting[0])
                yield Series(contract.SYNC_LAG.name, labels), _lag(waiting)

    def as_json(self) -> dict[str, Any]:
        """The tables as the API shows them, those that failed last first."""
        told = [self._told(table) for table in sync_tables()]
        return {"tables": sorted(told, key=lambda each: not each["failing"])}

    def _told(self, table: SyncTable) -> dict[str, Any]:
        waiting = self._waiting.get(id(table))
        rows, size = self._rate(table)
        failed, succeeded = table.failed_at, table.succeeded_at
        return {
            "table": table.name,
            "database": table.database,
            "running": table.observe is not None,
            "failing": failed is not None and (succeeded is None or failed > succeeded),
            "pending_rows": None if waiting is None else waiting[0],
            "lag_seconds": None if waiting is None else _lag(waiting),
            "rows": table.rows,
            "bytes": table.bytes,
            "rows_per_second": rows,
            "bytes_per_second": size,
            "succeeded": table.succeeded,
            "failed": table.failed,
            "retries": table.retries,
            "last_success": None if succeeded is None else iso(succeeded),
            "last_failure": None if failed is None else iso(failed),
            "last_error": table.error or None,
        }

    def _rate(self, table: SyncTable) -> tuple[float | None, float | None]:
        """Rows and bytes a second within the last minute; None where it has not been followed for long enough."""
        known = [(moment, counts[id(table)]) for moment, counts in tuple(self._rows) if id(table) in counts]
        if not known or known[-1][0] <= known[0][0]:
            return None, None
        seconds = known[-1][0] - known[0][0]
        before, after = known[0][1], known[-1][1]
        return (after[0] - before[0]) / seconds, (after[1] - before[1]) / seconds

    def _look(self, tables: list[SyncTable]) -> None:
        found: dict[int, tuple[int, float] | None] = {}
        for table in tables:
            observe = table.observe
            try:
                found[id(table)] = None if observe is None else observe()
            except Exception:  # the buffer is gone; the table's next pass tells of it
                found[id(table)] = None
        self._waiting = found


def _lag(waiting: tuple[int, float]) -> float:
    return max(0.0, time.time() - waiting[1]) if waiting[0] else 0.0
