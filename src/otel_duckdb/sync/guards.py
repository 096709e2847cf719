"""Finds the values of a batch that the target columns cannot keep, before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from otel_duckdb.sync.errors import ValueRangeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_duckdb.sync.schema import Column
    from otel_duckdb.sync.types import Kind


def check(columns: tuple[Column, ...], batch: pa.Table, rows: pa.ChunkedArray) -> None:
    """Refuse a batch with a value that its target column cannot keep; `rows` are the row ids.

    Raises:
        ValueRangeError: there is such a value; the text names the column and the row.
    """
    for column in columns:
        values = batch.column(column.name)
        if column.required and values.null_count:
            raise _refusal(column, _first(values.is_null(), rows), "NULL, and the target sorts by this column")
        if column.kind.guarded:
            for problem, place in _problems(values, column.kind):
                raise _refusal(column, None if place is None else _first(place, rows), problem)


def _refusal(column: Column, row: int | None, problem: str) -> ValueRangeError:
    where = "" if row is None else f" in the row with rowid {row}"
    return ValueRangeError(
        f"column {column.name!r} ({column.type}) holds {problem}{where}; ClickHouse cannot keep that: correct or "
        "delete the row"
    )


def _first(mask: pa.ChunkedArray, rows: pa.ChunkedArray) -> int:
    return int(rows.filter(mask)[0].as_py())


def _problems(values: pa.ChunkedArray, kind: Kind) -> Iterator[tuple[str, pa.ChunkedArray | None]]:
    if kind.low is not None:
        mask = _outside(values, kind)
        if mask is not None:
            yield f"infinity or a time outside what {kind.clickhouse} keeps (1900 to 2299, with nanoseconds 2262)", mask
    for array in values.chunks if kind.children else ():
        yield from ((problem, None) for problem in _inside(array, kind))


def _outside(values: Any, kind: Kind) -> Any:
    raw = values.cast(pa.int32() if pa.types.is_date32(values.type) else pa.int64())
    bounds = pc.min_max(raw)
    low, high = bounds["min"].as_py(), bounds["max"].as_py()
    if low is None or (low >= kind.low and high <= kind.high):
        return None
    return pc.fill_null(pc.or_(pc.less(raw, kind.low), pc.greater(raw, kind.high)), False)


def _parts(array: Any, kind: Kind) -> Iterator[tuple[Any, Kind]]:
    valid = array.drop_null()
    if pa.types.is_struct(array.type):
        yield from ((valid.field(index), child) for index, child in enumerate(kind.children))
    elif pa.types.is_map(array.type):
        yield from zip((valid.keys, valid.items), kind.children, strict=True)
    else:
        yield valid.flatten(), kind.children[0]


def _inside(array: Any, kind: Kind) -> Iterator[str]:
    for part, child in _parts(array, kind):
        if child.composite and part.null_count:
            yield "NULL as a list, map or struct within another"
        if child.low is not None and _outside(part, child) is not None:
            yield f"infinity or a time outside what {child.clickhouse} keeps"
        if child.composite:
            yield from _inside(part, child)
