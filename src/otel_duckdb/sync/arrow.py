"""Rows of a query as Arrow, no more of them than memory is meant to hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import duckdb
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duckdb import DuckDBPyConnection

RECORD_BATCH_ROWS: Final = 32_768
"""They are in memory before their size is known; and DuckDB 1.x dies where it is told to expect very many."""
RECORD_BATCH_ROWS_UNSEEN: Final = 2048
"""The same, of a table whose rows nobody has seen yet; it costs a fifth more time."""
_TOLERANCE: Final = 1.25
_SHRINKING: Final = 8


class TooLargeError(Exception):
    """So many rows do not fit; about `fitting` of them may."""

    def __init__(self, fitting: int) -> None:
        """Tell how many rows to try next."""
        super().__init__(fitting)
        self.fitting = fitting


def record_batches(cursor: DuckDBPyConnection, query: str, rows: int) -> Iterator[pa.RecordBatch]:
    """Stream a query's result in record batches of so many rows.

    Raises:
        TooLargeError: so many rows of this width are more than DuckDB, or a column of Arrow, can hold; one row that is
            raises DuckDB's or Arrow's own error.
    """
    try:
        yield from _reader(cursor, query, rows)
    except (duckdb.OutOfMemoryException, duckdb.InvalidInputException, OSError, pa.ArrowException) as error:
        if rows == 1:
            raise
        raise TooLargeError(max(1, rows // _SHRINKING)) from error


def read_table(cursor: DuckDBPyConnection, query: str, rows: int, limit: int, at_once: int) -> pa.Table | None:
    """Read a query's result of about `rows` rows, None where it is empty; its size is looked at each `at_once` rows.

    Raises:
        TooLargeError: they take more than `limit` bytes by a quarter, or than DuckDB or Arrow can hold.
    """
    found: list[pa.RecordBatch] = []
    size = 0
    for batch in record_batches(cursor, query, max(1, min(rows, at_once))):
        found.append(batch)
        size += batch.nbytes
        if size > limit * _TOLERANCE and rows > 1:
            so_far = sum(one.num_rows for one in found)
            raise TooLargeError(max(1, min(rows // 2, so_far * limit // size)))
    return pa.Table.from_batches(found) if found else None


def _reader(cursor: DuckDBPyConnection, query: str, rows: int) -> Any:
    relation = cursor.sql(query)
    return (relation.to_arrow_reader if hasattr(relation, "to_arrow_reader") else relation.fetch_arrow_reader)(rows)
