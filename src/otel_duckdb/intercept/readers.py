"""Arrow readers: an operation goes on while its reader is drained."""

from __future__ import annotations

import sys
from threading import get_ident
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_duckdb.intercept.listener import Listener
    from otel_duckdb.operation import Operation, Owner


def is_reader(result: Any) -> bool:
    """Whether a result is an Arrow record batch reader."""
    kind = getattr(sys.modules.get("pyarrow"), "RecordBatchReader", None)  # None while another thread imports it
    return kind is not None and isinstance(result, kind)


def observed(reader: Any, listener: Listener, owner: Owner, operation: Operation) -> Any:
    """A reader of the same type, schema and batches whose reads are counted towards `operation`."""
    arrow = sys.modules["pyarrow"]
    batches = _batches(reader, listener, owner, operation)
    return arrow.RecordBatchReader.from_batches(reader.schema, batches)


def _batches(reader: Any, listener: Listener, owner: Owner, operation: Operation) -> Iterator[Any]:
    try:
        while True:
            call = listener.resume(owner, get_ident()) if owner.operation is operation else None
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                if call is not None:
                    operation.fetch_ns += call.leave()
                return
            except BaseException as error:
                if call is not None:
                    operation.fetch_ns += call.leave()
                    listener.finish(owner, operation, error)
                raise
            if call is not None:
                operation.fetch_ns += call.leave()
                operation.rows = (operation.rows or 0) + batch.num_rows
            yield batch
    finally:
        reader.close()
        listener.connections.deferred(lambda: listener.finish(owner, operation))
