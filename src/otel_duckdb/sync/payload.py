"""Rows in the form in which they travel: one Arrow record batch, serialized and compressed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Payload:
    """A batch ready to be sent; `bytes` is what its rows take as Arrow in memory."""

    columns: tuple[str, ...]
    body: Any
    """An object with the buffer protocol, in Arrow's file format."""
    rows: int
    bytes: int


def nulls_like(batch: pa.Table) -> pa.Array:
    """A column of unsigned numbers, all NULL, as long as a batch."""
    return pa.nulls(batch.num_rows, pa.uint64())


def pack(batch: pa.Table, constants: Mapping[str, int]) -> Payload:
    """Serialize a batch, with columns of one unsigned number each added to it.

    It is one record batch, which ClickHouse takes as one block.
    """
    whole = batch.combine_chunks()
    for name, value in constants.items():
        whole = whole.append_column(name, pa.repeat(pa.scalar(value, pa.uint64()), batch.num_rows))
    sink, options = pa.BufferOutputStream(), pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    with pa.ipc.new_file(sink, whole.schema, options=options) as writer:
        writer.write_table(whole)
    return Payload(tuple(whole.column_names), sink.getvalue(), batch.num_rows, batch.nbytes)
