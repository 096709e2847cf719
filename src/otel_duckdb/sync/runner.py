"""Runs the sync of a buffer: once, or for ever in a thread, several tables at a time."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

import duckdb
from opentelemetry.instrumentation.utils import suppress_instrumentation

from otel_duckdb import contract
from otel_duckdb.sync.append import AppendPass
from otel_duckdb.sync.config import Config, Limits, Retry, Table, Target
from otel_duckdb.sync.destination import Destination
from otel_duckdb.sync.errors import SyncConfigError, SyncError
from otel_duckdb.sync.journal import Journal
from otel_duckdb.sync.keyed import KeyedPass
from otel_duckdb.sync.schema import Schema, read
from otel_duckdb.sync.sender import Sender
from otel_duckdb.sync.signals import default_signals
from otel_duckdb.sync.state import State
from otel_duckdb.sync.status import TableStatus, status
from otel_duckdb.sync.target import Clickhouse
from otel_duckdb.sync.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from otel_duckdb.sync.signals import SyncSignals, SyncSpan

_MEMORY_LIMIT: Final = "96MB"
"""Of DuckDB, where the sync alone has the database open: its cache would else grow with the table."""
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TableReport:
    """What one pass did for one table; `error` is None where nothing failed."""

    name: str
    rows: int
    error: SyncError | None = None


def _nothing(name: str, rows: int) -> None:
    """Report no progress."""


class _Worker:
    """One table: its cursors, its client, and whether its target was checked."""

    def __init__(self, sync: Sync, options: Table, cursors: tuple[DuckDBPyConnection, DuckDBPyConnection]) -> None:
        self.options = options
        self.cursors = cursors
        self.clickhouse = Clickhouse(sync.target, sync.embedded_path)
        self.prepared = False
        self.caught_up = ""
        self.lock = threading.Lock()

    def close(self) -> None:
        with self.lock:
            self.clickhouse.close()
            for cursor in self.cursors:
                cursor.close()


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
        self._owned = None if isinstance(database, duckdb.DuckDBPyConnection) else _connect(str(database))
        self._bounded = self._owned is not None and _bound(self._owned)
        connection: Any = self._owned if self._owned is not None else database
        with suppress_instrumentation():
            name, path = _identify(connection)
            self.config = Config(
                database=path or ":memory:",
                tables=[Table(name=table) if isinstance(table, str) else table for table in tables],
                target=target or Target(),
                batch=batch or Limits(),
                retry=retry or Retry(),
                parallel_tables=parallel_tables,
            )
            self.target = self.config.target
            self.embedded_path = f"{path}.chdb" if path else None
            self._status_cursor = connection.cursor()
            self._status_lock = threading.Lock()
            self._journal = Journal(connection.cursor())
            self._workers = [
                _Worker(self, options, (connection.cursor(), connection.cursor())) for options in self.config.tables
            ]
        self._database = name
        self._progress = progress
        self._signals = signals or default_signals()
        self._stopping = threading.Event()
        self._slots = threading.Semaphore(self.config.parallel_tables)
        self._passing = threading.local()
        self._thread: threading.Thread | None = None
        self._last: dict[str, TableReport] = {}

    def __enter__(self) -> Self:
        """Use it in a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop and close."""
        self.close()

    @property
    def reports(self) -> dict[str, TableReport]:
        """What the last pass did, by table."""
        return dict(self._last)

    def status(self) -> list[TableStatus]:
        """How far each table is, also while a pass runs.

        Raises:
            JournalError: the journal is damaged.
            SyncConfigError: a table is gone.
        """
        with self._status_lock:
            return status(self._status_cursor, self.config.tables)

    def run_once(self) -> list[TableReport]:
        """Send all that is not yet acknowledged; a table that fails does not hold up the others."""
        if self._thread is None:
            self._stopping.clear()
        with suppress_instrumentation(), ThreadPoolExecutor(len(self._workers), "otel-duckdb-sync") as pool:
            passes = [pool.submit(copy_context().run, self._pass, worker) for worker in self._workers]
            try:
                return [one.result() for one in passes]
            except BaseException:  # Ctrl-C, for one: the passes end after the batch they are at
                self._stopping.set()
                raise

    def start(self, interval: float = 5.0) -> None:
        """Run in threads, until stop(); each table by itself, with a pause of `interval` seconds after each pass."""
        if self._thread is not None:
            raise SyncError("this sync is running already; call stop() first")
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, args=(interval,), name="otel-duckdb-sync", daemon=True)
        self._thread.start()

    def stop(self, timeout: float | None = None) -> bool:
        """End the threads after the batch they are at; whether they have ended within `timeout` seconds.

        A call from `progress` only gives the word: the pass it is called in goes on until it returns.
        """
        self._stopping.set()
        thread = self._thread
        if thread is None:
            return True
        if getattr(self._passing, "now", False):
            return False
        thread.join(timeout)
        if thread.is_alive():
            return False
        self._thread = None
        return True

    def close(self) -> None:
        """Stop, and let others have the buffer."""
        self.stop()
        self._stopping.set()
        for worker in self._workers:
            worker.close()
        with self._status_lock:
            self._status_cursor.close()
        self._journal.close()
        if self._owned is not None:
            self._owned.close()

    def reset(self, name: str) -> None:
        """Forget what was sent of a table: its next sync sends all rows the buffer holds, and they are new ones."""
        for worker in self._workers:
            if worker.options.name == name:
                with worker.lock, suppress_instrumentation():
                    self._journal.forget(name)
                    worker.prepared, worker.caught_up = False, ""
                return
        raise SyncConfigError(
            f"{name!r} is none of this sync's tables: {', '.join(one.name for one in self.config.tables)}"
        )

    def _run(self, interval: float) -> None:
        with suppress_instrumentation(), ThreadPoolExecutor(len(self._workers), "otel-duckdb-sync") as pool:
            for worker in self._workers:
                pool.submit(copy_context().run, self._repeat, worker, interval)

    def _repeat(self, worker: _Worker, interval: float) -> None:
        while not self._stopping.is_set():
            try:
                self._pass(worker)
            except Exception:
                _logger.exception("a pass of the sync failed; the next one follows in %s s", interval)
            self._stopping.wait(interval)

    def _pass(self, worker: _Worker) -> TableReport:
        with self._slots, worker.lock:
            self._passing.now = True
            try:
                report = self._last[worker.options.name] = self._report(worker)
            finally:
                self._passing.now = False
        return report

    def _report(self, worker: _Worker) -> TableReport:
        name, before = worker.options.name, 0
        try:
            state = self._journal.load(name)
            before = state.acknowledged_rows if state else 0
            signals = self._signals.table(name, self._database)
            with signals.span(**{contract.SYNC_TARGET: worker.options.target_name}) as span:
                state = self._work(worker, state, span)
            return TableReport(name, state.acknowledged_rows - before)
        except Exception as error:
            worker.prepared = False
            if self._bounded and "Out of Memory" in str(error):
                self._bounded = False
                worker.cursors[0].execute("RESET memory_limit")
                return self._report(worker)
            return self._failed(worker, before, error)

    def _work(self, worker: _Worker, state: State | None, span: SyncSpan) -> State:
        options, cursor = worker.options, worker.cursors[0]
        sender = Sender(
            worker.clickhouse, self.config.retry, self._signals.table(options.name, self._database), self._stopping
        )
        schema_for = partial(read, cursor, options.name, options.key or options.order_by)
        state = self._known(options, schema_for(True), state)
        state = replace(state, caught_up=max(state.caught_up, worker.caught_up))
        task = Task(
            options,
            self.config.batch,
            schema_for,
            self._journal,
            sender,
            Destination(worker.clickhouse, options),
            partial(self._tell_progress, options.name),
        )
        one = KeyedPass(task, worker.cursors) if options.key else AppendPass(task, worker.cursors)
        state = one.run(state, span, prepare=not worker.prepared)
        worker.prepared, worker.caught_up = True, state.caught_up
        return state

    def _tell_progress(self, name: str, rows: int) -> None:
        try:
            self._progress(name, rows)
        except Exception:
            _logger.exception("`progress` failed; the sync goes on")

    def _known(self, options: Table, schema: Schema, state: State | None) -> State:
        """The journal's state, begun where there is none; it is refused for another target or kind of table."""
        if state is None:
            state = State.fresh(options.name, options.target_name, bool(options.key), schema.signature)
            self._journal.store(state)
        if (state.target, state.keyed) != (options.target_name, bool(options.key)):
            raise SyncConfigError(
                f"table {options.name!r} was synced to {state.target!r} {'with' if state.keyed else 'without'} a key "
                "before; name them as before, or start over with `otel-duckdb sync --reset`"
            )
        return state

    def _failed(self, worker: _Worker, before: int, error: Exception) -> TableReport:
        name = worker.options.name
        known = error if isinstance(error, SyncError) else _unforeseen(name, error)
        _logger.error("sync of %s failed: %s", name, known)
        rows = 0
        try:
            state = self._journal.load(name)
            if state is not None:
                rows = state.acknowledged_rows - before
                self._journal.store(state.fail(str(known)[:2000]))
        except (SyncError, duckdb.Error) as second:
            _logger.error("the failure could not be written to the journal: %s", second)  # noqa: TRY400 - no stack needed
        return TableReport(name, rows, known)


def _unforeseen(name: str, error: Exception) -> SyncError:
    failure = SyncError(f"table {name!r}: {type(error).__qualname__}: {error}")
    failure.__cause__ = error
    return failure


def _connect(path: str) -> DuckDBPyConnection:
    try:
        with suppress_instrumentation():
            return duckdb.connect(path)
    except duckdb.Error as error:
        raise SyncError(
            f"cannot open {path}: {error}; a DuckDB file is open in one process at a time: run the sync in the process "
            "that has it, with otel_duckdb.sync.Sync"
        ) from error


def _bound(connection: DuckDBPyConnection) -> bool:
    """Bound DuckDB's memory, unless others in this process use it too; whether that was done."""
    with suppress_instrumentation():
        alone = connection.execute("SELECT * FROM duckdb_connection_count()").fetchall() == [(1,)]
        if alone:
            connection.execute(f"SET memory_limit = '{_MEMORY_LIMIT}'")
    return alone


def _identify(connection: DuckDBPyConnection) -> tuple[str, str | None]:
    cursor = connection.cursor()
    try:
        name, path = cursor.execute(
            "SELECT database_name, path FROM duckdb_databases() WHERE database_name = current_database()"
        ).fetchall()[0]
    finally:
        cursor.close()
    return name, path
