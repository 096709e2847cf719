"""Runs the sync of a buffer: once, or for ever in threads, several tables at a time."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Self

import duckdb
from opentelemetry.instrumentation.utils import suppress_instrumentation

from otel_duckdb.sync import operations
from otel_duckdb.sync.background import in_background
from otel_duckdb.sync.buffer import bound, connect, identify
from otel_duckdb.sync.catalog import Catalog
from otel_duckdb.sync.config import Config, Limits, Retry, Table, Target
from otel_duckdb.sync.errors import SyncConfigError, SyncError
from otel_duckdb.sync.idle import IdleTables
from otel_duckdb.sync.inventory import FRESH_SECONDS, Inventory
from otel_duckdb.sync.journal import Journal
from otel_duckdb.sync.observing import Observer
from otel_duckdb.sync.passes import Shared, TableReport, TableWorker
from otel_duckdb.sync.pause import Pause
from otel_duckdb.sync.pools import Pools
from otel_duckdb.sync.signals import default_signals
from otel_duckdb.sync.status import TableStatus, status
from otel_duckdb.telemetry.locks import make_event, make_reentrant_lock
from otel_duckdb.telemetry.syncs import TablePass, rests, runs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from otel_duckdb.sync.signals import SyncSignals

_EXIT_SECONDS: Final = 2.0
"""How long a program that ends waits for a batch that is under way; the next start finds out what became of it."""
_logger = logging.getLogger(__name__)


def _nothing(name: str, rows: int) -> None:
    """Report no progress."""


class Sync:
    """Copies tables of one DuckDB database to ClickHouse, each row exactly once, as often as it is asked to.

        with Sync("buffer.duckdb", ["ticks"], Target(host="clickhouse")) as sync:
            sync.run_once()

    Given a connection instead of a path, it works through cursors of it, made here, so that the connection stays free
    for its owner; close the sync before the connection. Given a path that no one else of this process has open, it
    bounds DuckDB's cache. Without a target it fills an embedded chDB beside the file.
    """

    def __init__(
        self,
        database: str | Path | DuckDBPyConnection,
        tables: Sequence[str | Table],
        target: Target | None = None,
        *,
        batch: Limits | None = None,
        retry: Retry | None = None,
        parallel_tables: int = 4,
        progress: Callable[[str, int], None] = _nothing,
        signals: SyncSignals | None = None,
    ) -> None:
        """Open the journal; `progress` hears of each acknowledged batch its table and rows.

        Raises:
            SyncBusyError: another sync of this process holds the buffer.
            JournalError: the journal is damaged or foreign.
            SyncConfigError: an option has a value that is not allowed.
            SyncError: the database cannot be opened.
        """
        config = Config(
            database="database",
            tables=[Table(name=table) if isinstance(table, str) else table for table in tables],
            target=target or Target(),
            batch=batch or Limits(),
            retry=retry or Retry(),
            parallel_tables=parallel_tables,
        )
        self._owned = None if isinstance(database, duckdb.DuckDBPyConnection) else connect(str(database))
        self._bounded = self._owned is not None and bound(self._owned)
        connection: Any = self._owned if self._owned is not None else database
        if config.target.exposes_password:
            _logger.warning("the password goes to %s without TLS; say `secure = true`", config.target.host)
        with suppress_instrumentation():
            name, path = identify(connection, [table.name for table in config.tables])
            object.__setattr__(config, "database", path or ":memory:")
            self.config = config
            self.target = config.target
            embedded = f"{path}.chdb" if path else None
            self._pools = Pools(connection, name, config.target, embedded, config.parallel_tables)
            self._status_lock = make_reentrant_lock()
            self._journal = Journal(self._pools.cursors.take())
        self._stopping = make_event()
        self._closed = False
        inventory = Inventory(config.target.database, [table.target_name for table in config.tables])
        self._shared = Shared(
            config,
            name,
            self._journal,
            self._pools,
            inventory,
            Catalog(name, self._journal),
            IdleTables(self._journal, self._pools, inventory),
            signals or default_signals(),
            self._stopping,
            self._tell_progress,
            self._unbound,
        )
        self._progress = progress
        self._workers = [TableWorker(options, self._shared) for options in config.tables]
        self._observers = [Observer(worker, self._journal.load, self._pools) for worker in self._workers]
        for worker, observer in zip(self._workers, self._observers, strict=True):
            worker.signals.observe_with(observer)
        self._passing = threading.local()
        self._pauses = {worker.options.name: Pause(self._stopping) for worker in self._workers}
        self._threads: list[Future[None]] = []
        self._process = os.getpid()
        self._at_exit = partial(_end, weakref.ref(self))
        atexit.register(self._at_exit)

    def __enter__(self) -> Self:
        """Use it in a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop and close."""
        self.close()

    @property
    def reports(self) -> dict[str, TableReport]:
        """What the last pass did, by table."""
        return {worker.options.name: worker.report for worker in self._workers if worker.report is not None}

    def status(self) -> list[TableStatus]:
        """How far each table is, also while a pass runs; one that cannot be looked at is failing.

        Raises:
            JournalError: the journal is damaged.
        """
        self._refuse_closed()
        with self._status_lock, suppress_instrumentation():
            cursor = self._pools.cursors.take()
            try:
                return status(cursor, self.config.tables)
            finally:
                self._pools.cursors.give_back(cursor)

    def run_once(self) -> list[TableReport]:
        """Send all that is not yet acknowledged; a table that fails does not hold up the others.

        Raises:
            SyncError: this sync is closed.
        """
        self._refuse_closed()
        if not self._threads:
            self._stopping.clear()
        begun = monotonic()
        with suppress_instrumentation():
            passes = [in_background(self._rest_idle, begun)]
            try:
                reports = dict(passes[0].result())
                waiting: SimpleQueue[TableWorker] = SimpleQueue()
                for worker in self._workers:
                    if worker.options.name not in reports:
                        waiting.put(worker)
                number = min(self.config.parallel_tables, waiting.qsize())
                passes += [in_background(self._work_off, waiting, begun) for _ in range(number)]
                for one in passes:
                    reports |= one.result()
            except BaseException:  # Ctrl-C, for one: the passes end after the batch they are at
                self._stop_passes()
                for one in passes:
                    one.exception()
                raise
        return [reports[worker.options.name] for worker in self._workers]

    def _rest_idle(self, begun: float) -> dict[str, TableReport]:
        """Look at all idle tables together; the reports of those that have nothing to do."""
        if self._stopping.is_set():
            return {}
        held = [worker for worker in self._workers if worker.lock.acquire(blocking=False)]
        try:
            idle = self._shared.idle_tables.resting(held, begun)
            return {worker.options.name: TableReport(worker.options.name, 0) for worker in idle}
        finally:
            for worker in held:
                worker.lock.release()

    def _work_off(self, waiting: SimpleQueue[TableWorker], begun: float) -> dict[str, TableReport]:
        done: dict[str, TableReport] = {}
        while True:
            try:
                worker = waiting.get_nowait()
            except Empty:
                return done
            done[worker.options.name] = self._pass(worker, begun, looked=True)

    def start(self, interval: float = 5.0) -> None:
        """Run in threads, until stop(); each table by itself, with a pause of `interval` seconds after each pass.

        The threads keep no program from ending: at its end it waits two seconds for batches that are under way.

        Raises:
            SyncError: it is running already, or closed.
        """
        self._refuse_closed()
        if self._threads:
            raise SyncError("this sync is running already; call stop() first")
        self._stopping.clear()
        with suppress_instrumentation():
            self._threads = [in_background(self._repeat, worker, interval) for worker in self._workers]
        runs(self)

    @property
    def path(self) -> str | None:
        """The real path of the buffer, None in memory."""
        return None if self.config.database == ":memory:" else os.path.realpath(self.config.database)

    def pending_rows(self) -> int:
        """How many rows of all tables wait to be sent."""
        return sum(row.pending_rows for row in self.status())

    def sync_now(self, timeout: float = 25.0) -> list[TablePass]:
        """Let every table begin a pass at once, not at the end of its pause; what these passes did within `timeout`.

        A table that did not end in time is told as such. It does nothing where the sync does not run in threads.
        """
        until = monotonic() + timeout
        waiting = (
            {name: pause.hurry() for name, pause in self._pauses.items()} if self._threads and not self._forked else {}
        )
        told = []
        for name, number in waiting.items():
            in_time = self._pauses[name].reached(number, until - monotonic())
            report = self.reports.get(name)
            if not in_time or report is None:
                told.append(TablePass(name, 0, f"its pass did not end within {timeout:g} s"))
            else:
                told.append(TablePass(name, report.rows, None if report.error is None else str(report.error)))
        return told

    def stop(self, timeout: float | None = None) -> bool:
        """End the threads after the batch they are at; whether they have ended within `timeout` seconds.

        It takes as long as the batches under way, at most the target's `timeout`, however many tables there are. A call
        from `progress` only gives the word: the pass it is called in goes on until it returns. In a forked child there
        is nothing to end.
        """
        if self._forked:
            return True
        self._stop_passes()
        if getattr(self._passing, "now", False):
            return not self._threads
        until = None if timeout is None else monotonic() + timeout
        for thread in self._threads:
            try:
                thread.exception(None if until is None else max(0.0, until - monotonic()))
            except TimeoutError:
                return False
        self._threads = []
        rests(self)
        return True

    def abort(self) -> None:
        """Stop, and break off what is under way over the network; the next start finds out what became of it."""
        if not self._forked:
            self._stop_passes()
            self._pools.abort()

    def _stop_passes(self) -> None:
        self._stopping.set()
        for pause in self._pauses.values():
            pause.end()

    def _refuse_closed(self) -> None:
        """Refuse to go on without the journal, which another sync, or the process that this one forked from, has."""
        if self._forked:
            raise SyncError(
                f"this sync is that of process {self._process}, which this one forked from; it goes on there"
            )
        if self._closed:
            raise SyncError("this sync is closed; make another one")

    @property
    def _forked(self) -> bool:
        """Whether this is a child's copy: the threads are not here; sockets and the database are the parent's."""
        return os.getpid() != self._process

    def close(self) -> None:
        """Stop, and let others have the buffer; a forked child closes nothing of its parent's."""
        self._closed = True
        atexit.unregister(self._at_exit)
        if self._forked:
            return
        self.stop()
        for worker, observer in zip(self._workers, self._observers, strict=True):
            worker.signals.observe_no_more(observer)
        with self._status_lock:
            self._pools.close()
        self._journal.close()
        if self._owned is not None:
            self._owned.close()

    def reset(self, name: str, *, delete_sent: bool = False) -> None:
        """Forget what was sent of a table: its next sync sends all rows that the buffer holds.

        Of an append-only table they are new rows, beside those sent before, unless `delete_sent` deletes these from the
        target first. Of a table with a key they replace those sent before, and keys that are gone are deleted.

        Raises:
            SyncConfigError: it is none of this sync's tables.
            TargetError: the target does not delete the rows; nothing was forgotten then.
        """
        self._refuse_closed()
        worker = self._worker(name)
        with worker.lock, suppress_instrumentation(), self._pools.working() as (cursor, _, clickhouse):
            operations.reset(worker, cursor, clickhouse, self._shared, delete_sent=delete_sent)

    def describe_reset(self, name: str, *, delete_sent: bool = False) -> str:
        """Tell what reset() would do to the buffer's journal and to the target, in a sentence.

        Raises:
            SyncConfigError: it is none of this sync's tables.
        """
        self._refuse_closed()
        worker = self._worker(name)
        with suppress_instrumentation(), self._pools.working() as (cursor, _, __):
            return operations.describe_reset(worker, cursor, self._shared, delete_sent=delete_sent)

    def rename(self, old: str, new: str) -> None:
        """Go on with a table under the name that it has now; `new` is one of this sync's tables.

        Raises:
            SyncConfigError: the journal does not know `old`, or knows `new` already.
        """
        self._refuse_closed()
        worker = self._worker(new)
        with worker.lock, suppress_instrumentation(), self._pools.working() as (cursor, _, __):
            operations.rename(worker, cursor, self._shared, old)

    def _worker(self, name: str) -> TableWorker:
        for worker in self._workers:
            if worker.options.name.lower() == name.lower():
                return worker
        raise SyncConfigError(
            f"{name!r} is none of this sync's tables: {', '.join(one.name for one in self.config.tables)}"
        )

    def _repeat(self, worker: TableWorker, interval: float) -> None:
        pause = self._pauses[worker.options.name]
        while not self._stopping.is_set():
            pause.begin()
            try:
                self._pass(worker, monotonic() - FRESH_SECONDS)
            except Exception:
                _logger.exception("a pass of the sync failed; the next one follows in %s s", interval)
            pause.rest(interval)

    def _pass(self, worker: TableWorker, begun: float, *, looked: bool = False) -> TableReport:
        self._passing.now = True
        try:
            return worker.run(begun, looked=looked)
        finally:
            self._passing.now = False

    def _tell_progress(self, name: str, rows: int) -> None:
        self._progress(name, rows)

    def _unbound(self, cursor: DuckDBPyConnection) -> bool:
        if not self._bounded:
            return False
        self._bounded = False
        cursor.execute("RESET memory_limit")
        return True


def _end(reference: weakref.ref[Sync]) -> None:
    """Stop a sync that still runs when its program ends."""
    sync = reference()
    if sync is not None and not sync.stop(_EXIT_SECONDS):
        sync.abort()
        sync.stop(_EXIT_SECONDS)
