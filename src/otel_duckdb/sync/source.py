"""Reads an append-only DuckDB table from a position on, and deletes from it what is safely stored.

It rests on what DuckDB does with row ids, found by experiment on 1.4, 1.5 and 2.0 (docs/sync.md): rows get theirs at
commit, in the order of the commits, without gaps; a checkpoint may renumber them where rows were deleted, but keeps
their order. So a position is a number of rows, its row id only a short cut to it, and an anchor tells whether the
short cut still holds. A checkpoint may come between two statements of one transaction, too, unless that has written
something: so a read finds its anchor in the very statement that reads, and what deletes writes the journal first.

Row ids are written into the SQL as whole numbers: given as parameters, DuckDB would scan the table for a range of them.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import sleep
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pyarrow.compute as pc

from otel_duckdb.sync.arrow import RECORD_BATCH_ROWS, RECORD_BATCH_ROWS_UNSEEN, TooLargeError, read_table
from otel_duckdb.sync.errors import BufferChangedError
from otel_duckdb.sync.guards import check
from otel_duckdb.sync.journal import rollback, write
from otel_duckdb.sync.state import MODULUS, Position

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from otel_duckdb.sync.config import Limits
    from otel_duckdb.sync.schema import Schema
    from otel_duckdb.sync.state import Pending, State

T = TypeVar("T")

ANCHOR_ROWS: Final = 1000
NONE_PENDING: Final = -1
_ANCHOR_BYTES: Final = 4 * 1024 * 1024
_ANCHOR_SHARE: Final = 8
_GROWTH: Final = 16
_DELETED_AT_ONCE: Final = 250_000
_LOOKS: Final = 12
_PAUSE_SECONDS: Final = 0.02


class _MovedError(Exception):
    """A statement did not find its position where the one before it saw it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Rows read from the buffer, without gaps, and the position after them."""

    batch: pa.Table
    row_ids: pa.ChunkedArray
    hash: int
    position: Position

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self.batch.num_rows)

    @property
    def bytes(self) -> int:
        """What they take as Arrow."""
        return int(self.batch.nbytes)


@contextmanager
def changing(cursor: DuckDBPyConnection, state: State) -> Iterator[None]:
    """One change of a buffer and its journal, that happens wholly or not at all.

    It begins by writing, so that no checkpoint gives row ids anew before its end.
    """
    cursor.execute("BEGIN")
    try:
        write(cursor, state)
        yield
        cursor.execute("COMMIT")
    except BaseException:
        rollback(cursor)
        raise


def unmoved(position: Position, found: Sequence[int | None]) -> bool:
    """Whether no row follows a position, and its anchor holds, by what Source.counting() found."""
    rows, last, anchor_rows, anchor_hash = found
    holds = (anchor_rows, int(anchor_hash or 0) % MODULUS) == (position.anchor_rows, position.anchor_hash)
    return holds and (rows, last) == (position.kept, position.row)


class Source:
    """One append-only table, read through a cursor of its own."""

    def __init__(self, cursor: DuckDBPyConnection, schema: Schema, limits: Limits) -> None:
        """Read `schema` in batches within `limits`."""
        self.cursor = cursor
        self.schema = schema
        self._limits = limits
        self._rows = f"{schema.reference} AS buffer"
        self._wanted = limits.rows
        self._at_once = RECORD_BATCH_ROWS_UNSEEN

    def pending_rows(self, position: Position) -> int:
        """How many rows follow a position; NONE_PENDING where none do, and its anchor holds as it is."""
        found = self._one(self.counting(position))
        return NONE_PENDING if unmoved(position, found) else max(0, int(found[0]) - position.kept)

    def counting(self, position: Position) -> str:
        """A query of one row for unmoved(): the rows of the table, the last row id, and the anchor's rows and hash."""
        return (
            f"SELECT whole.rows, whole.last, anchor.rows, anchor.hash "
            f"FROM (SELECT count(*) AS rows, coalesce(max(rowid), -1) AS last FROM {self.schema.reference}) AS whole, "
            f"(SELECT count(*) AS rows, sum({self.schema.row_hash}) AS hash FROM {self._rows} "
            f"WHERE rowid >= {position.anchor_row:d} AND rowid <= {position.row:d}) AS anchor"
        )

    def verify(self, position: Position) -> Position:
        """The position with its row id as it is now, which it stays to the end of a `changing` transaction.

        Raises:
            BufferChangedError: rows before the position were deleted or changed by others.
        """
        for found in (position, self._located(position)):
            if self._holds(found):
                return found
        raise self._lost()

    def next_rows(self, position: Position) -> Reading | None:
        """The next rows after a position, None where there are none.

        Raises:
            BufferChangedError: rows before the position were deleted or changed by others.
            ValueRangeError: a value has no place in the target.
        """
        reading = self._steadily(position, self._next, self._lost)
        if reading is not None:
            check(self.schema.columns, reading.batch, reading.row_ids)
            self._learn(reading)
        return reading

    def reread(self, position: Position, pending: Pending) -> Reading:
        """The rows of a batch that may have been sent before.

        Raises:
            BufferChangedError: they are not what they were.
        """

        def look(found: Position) -> Reading:
            last = found.kept + pending.rows
            end = pending.position.row
            if found is not position:
                end = self._row_at(last) if self.total() >= last else -1
            limit = max(self._limits.bytes, 2 * pending.bytes)
            reading = self._range(found, end, pending.rows, limit) if end > found.row else None
            if reading is None or (reading.hash, reading.rows) != (pending.hash, pending.rows):
                raise _MovedError
            return reading

        def changed() -> BufferChangedError:
            return BufferChangedError(
                f"table {self.schema.table!r}: the rows of batch {pending.sequence}, which is on its way, have been "
                "deleted or changed by others; an append-only table takes no UPDATE or DELETE: give it a `key`, or "
                f"start over with `otel-duckdb sync --reset {self.schema.table}`"
            )

        return self._steadily(position, look, changed)

    def _steadily(self, position: Position, look: Callable[[Position], T], lost: Callable[[], BufferChangedError]) -> T:
        """Look at a position until nothing moved meanwhile; what never holds was changed, and is not guessed at."""
        found = position
        for number in range(_LOOKS):
            try:
                return look(found)
            except _MovedError:
                sleep(_PAUSE_SECONDS * (number > 0))
                if self.total() < position.kept:
                    break
                found = self._located(position)
        raise lost()

    def _lost(self) -> BufferChangedError:
        return BufferChangedError(
            f"table {self.schema.table!r}: rows that were already sent have been deleted or changed by others, so "
            "where the unsent rows begin is not certain; let the sync delete them (`delete = true`), give the table a "
            f"`key`, or start over with `otel-duckdb sync --reset {self.schema.table}`"
        )

    def _located(self, position: Position) -> Position:
        """Where the position should be now, by counting; whoever uses it finds out whether it is there."""
        if not position.kept or self.total() < position.kept:
            return position
        return replace(
            position, row=self._row_at(position.kept), anchor_row=self._row_at(position.kept - position.anchor_rows + 1)
        )

    def _next(self, position: Position) -> Reading | None:
        if position.kept and self._count(-1, position.row) != position.kept:
            raise _MovedError
        reading = self._bounded(position, position.row)
        if reading is None:
            start = self._next_row(position.row)
            reading = None if start is None else self._bounded(position, start - 1)
        return reading

    def _bounded(self, position: Position, low: int) -> Reading | None:
        """The next rows, as many as the limits allow; none is expected up to `low`; None where a gap is wider."""
        while True:
            try:
                return self._range(position, low + self._wanted, self._wanted, self._limits.bytes)
            except TooLargeError as error:
                self._wanted = error.fitting

    def _learn(self, reading: Reading) -> None:
        self._at_once = RECORD_BATCH_ROWS
        fitting = self._limits.bytes * reading.rows // max(1, reading.bytes)
        self._wanted = max(1, min(self._limits.rows, fitting, max(self._wanted, reading.rows) * _GROWTH))

    def _range(self, position: Position, high: int, rows: int, limit: int) -> Reading | None:
        """The rows after the position up to `high`, about `rows`, read with the anchor; None where there are none.

        All are asked for, also where no row is expected: if ids were given anew just now, some are there.

        Raises:
            TooLargeError: they take more than `limit` bytes.
        """
        query = (
            f"SELECT rowid, {self.schema.row_hash}, {self.schema.selection} FROM {self._rows} "
            f"WHERE rowid >= {position.anchor_row:d} AND rowid <= {high:d}"
        )
        table = read_table(self.cursor, query, rows, limit, self._at_once)
        anchor_bytes = min(_ANCHOR_BYTES, self._limits.bytes // _ANCHOR_SHARE)
        return _reading(position, None if table is None else _sorted(table), anchor_bytes)

    def _holds(self, position: Position) -> bool:
        if position.row >= 0 and self._count(-1, position.row) != position.kept:
            return False
        return position.kept == 0 or self._hashed(position.anchor_row - 1, position.row) == (
            position.anchor_rows,
            position.anchor_hash,
        )

    def rehash(self, position: Position, names: list[str]) -> Position:
        """The position with its hashes taken over all columns of the schema, when those before were `names`.

        Raises:
            BufferChangedError: rows before the position were deleted or changed by others.
        """
        if position.kept == 0:
            return position
        if self._hashed(-1, position.row, self.schema.only(names).row_hash) != (position.kept, position.hash):
            raise BufferChangedError(
                f"table {self.schema.table!r} has new columns, and rows already sent were changed or deleted as well; "
                f"start over with `otel-duckdb sync --reset {self.schema.table}`"
            )
        _, total = self._hashed(-1, position.row)
        rows, anchor = self._hashed(position.anchor_row - 1, position.row)
        return Position(position.kept, position.row, total, position.anchor_row, rows, anchor)

    def delete(self, position: Position, keep: int) -> Position:
        """Delete all but the newest `keep` rows before a position, within a `changing` transaction.

        Raises:
            BufferChangedError: a row is not what was sent.
        """
        position = self.verify(position)
        surplus = position.kept - keep
        if surplus <= 0:
            return position
        cut = position.row if keep == 0 else self._row_at(surplus)
        rows, gone = self._remove(cut)
        rest, rest_hash = (0, 0) if keep == 0 else self._hashed(cut, position.row)
        if (rows, rest, (gone + rest_hash) % MODULUS) != (surplus, keep, position.hash):
            raise BufferChangedError(
                f"table {self.schema.table!r}: a row was changed after it was sent, so nothing was deleted; an "
                "append-only table takes no UPDATE: give it a `key`, or start over with `otel-duckdb sync --reset "
                f"{self.schema.table}`"
            )
        if keep == 0:
            return Position()
        anchor = max(cut + 1, position.anchor_row)
        return Position(keep, position.row, rest_hash, anchor, *self._hashed(anchor - 1, position.row))

    def _remove(self, cut: int) -> tuple[int, int]:
        """Delete the rows up to `cut`; how many they were, and their hash, told by the very statement."""
        rows = total = 0
        low = (self._next_row(-1) or 0) - 1
        while low < cut:
            high = min(cut, low + _DELETED_AT_ONCE)
            hashes = self.cursor.sql(
                f"DELETE FROM {self._rows} WHERE rowid > {low:d} AND rowid <= {high:d} RETURNING {self.schema.row_hash}"
            ).to_arrow_table()
            rows, total, low = rows + hashes.num_rows, total + _sum(hashes.column(0)), high
        return rows, total % MODULUS

    def drop_oldest(self, position: Position, on_its_way: int, rows: int) -> int:
        """Delete up to `rows` of the oldest unsent rows, but none of the `on_its_way` rows after the position.

        Runs within a `changing` transaction, and returns how many rows are gone.

        Raises:
            BufferChangedError: rows before the position were deleted or changed by others.
        """
        position = self.verify(position)
        spared = position.kept + on_its_way
        rows = min(rows, self.total() - spared)
        if rows <= 0:
            return 0
        low = self._row_at(spared) if spared else -1
        high = self._row_at(spared + rows)
        self.cursor.execute(f"DELETE FROM {self.schema.reference} WHERE rowid > {low:d} AND rowid <= {high:d}")
        return rows

    def total(self) -> int:
        """How many rows the table holds."""
        return self._number(f"SELECT count(*) FROM {self.schema.reference}")

    def _row_at(self, ordinal: int) -> int:
        """The row id of the `ordinal`-th row, by bisection: a sort would take memory with the table's size."""
        low, high = 0, self._number(f"SELECT max(rowid) FROM {self.schema.reference}")
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self._count(-1, middle) >= ordinal else (middle + 1, high)
        return low

    def _count(self, low: int, high: int) -> int:
        return self._number(f"SELECT count(*) FROM {self.schema.reference} WHERE rowid > {low:d} AND rowid <= {high:d}")

    def _hashed(self, low: int, high: int, row_hash: str | None = None) -> tuple[int, int]:
        rows, total = self._one(
            f"SELECT count(*), sum({row_hash or self.schema.row_hash}) FROM {self._rows} "
            f"WHERE rowid > {low:d} AND rowid <= {high:d}"
        )
        return rows, int(total or 0) % MODULUS

    def _next_row(self, after: int) -> int | None:
        row: int | None = self._one(f"SELECT min(rowid) FROM {self.schema.reference} WHERE rowid > {after:d}")[0]
        return row

    def _number(self, query: str) -> int:
        return int(self._one(query)[0])

    def _one(self, query: str) -> Any:
        return self.cursor.execute(query).fetchall()[0]


def _sum(hashes: pa.ChunkedArray) -> int:
    """The sum of unsigned 64-bit numbers, modulo 2**64: Arrow's sum wraps."""
    return int(pc.sum(hashes, min_count=0).as_py()) % MODULUS


def _sorted(table: pa.Table) -> pa.Table:
    """The rows in the order of their ids, which DuckDB keeps unless it is told not to preserve it."""
    row_ids = table.column(0)
    if pc.all(pc.greater(row_ids[1:], row_ids[:-1]), min_count=0).as_py():
        return table
    return table.take(pc.sort_indices(row_ids))


def _reading(position: Position, table: pa.Table | None, anchor_bytes: int) -> Reading | None:
    """Part the anchor from the rows after the position; the next one takes about `anchor_bytes` at most.

    Raises:
        _MovedError: the anchor is not what it was.
    """
    if table is None:
        if position.anchor_rows:
            raise _MovedError
        return None
    row_ids, hashes = table.column(0), table.column(1)
    sent = pc.sum(pc.less_equal(row_ids, position.row), min_count=0).as_py()
    if (sent, _sum(hashes[:sent])) != (position.anchor_rows, position.anchor_hash):
        raise _MovedError
    if sent == table.num_rows:
        return None
    total = _sum(hashes[sent:])
    tail = hashes[-max(1, min(ANCHOR_ROWS, anchor_bytes * table.num_rows // table.nbytes)) :]
    end = Position(
        position.kept + table.num_rows - sent,
        row_ids[-1].as_py(),
        (position.hash + total) % MODULUS,
        row_ids[-len(tail)].as_py(),
        len(tail),
        _sum(tail),
    )
    return Reading(table.slice(sent).select(range(2, table.num_columns)), row_ids[sent:], total, end)
