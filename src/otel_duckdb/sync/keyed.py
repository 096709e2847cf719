"""One pass over a table with a key: rows that are new, changed or gone since they were last sent.

The journal keeps, of each row that was sent, its key and DuckDB's hash of it. So changes are found whatever the order
of the commits was, and without any column for it; and a batch needs no bounds: what was not acknowledged is found again
and sent again, and replaces itself in the target, because each batch has a higher version than those before.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.sync.guards import check
from otel_duckdb.sync.journal import keys_table, write
from otel_duckdb.sync.payload import pack
from otel_duckdb.sync.schema import DELETED_COLUMN, VERSION_COLUMN, added
from otel_duckdb.sync.sender import token_of
from otel_duckdb.sync.source import transaction
from otel_duckdb.sync.state import State, now, seconds_of
from otel_duckdb.sync.types import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from otel_duckdb.signals.sync import SyncSpan
    from otel_duckdb.sync.config import Limits
    from otel_duckdb.sync.task import Task

_HASH: Final = "otel_duckdb_row_hash"
_BATCH: Final = "otel_duckdb_batch"
_PROBE_ROWS: Final = 2000


class KeyedPass:
    """One pass over one table with a key."""

    def __init__(self, task: Task, cursor: DuckDBPyConnection) -> None:
        """Prepare the pass."""
        self._task = task
        self._schema = task.schema_for(True)
        self._limits = task.limits
        self._journal = task.journal
        self._sender = task.sender
        self._cursor = cursor
        columns = {column.name: column for column in self._schema.columns}
        self._key = [columns[name] for name in task.options.key]

    def run(self, state: State, span: SyncSpan, prepare: bool) -> State:
        """Send all rows that differ from what was sent; `prepare` checks the target table first.

        Raises:
            SyncError: it cannot go on; what was acknowledged is in the journal.
        """
        keys = keys_table(state)
        self._create(keys)
        self._sender.signals.behind(self._pending(keys), seconds_of(state.caught_up))
        if not self._sender.call(f"table {state.name!r}", lambda: self._sender.clickhouse.has_times, span):
            self._schema = self._task.schema_for(False)
        if added(self._schema, state.columns):
            prepare = True
            state = replace(state, columns=self._schema.signature)
        if prepare:
            state = self._prepare(state, span)
        for batch, hashes in self._changed(keys):
            state = self._send(state, keys, batch, hashes, span)
            if self._sender.stopping.is_set():
                return state
        state = replace(self._bury(state, keys, span), caught_up=now(), failing_since=None, failure=None)
        self._journal.store(state)
        self._sender.signals.behind(0, None)
        return state

    def _create(self, keys: str) -> None:
        columns = ", ".join(f"{quoted(column.name)} {column.type}" for column in self._key)
        self._cursor.execute(f"CREATE TABLE IF NOT EXISTS {keys} ({columns}, {_HASH} UBIGINT)")

    def _prepare(self, state: State, span: SyncSpan) -> State:
        def prepare() -> int:
            self._task.destination.prepare(self._schema, state.acknowledged_rows)
            return self._task.destination.last_version()

        last = self._sender.call(f"table {state.name!r}", prepare, span)
        return replace(state, sequence=max(state.sequence, last))

    def _pending(self, keys: str) -> int:
        return int(self._one(f"SELECT count(*) FROM {self._schema.reference} AS buffer WHERE {self._differs(keys)}")[0])  # noqa: S608 - quoted names and numbers

    def _differs(self, keys: str) -> str:
        row_hash = ", ".join(f"buffer.{quoted(column.name)}" for column in self._schema.columns)
        same = " AND ".join(f"sent.{quoted(column.name)} = buffer.{quoted(column.name)}" for column in self._key)
        return f"NOT EXISTS (SELECT 1 FROM {keys} AS sent WHERE {same} AND sent.{_HASH} = hash({row_hash}))"  # noqa: S608 - quoted names

    def _changed(self, keys: str) -> Iterator[tuple[pa.Table, pa.ChunkedArray]]:
        """Batches of the rows that differ, window after window of row ids, so that memory stays flat."""
        low, wanted = -1, min(_PROBE_ROWS, self._limits.rows)
        while (
            start := self._one(f"SELECT min(rowid) FROM {self._schema.reference} WHERE rowid > {low}")[0]  # noqa: S608 - quoted names and numbers
        ) is not None:
            low = start - 1
            table = self._window(keys, low, low + wanted)
            if table.nbytes > 2 * self._limits.bytes and wanted > 1:
                wanted = max(1, wanted * self._limits.bytes // table.nbytes)
                continue
            low += wanted
            wanted = min(self._limits.rows, wanted * 16, _fitting(table, self._limits))
            if table.num_rows:
                batch = table.select(range(2, table.num_columns))
                check(self._schema.columns, batch, table.column(0))
                yield batch, table.column(1)

    def _window(self, keys: str, low: int, high: int) -> pa.Table:
        return self._cursor.sql(
            f"SELECT rowid, {self._schema.row_hash}, {self._schema.selection} FROM {self._schema.reference} AS buffer "  # noqa: S608 - quoted names
            f"WHERE rowid > {low} AND rowid <= {high} AND {self._differs(keys)}"
        ).to_arrow_table()

    def _send(self, state: State, keys: str, batch: pa.Table, hashes: pa.ChunkedArray | None, span: SyncSpan) -> State:
        """Send rows, or, without hashes, the keys of rows that are gone; then remember what was sent."""
        state = replace(state, sequence=state.sequence + 1)
        self._journal.store(state)
        token = token_of(state, state.sequence)
        payload = pack(batch, {VERSION_COLUMN: state.sequence, DELETED_COLUMN: int(hashes is None)})
        what = f"table {state.name!r}, batch {state.sequence} ({batch.num_rows} rows)"
        with span.batch(token, batch.num_rows, batch.nbytes) as batch_span:
            self._sender.insert(what, self._task.destination.name, payload, token, batch_span)
        state = replace(state, acknowledged_rows=state.acknowledged_rows + batch.num_rows)
        self._remember(state, keys, batch, hashes)
        span.record(batch.num_rows, batch.nbytes)
        self._task.progress(batch.num_rows)
        return state

    def _remember(self, state: State, keys: str, batch: pa.Table, hashes: pa.ChunkedArray | None) -> None:
        sent = batch.select([column.name for column in self._key])
        if hashes is not None:
            sent = sent.append_column(_HASH, hashes)
        values = {column.name: f"CAST(batch.{quoted(column.name)} AS {column.type})" for column in self._key}
        same = " AND ".join(f"{keys}.{quoted(name)} = {value}" for name, value in values.items())
        self._cursor.register(_BATCH, sent)
        try:
            with transaction(self._cursor):
                self._cursor.execute(f"DELETE FROM {keys} USING {_BATCH} AS batch WHERE {same}")  # noqa: S608 - quoted names
                if hashes is not None:
                    self._cursor.execute(
                        f"INSERT INTO {keys} SELECT {', '.join(values.values())}, {_HASH} FROM {_BATCH} AS batch"  # noqa: S608 - quoted names
                    )
                write(self._cursor, state)
        finally:
            self._cursor.unregister(_BATCH)

    def _bury(self, state: State, keys: str, span: SyncSpan) -> State:
        """Mark the rows that are gone from the buffer as deleted in the target."""
        same = " AND ".join(f"sent.{quoted(column.name)} = buffer.{quoted(column.name)}" for column in self._key)
        selection = ", ".join(column.expression for column in self._key)
        gone = (
            f"SELECT {selection} FROM {keys} AS sent WHERE NOT EXISTS "  # noqa: S608 - quoted names
            f"(SELECT 1 FROM {self._schema.reference} AS buffer WHERE {same}) LIMIT {self._limits.rows}"
        )
        while not self._sender.stopping.is_set():
            batch = self._cursor.sql(gone).to_arrow_table()
            if not batch.num_rows:
                break
            state = self._send(state, keys, batch, None, span)
        return state

    def _one(self, query: str) -> Any:
        return self._cursor.execute(query).fetchall()[0]


def _fitting(table: pa.Table, limits: Limits) -> int:
    return max(1, limits.bytes * table.num_rows // table.nbytes) if table.num_rows else limits.rows
