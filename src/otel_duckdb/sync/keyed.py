"""One pass over a table with a key: rows that are new, changed or gone since they were last sent.

The journal keeps, of each row that was sent, its key and DuckDB's hash of it. So changes are found whatever the order
of the commits was, and without any column for it; and a batch needs no bounds: what was not acknowledged has no hash,
whatever has become of it meanwhile, so it is sent again, and replaces itself in the target, because each batch has a
higher version than those before.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import duckdb
import pyarrow as pa

from otel_duckdb.sync.arrow import TooLargeError, record_batches
from otel_duckdb.sync.errors import DuplicateKeyError
from otel_duckdb.sync.guards import check
from otel_duckdb.sync.journal import keys_table
from otel_duckdb.sync.keys import HASH, differing, gone
from otel_duckdb.sync.payload import nulls_like, pack
from otel_duckdb.sync.schema import DELETED_COLUMN, VERSION_COLUMN, added, find
from otel_duckdb.sync.sender import token_of
from otel_duckdb.sync.source import changing
from otel_duckdb.sync.state import State, now, seconds_of
from otel_duckdb.sync.types import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duckdb import DuckDBPyConnection

    from otel_duckdb.sync.signals import SyncSpan
    from otel_duckdb.sync.task import Task

_BATCH: Final = "otel_duckdb_batch"
_RECORD_BATCH_ROWS: Final = 8192


class KeyedPass:
    """One pass over one table with a key."""

    def __init__(self, task: Task, cursors: tuple[DuckDBPyConnection, DuckDBPyConnection]) -> None:
        """Prepare the pass; of the two cursors one reads while the other writes the journal."""
        self._task = task
        self._schema = task.schema_for(True)
        self._limits = task.limits
        self._journal = task.journal
        self._sender = task.sender
        self._cursor, self._reading_cursor = cursors
        columns = {column.name: column for column in self._schema.columns}
        self._key = [columns[name] for name in task.options.key]
        self._names = list(task.options.key)

    def run(self, state: State, span: SyncSpan, prepare: bool) -> State:
        """Send all rows that differ from what was sent; `prepare` checks the target table first.

        Raises:
            SyncError: it cannot go on; what was acknowledged is in the journal.
        """
        keys = keys_table(state)
        self._create(keys)
        begin, waiting = now(), self._pending(keys)
        self._sender.signals.behind(waiting, seconds_of(state.caught_up))
        if not self._sender.call(f"table {state.name!r}", lambda: self._sender.clickhouse.has_times, span):
            self._schema = self._task.schema_for(False)
        if added(self._schema, state.columns):
            prepare = True
            state = replace(state, columns=self._schema.signature)
        if prepare:
            state = self._prepare(state, span)
        try:
            state = self._send_all(state, keys, span) if waiting else state
        finally:
            if waiting:
                with suppress(duckdb.Error):
                    self._sender.signals.behind(self._pending(keys), seconds_of(state.caught_up))
        if not self._sender.stopping.is_set():
            state = replace(state, caught_up=begin, failing_since=None, failure=None)
        self._journal.store(state)
        return state

    def _send_all(self, state: State, keys: str, span: SyncSpan) -> State:
        self._refuse_duplicates(keys)
        for batch, hashes in self._changed(keys):
            state = self._send(state, keys, batch, hashes, span)
            if self._sender.stopping.is_set():
                return state
        return self._bury(state, keys, span)

    def _create(self, keys: str) -> None:
        columns = ", ".join(f"{quoted(column.name)} {column.type}" for column in self._key)
        self._cursor.execute(f"CREATE TABLE IF NOT EXISTS {keys} ({columns}, {HASH} UBIGINT)")

    def _prepare(self, state: State, span: SyncSpan) -> State:
        def prepare() -> int:
            self._task.destination.prepare(self._schema, state.acknowledged_rows)
            return self._task.destination.last_version()

        last = self._sender.call(f"table {state.name!r}", prepare, span)
        return replace(state, sequence=max(state.sequence, last))

    def _pending(self, keys: str) -> int:
        """How many rows differ from what was sent, or are gone since."""
        return sum(
            int(self._one(f"SELECT count(*) {rows}")[0])
            for rows in (differing(self._schema, self._names, keys), gone(self._schema, self._names, keys))
        )

    def _refuse_duplicates(self, keys: str) -> None:
        """Refuse rows that share a key: they would replace each other for ever."""
        if self._unique():
            return
        key = ", ".join(map(quoted, self._names))
        found = self._cursor.execute(
            f"SELECT {key} FROM {self._schema.reference} WHERE ({key}) IN "
            f"(SELECT ({key}) {differing(self._schema, self._names, keys)}) GROUP BY {key} HAVING count(*) > 1 LIMIT 1"
        ).fetchall()
        if found:
            raise DuplicateKeyError(
                f"table {self._schema.table!r}: more than one row has the key {', '.join(self._names)} = "
                f"{', '.join(map(repr, found[0]))}, and they would replace each other in the target; delete all but "
                "one, or give the table a key that is unique"
            )

    def _unique(self) -> bool:
        """Whether DuckDB itself sees to it that no two rows share a key."""
        rows = self._cursor.execute(
            "SELECT constraint_column_names FROM duckdb_constraints() "
            "WHERE constraint_type IN ('PRIMARY KEY', 'UNIQUE') "
            "AND database_name = $1 AND schema_name = $2 AND table_name = $3",
            list(find(self._cursor, self._task.options.name)),
        ).fetchall()
        return any(set(names) <= set(self._names) for (names,) in rows)

    def _changed(self, keys: str) -> Iterator[tuple[pa.Table, pa.ChunkedArray]]:
        """Batches of the rows that differ: one scan, read as it is sent, begun anew where rows are too wide for it."""
        rows = _RECORD_BATCH_ROWS
        query = (
            f"SELECT buffer.rowid, {self._schema.row_hash}, {self._schema.selection} "
            f"{differing(self._schema, self._names, keys)}"
        )
        while rows:
            found: list[pa.RecordBatch] = []
            try:
                for batch in record_batches(self._reading_cursor, query, min(rows, self._limits.rows)):
                    if found and not self._fits([*found, batch]):
                        yield self._checked(pa.Table.from_batches(found))
                        found = []
                    found.append(batch)
                if found:
                    yield self._checked(pa.Table.from_batches(found))
                rows = 0
            except TooLargeError as error:  # what was sent meanwhile differs no longer
                rows = error.fitting

    def _fits(self, batches: list[pa.RecordBatch]) -> bool:
        rows, size = sum(one.num_rows for one in batches), sum(one.nbytes for one in batches)
        return bool(rows <= self._limits.rows and size <= self._limits.bytes)

    def _checked(self, table: pa.Table) -> tuple[pa.Table, pa.ChunkedArray]:
        batch = table.select(range(2, table.num_columns))
        check(self._schema.columns, batch, table.column(0))
        return batch, table.column(1)

    def _send(self, state: State, keys: str, batch: pa.Table, hashes: pa.ChunkedArray | None, span: SyncSpan) -> State:
        """Send rows, or, without hashes, the keys of rows that are gone; then remember what was sent.

        Beforehand their keys are remembered without a hash: as long as it is not known whether they arrived, they
        differ from whatever the buffer holds, or are gone from it.
        """
        state = replace(state, sequence=state.sequence + 1)
        sent = batch.select(self._names)
        self._remember(state, keys, sent.append_column(HASH, nulls_like(batch)))
        token = token_of(state, state.sequence)
        payload = pack(batch, {VERSION_COLUMN: state.sequence, DELETED_COLUMN: int(hashes is None)})
        what = f"table {state.name!r}, batch {state.sequence} ({batch.num_rows} rows)"
        with span.batch(token, batch.num_rows, batch.nbytes) as batch_span:
            self._sender.insert(what, self._task.destination.name, payload, token, batch_span)
        state = replace(state, acknowledged_rows=state.acknowledged_rows + batch.num_rows)
        self._remember(state, keys, sent if hashes is None else sent.append_column(HASH, hashes))
        span.record(batch.num_rows, batch.nbytes)
        self._task.progress(batch.num_rows)
        return state

    def _remember(self, state: State, keys: str, sent: pa.Table) -> None:
        """Journal the state with keys and their hashes; keys without a column for them are forgotten."""
        values = {column.name: f"CAST(batch.{quoted(column.name)} AS {column.type})" for column in self._key}
        same = " AND ".join(f"{keys}.{quoted(name)} = {value}" for name, value in values.items())
        self._cursor.register(_BATCH, sent)
        try:
            with changing(self._cursor, state):
                self._cursor.execute(f"DELETE FROM {keys} USING {_BATCH} AS batch WHERE {same}")
                if HASH in sent.column_names:
                    self._cursor.execute(
                        f"INSERT INTO {keys} SELECT {', '.join(values.values())}, {HASH} FROM {_BATCH} AS batch"
                    )
        finally:
            self._cursor.unregister(_BATCH)

    def _bury(self, state: State, keys: str, span: SyncSpan) -> State:
        """Mark the rows that are gone from the buffer as deleted in the target."""
        selection = ", ".join(column.expression for column in self._key)
        query = f"SELECT {selection} {gone(self._schema, self._names, keys)} LIMIT {self._limits.rows}"
        while not self._sender.stopping.is_set():
            batch = self._cursor.sql(query).to_arrow_table()
            if not batch.num_rows:
                break
            state = self._send(state, keys, batch, None, span)
        return state

    def _one(self, query: str) -> Any:
        return self._cursor.execute(query).fetchall()[0]
