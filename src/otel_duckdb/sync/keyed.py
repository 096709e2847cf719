"""One pass over a table with a key: rows that are new, changed or gone since they were last sent.

The journal keeps, of each row that was sent, its key and a hash of it. So changes are found whatever the order of the
commits was, and without any column for it; and a batch needs no bounds: what was not acknowledged has no hash, whatever
has become of it meanwhile, so it is sent again, and replaces itself in the target, because each batch has a higher
version than those before.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from otel_duckdb.sync.arrow import TooLargeError, record_batches
from otel_duckdb.sync.errors import DuplicateKeyError
from otel_duckdb.sync.guards import check
from otel_duckdb.sync.idle import LARGE_KEYED_ROWS, IdleQuery
from otel_duckdb.sync.journal import keys_table
from otel_duckdb.sync.keys import HASH, ROW, VERSION, Keys, unchanged
from otel_duckdb.sync.ownership import check_holdings, refuse_missing
from otel_duckdb.sync.payload import nulls_like, pack
from otel_duckdb.sync.schema import DELETED_COLUMN, SOURCE_COLUMN, VERSION_COLUMN, added, refuse_keys
from otel_duckdb.sync.sender import token_of
from otel_duckdb.sync.source import changing
from otel_duckdb.sync.state import now
from otel_duckdb.sync.types import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_duckdb.sync.context import PassContext
    from otel_duckdb.sync.schema import Signature
    from otel_duckdb.sync.signals import SyncSpan
    from otel_duckdb.sync.state import State

_BATCH: Final = "otel_duckdb_batch"
_RECORD_BATCH_ROWS: Final = 8192


class KeyedPass:
    """One pass over one table with a key."""

    def __init__(self, context: PassContext) -> None:
        """Prepare the pass; of the two cursors one reads while the other writes the journal."""
        self._context = context
        self._schema = context.schema
        self._limits = context.limits
        self._journal = context.journal
        self._sender = context.sender
        self._cursor, self._reading_cursor = context.cursor, context.reading_cursor
        self._remembered = self._arrived = 0
        refuse_keys(self._schema)

    def run(self, state: State, span: SyncSpan, prepare: bool) -> State:
        """Send all rows that differ from what was sent; `prepare` checks the target table first.

        Raises:
            SyncError: it cannot go on; what was acknowledged is in the journal.
        """
        before = state
        keys = self._keys(state)
        if prepare:
            self._cursor.execute(keys.creation)
        begin = now()
        if not self._sender.call(f"table {state.name!r}", self._sender.clickhouse.has_times, span):
            self._schema = self._context.schema_without_times()
            keys = self._keys(state)
        if added(self._schema, state.columns):
            prepare = True
            state = replace(state, columns=self._schema.signature)
        found = self._one(keys.comparison)
        self._remembered, self._arrived, _, _ = found
        if prepare or self._context.target_lacks(self._arrived, span):
            state = self._prepare(state, before.columns, keys, span)
        if not unchanged(found):
            state = self._send_all(state, keys, span)
        if not self._sender.stopping.is_set():
            state = replace(state, caught_up=begin, failing_since=None, failure=None)
        self._journal.settle((before, state))
        return state

    def idle_query(self, state: State) -> IdleQuery | None:
        """What shows that the table is as a pass left it that had nothing to do; None where it is large."""
        if self._remembered > LARGE_KEYED_ROWS:
            return None
        stored = 0 if self._context.options.expires else self._arrived
        return IdleQuery(self._schema, self._keys(state).comparison, unchanged, stored)

    def _keys(self, state: State) -> Keys:
        return Keys(keys_table(state), self._schema)

    def _send_all(self, state: State, keys: Keys, span: SyncSpan) -> State:
        self._refuse_duplicates(keys)
        for batch, hashes in self._changed(keys):
            state = self._send(state, keys, batch, hashes, span)
            if self._sender.stopping.is_set():
                return state
        return self._send_tombstones(state, keys, span)

    def _prepare(self, state: State, known: Signature, keys: Keys, span: SyncSpan) -> State:
        arrived, versions, unknown = self._one(
            f"SELECT count({HASH}), coalesce(sum({VERSION}) FILTER ({HASH} IS NOT NULL), 0), "
            f"count(*) FILTER ({HASH} IS NULL) FROM {keys.table}"
        )

        def prepare() -> int:
            destination, options = self._context.destination, self._context.options
            destination.prepare(self._schema, int(arrived), known)
            last = check_holdings(state, options, destination, self._journal)
            if arrived and not options.expires:
                found, found_versions = destination.live(state.source)
                stale = not unknown and found == arrived and found_versions < versions
                refuse_missing(state, found, int(arrived), destination, stale=stale)
            return last

        last = self._sender.call(f"table {state.name!r}", prepare, span)
        return replace(state, sequence=max(state.sequence, last))

    def _refuse_duplicates(self, keys: Keys) -> None:
        """Refuse rows that share a key: they would replace each other for ever."""
        if self._unique():
            return
        (shared,) = self._one(keys.duplicates)
        if shared:
            names = ", ".join(map(quoted, self._schema.sorting))
            raise DuplicateKeyError(
                f"table {self._schema.table!r}: {shared} of its keys are those of more than one row, which would "
                f"replace each other in the target; find them with SELECT {names}, count(*) FROM "
                f"{self._schema.reference} GROUP BY {names} HAVING count(*) > 1, and delete all but one of each, or "
                "give the table a key that is unique"
            )

    def _unique(self) -> bool:
        """Whether DuckDB itself sees to it that no two rows share a key."""
        rows = self._cursor.execute(
            "SELECT constraint_column_names FROM duckdb_constraints() "
            "WHERE constraint_type IN ('PRIMARY KEY', 'UNIQUE') "
            "AND database_name = $1 AND schema_name = $2 AND table_name = $3",
            list(self._schema.location),
        ).fetchall()
        return any(set(names) <= set(self._schema.sorting) for (names,) in rows)

    def _changed(self, keys: Keys) -> Iterator[tuple[pa.Table, pa.ChunkedArray]]:
        """Batches of the rows that differ: one scan, read as it is sent, begun anew where rows are too wide for it."""
        rows = _RECORD_BATCH_ROWS
        query = f"SELECT buffer.{ROW}, buffer.{HASH}, {self._schema.selection} {keys.differing}"
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

    def _send(self, state: State, keys: Keys, batch: pa.Table, hashes: pa.ChunkedArray | None, span: SyncSpan) -> State:
        """Send rows, or, without hashes, the keys of rows that are gone; then remember what was sent.

        Beforehand their keys are remembered without a hash: as long as it is not known whether they arrived, they
        differ from whatever the buffer holds, or are gone from it.
        """
        state = replace(state, sequence=state.sequence + 1)
        sent = batch.select(list(self._schema.sorting))
        self._remember(state, keys, sent.append_column(HASH, nulls_like(batch)))
        token = token_of(state, state.sequence)
        own = {VERSION_COLUMN: state.sequence, DELETED_COLUMN: int(hashes is None), SOURCE_COLUMN: state.source}
        payload = pack(batch, own)
        what = f"table {state.name!r}, batch {state.sequence} ({batch.num_rows} rows)"
        with span.batch(token, batch.num_rows, batch.nbytes) as batch_span:
            self._sender.insert(what, self._context.destination.name, payload, token, batch_span)
        state = replace(state, acknowledged_rows=state.acknowledged_rows + batch.num_rows)
        self._remember(state, keys, sent if hashes is None else sent.append_column(HASH, hashes))
        span.record(batch.num_rows, batch.nbytes)
        self._context.progress(batch.num_rows)
        return state

    def _remember(self, state: State, keys: Keys, sent: pa.Table) -> None:
        """Journal the state with keys and their hashes; keys without a column for them are forgotten."""
        self._cursor.register(_BATCH, sent)
        try:
            with changing(self._cursor, state):
                self._cursor.execute(keys.removal(_BATCH))
                if HASH in sent.column_names:
                    self._cursor.execute(keys.insertion(_BATCH, state.sequence))
        finally:
            self._cursor.unregister(_BATCH)

    def _send_tombstones(self, state: State, keys: Keys, span: SyncSpan) -> State:
        """Mark the rows that are gone from the buffer as deleted in the target."""
        selection = ", ".join(column.expression for column in self._schema.sorted_by)
        query = f"SELECT {selection} {keys.gone} LIMIT {self._limits.rows:d}"
        while not self._sender.stopping.is_set():
            batch = self._cursor.sql(query).to_arrow_table()
            if not batch.num_rows:
                break
            state = self._send(state, keys, batch, None, span)
        return state

    def _one(self, query: str) -> Any:
        return self._cursor.execute(query).fetchall()[0]
