"""Reads an append-only DuckDB table from a position on, and deletes from it what is safely stored.

It rests on what DuckDB does with row ids, found by experiment on 1.4, 1.5 and 2.0 (docs/sync.md): rows get theirs at
commit, in the order of the commits, without gaps; a checkpoint may renumber them where rows were deleted, but keeps
their order. So a position is a number of rows, its row id only a short cut to it, and an anchor tells whether the
short cut still holds.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.sync.errors import BufferChangedError
from otel_duckdb.sync.guards import check
from otel_duckdb.sync.journal import rollback
from otel_duckdb.sync.schema import hash_of
from otel_duckdb.sync.state import MODULUS, Mark

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from otel_duckdb.sync.config import Limits
    from otel_duckdb.sync.schema import Schema
    from otel_duckdb.sync.state import Pending

ANCHOR_ROWS: Final = 1000
_PROBE_ROWS: Final = 2000
_GROWTH: Final = 16
_TOLERANCE: Final = 1.25
_RECORD_BATCH_ROWS: Final = 1_000_000
"""DuckDB 1.x takes memory for as many rows as it is told to expect, or dies of it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Rows read from the buffer, without gaps, and the position after them."""

    batch: pa.Table
    row_ids: pa.ChunkedArray
    hash: int
    mark: Mark

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self.batch.num_rows)

    @property
    def bytes(self) -> int:
        """What they take as Arrow."""
        return int(self.batch.nbytes)


@contextmanager
def transaction(cursor: DuckDBPyConnection) -> Iterator[DuckDBPyConnection]:
    """One snapshot, or one change that happens wholly or not at all."""
    cursor.execute("BEGIN")
    try:
        yield cursor
        cursor.execute("COMMIT")
    except BaseException:
        rollback(cursor)
        raise


class Source:
    """One append-only table, read through a cursor of its own."""

    def __init__(self, cursor: DuckDBPyConnection, schema: Schema, limits: Limits) -> None:
        """Read `schema` in batches within `limits`."""
        self._cursor = cursor
        self.schema = schema
        self._limits = limits
        self._wanted = min(limits.rows, _PROBE_ROWS)

    def pending_rows(self, mark: Mark) -> int:
        """How many rows follow a position."""
        return self.total() - mark.kept

    def verify(self, mark: Mark) -> Mark:
        """The position with its row id as it is now, in the snapshot of the cursor's transaction.

        Raises:
            BufferChangedError: rows before the position were deleted or changed by others.
        """
        if self._holds(mark):
            return mark
        if mark.kept and self.total() >= mark.kept:
            row = self._row_at(mark.kept)
            anchor = self._row_at(mark.kept - mark.anchor_rows + 1)
            moved = Mark(mark.kept, row, mark.hash, anchor, mark.anchor_rows, mark.anchor_hash)
            if self._holds(moved):
                return moved
        raise BufferChangedError(
            f"table {self.schema.table!r}: rows that were already sent have been deleted or changed by others, so "
            "where the unsent rows begin is not certain; let the sync delete them (`delete = true`), give the table a "
            "`key`, or start over with `otel-duckdb sync --reset`"
        )

    def read(self, mark: Mark) -> Reading | None:
        """The next rows after a position, None where there are none.

        Raises:
            BufferChangedError: rows before the position were deleted or changed by others.
            ValueRangeError: a value has no place in the target.
        """
        with transaction(self._cursor):
            mark = self.verify(mark)
            reading = self._bounded(mark, mark.row)
            if reading is None:
                start = self._next_row(mark.row)
                reading = None if start is None else self._bounded(mark, start - 1)
        if reading is not None:
            self._learn(reading)
        return reading

    def reread(self, mark: Mark, pending: Pending) -> Reading:
        """The rows of a batch that may have been sent before.

        Raises:
            BufferChangedError: they are not what they were.
        """
        with transaction(self._cursor):
            mark = self.verify(mark)
            end = pending.mark.row
            if self._count(mark.row, end) != pending.rows:
                last = mark.kept + pending.rows
                end = self._row_at(last) if self.total() >= last else -1
            reading = self._range(mark, mark.row, end) if end > mark.row else None
        if reading is None or reading.hash != pending.hash or reading.rows != pending.rows:
            raise BufferChangedError(
                f"table {self.schema.table!r}: the rows of batch {pending.sequence}, which is on its way, have been "
                "deleted or changed by others; an append-only table takes no UPDATE or DELETE: give it a `key`, or "
                "start over with `otel-duckdb sync --reset`"
            )
        return reading

    def _bounded(self, mark: Mark, low: int) -> Reading | None:
        """Rows with ids above `low`, as many as the limits allow; None where a gap of the ids is as wide as that."""
        wanted = self._wanted
        while True:
            reading = self._range(mark, low, low + wanted)
            if reading is None:
                return None
            if reading.bytes <= self._limits.bytes * _TOLERANCE or wanted == 1:
                check(self.schema.columns, reading.batch, reading.row_ids)
                return reading
            wanted = max(1, min(wanted // 2, wanted * self._limits.bytes // reading.bytes))

    def _learn(self, reading: Reading) -> None:
        fitting = self._limits.bytes * reading.rows // max(1, reading.bytes)
        self._wanted = max(1, min(self._limits.rows, fitting, max(self._wanted, reading.rows) * _GROWTH))

    def _range(self, mark: Mark, low: int, high: int) -> Reading | None:
        import pyarrow.compute as pc  # noqa: PLC0415 - an extra is imported where used

        relation = self._cursor.sql(
            f"SELECT rowid, {self.schema.row_hash}, {self.schema.selection} FROM {self.schema.reference} "  # noqa: S608 - quoted names
            f"WHERE rowid > {low} AND rowid <= {high}"
        )
        # One record batch for all, as a rule: packing would else copy every row to join several.
        reader = relation.to_arrow_reader if hasattr(relation, "to_arrow_reader") else relation.fetch_arrow_reader
        table = reader(min(high - low, _RECORD_BATCH_ROWS)).read_all()
        if not table.num_rows:
            return None
        row_ids, hashes = table.column(0), table.column(1)
        total = _sum(hashes)
        last = pc.max(row_ids).as_py()
        tail = hashes.filter(pc.greater(row_ids, last - ANCHOR_ROWS))
        end = Mark(
            mark.kept + table.num_rows,
            last,
            (mark.hash + total) % MODULUS,
            max(low + 1, last - ANCHOR_ROWS + 1),
            len(tail),
            _sum(tail),
        )
        return Reading(table.select(range(2, table.num_columns)), row_ids, total, end)

    def _holds(self, mark: Mark) -> bool:
        if mark.row >= 0 and self._count(-1, mark.row) != mark.kept:
            return False
        return mark.kept == 0 or self._hashed(mark.anchor_row - 1, mark.row) == (mark.anchor_rows, mark.anchor_hash)

    def rehash(self, mark: Mark, names: list[str]) -> Mark:
        """The position with its hashes taken over all columns of the schema, when those before were `names`.

        Raises:
            BufferChangedError: rows before the position were deleted or changed by others.
        """
        before = hash_of(names)
        if mark.kept == 0:
            return mark
        if self._hashed(-1, mark.row, before) != (mark.kept, mark.hash):
            raise BufferChangedError(
                f"table {self.schema.table!r} has new columns, and rows already sent were changed or deleted as well; "
                "start over with `otel-duckdb sync --reset`"
            )
        _, total = self._hashed(-1, mark.row)
        rows, anchor = self._hashed(mark.anchor_row - 1, mark.row)
        return Mark(mark.kept, mark.row, total, mark.anchor_row, rows, anchor)

    def delete(self, mark: Mark, keep: int) -> Mark:
        """Delete all but the newest `keep` rows before a position, within the cursor's transaction.

        Raises:
            BufferChangedError: a row is not what was sent.
        """
        mark = self.verify(mark)
        surplus = mark.kept - keep
        if surplus <= 0:
            return mark
        if self._hashed(-1, mark.row) != (mark.kept, mark.hash):
            raise BufferChangedError(
                f"table {self.schema.table!r}: a row was changed after it was sent, so nothing was deleted; an "
                "append-only table takes no UPDATE: give it a `key`, or start over with `otel-duckdb sync --reset`"
            )
        cut = mark.row if keep == 0 else self._row_at(surplus)
        self._cursor.execute(f"DELETE FROM {self.schema.reference} WHERE rowid <= {cut}")  # noqa: S608 - quoted names
        if keep == 0:
            return Mark()
        anchor = max(cut + 1, mark.row - ANCHOR_ROWS + 1)
        rows, anchor_hash = self._hashed(anchor - 1, mark.row)
        return Mark(keep, mark.row, self._hashed(cut, mark.row)[1], anchor, rows, anchor_hash)

    def drop_oldest(self, mark: Mark, on_its_way: int, rows: int) -> int:
        """Delete up to `rows` of the oldest unsent rows, but none of the `on_its_way` rows after the position.

        Runs within the cursor's transaction, and returns how many rows are gone.

        Raises:
            BufferChangedError: rows before the position were deleted or changed by others.
        """
        mark = self.verify(mark)
        spared = mark.kept + on_its_way
        rows = min(rows, self.total() - spared)
        if rows <= 0:
            return 0
        low = self._row_at(spared) if spared else -1
        high = self._row_at(spared + rows)
        self._cursor.execute(
            f"DELETE FROM {self.schema.reference} WHERE rowid > {low} AND rowid <= {high}"  # noqa: S608 - quoted names
        )
        return rows

    def total(self) -> int:
        """How many rows the table holds."""
        return self._number(f"SELECT count(*) FROM {self.schema.reference}")  # noqa: S608 - quoted names and numbers

    def _row_at(self, ordinal: int) -> int:
        """The row id of the `ordinal`-th row, by bisection: a sort would take memory with the table's size."""
        low, high = 0, self._number(f"SELECT max(rowid) FROM {self.schema.reference}")  # noqa: S608 - quoted names and numbers
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self._count(-1, middle) >= ordinal else (middle + 1, high)
        return low

    def _count(self, low: int, high: int) -> int:
        return self._number(f"SELECT count(*) FROM {self.schema.reference} WHERE rowid > {low} AND rowid <= {high}")  # noqa: S608 - quoted names and numbers

    def _hashed(self, low: int, high: int, row_hash: str | None = None) -> tuple[int, int]:
        rows, total = self._one(
            f"SELECT count(*), sum({row_hash or self.schema.row_hash}) FROM {self.schema.reference} "  # noqa: S608 - quoted names
            f"WHERE rowid > {low} AND rowid <= {high}"
        )
        return rows, int(total or 0) % MODULUS

    def _next_row(self, after: int) -> int | None:
        row: int | None = self._one(f"SELECT min(rowid) FROM {self.schema.reference} WHERE rowid > {after}")[0]  # noqa: S608 - quoted names
        return row

    def _number(self, query: str) -> int:
        return int(self._one(query)[0])

    def _one(self, query: str) -> Any:
        return self._cursor.execute(query).fetchall()[0]


def _sum(hashes: pa.ChunkedArray) -> int:
    """The sum of unsigned 64-bit numbers, modulo 2**64: Arrow's sum wraps."""
    import pyarrow.compute as pc  # noqa: PLC0415 - an extra is imported where used

    return int(pc.sum(hashes, min_count=0).as_py()) % MODULUS
