"""How far a table is, looked up when metrics are collected: also while no pass runs, and after the last one."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

import duckdb
from opentelemetry.instrumentation.utils import suppress_instrumentation

from otel_duckdb.sync.errors import SyncError
from otel_duckdb.sync.status import pending_rows
from otel_duckdb.telemetry.locks import make_reentrant_lock

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_duckdb.sync.passes import TableWorker
    from otel_duckdb.sync.pools import Pools
    from otel_duckdb.sync.state import State

_SHARE: Final = 20
"""A look at a large table with a key takes time; so it is taken for a twentieth of the time at most."""


class Observer:
    """Looks at one table through a cursor of its own, and remembers what it saw for a moment."""

    def __init__(self, worker: TableWorker, load: Callable[[str], State | None], pools: Pools) -> None:
        """Look at a worker's table; `load` finds its state in the journal."""
        self._worker = worker
        self._load = load
        self._pools = pools
        self._process = os.getpid()
        self._lock = make_reentrant_lock()
        self._last: tuple[int, float] | None = None
        self._due = 0.0
        self._looked = 0.0
        self._none_waited = 0.0

    def __call__(self) -> tuple[int, float] | None:
        """How many rows wait, and since when at most, in seconds of the wall clock; None where that cannot be told."""
        if os.getpid() != self._process:  # a forked child: the database, and the sync, are its parent's
            return None
        if self._lock.acquire(blocking=False):  # another reader looks at this moment, and what it finds will do
            try:
                begin = time.monotonic()
                if begin >= self._due:
                    self._last, self._looked = self._look(), begin
                    self._due = time.monotonic() + (time.monotonic() - begin) * _SHARE
                    return self._last
            finally:
                self._lock.release()
        if self._worker.none_waited > self._looked:  # a pass has begun since, and left nothing
            return 0, time.time()
        return self._last

    def _look(self) -> tuple[int, float] | None:
        now = time.time()
        try:
            with suppress_instrumentation():
                cursor = self._pools.cursors.take()
                try:
                    location = self._worker.locate(cursor)
                    state = self._load(location.journal_name)
                    pending = pending_rows(cursor, self._worker.options, location, state)
                finally:
                    self._pools.cursors.give_back(cursor)
        except (SyncError, duckdb.Error):  # a pass tells what is wrong with the table, or the connection is closed
            return None
        if not pending:
            self._none_waited = now
        return pending, max(self._none_waited, state.behind_since if state else 0.0) or now
