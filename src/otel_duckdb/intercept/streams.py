"""Arrow streams: an operation goes on while whoever holds its stream drains it.

Arrow hands rows over as a C structure of function pointers, the same behind a capsule of `__arrow_c_stream__` and
behind a reader of pyarrow. The C module `_streams` tells of its reads and its release; the stream itself, its schema,
its batches and its errors stay DuckDB's, whatever library reads them. Where the module was not compiled, an operation
ends when its stream is handed over, and tells no rows.
"""

from __future__ import annotations

import sys
import weakref
from threading import get_ident
from typing import TYPE_CHECKING, Any

from otel_duckdb.core.operation import StreamError
from otel_duckdb.telemetry.section import in_section, unless_inside

try:
    from otel_duckdb.intercept._streams import listen
except ImportError:
    listen = None  # type: ignore[assignment] # as the module says

if TYPE_CHECKING:
    from otel_duckdb.core.dispatcher import Call
    from otel_duckdb.core.operation import Operation, ResultHolder
    from otel_duckdb.intercept.gate import Gate


class _OpenStream:
    """One operation whose stream somebody holds, until it is drained, released or given up."""

    def __init__(self, gate: Gate, holder: ResultHolder, operation: Operation) -> None:
        self._gate = gate
        self._holder: ResultHolder | None = holder
        self._operation: Operation | None = operation
        self.enter, self.leave = unless_inside(self._enter), in_section(self._leave)

    def _enter(self) -> Call | None:
        """Before a read."""
        try:
            holder = self._holder
            if holder is not None and holder.operation is self._operation:
                return self._gate.resume(holder, get_ident())
        except Exception as fault:
            self._gate.report(fault)
        return None

    def _leave(self, call: Call | None, rows: int, message: bytes | None) -> None:
        """After a read of so many rows, -1 at the end of the stream."""
        if call is None:
            return
        operation = call.operation
        try:
            operation.fetch_ns += call.leave()
            if message is not None:
                error = StreamError(message.decode(errors="replace"))
                self._gate.end(operation, error, holder=call.holder)
            elif rows >= 0:
                operation.rows = (operation.rows or 0) + rows
            else:
                self._gate.end(operation, holder=call.holder)
        except Exception as fault:
            self._gate.report(fault)

    def done(self) -> None:
        """The stream is released, or given up: end the operation, and keep none of DuckDB's objects."""
        _live.discard(self)
        holder, self._holder = self._holder, None
        operation, self._operation = self._operation, None
        try:
            if holder is not None and operation is not None and not operation.ended:
                gate = self._gate
                gate.connections.deferred(lambda: gate.end(operation, holder=holder))
        except Exception as fault:
            self._gate.report(fault)


_live: weakref.WeakSet[_OpenStream] = weakref.WeakSet()


def end_all() -> None:
    """End the operations whose streams are still held."""
    for stream in tuple(_live):
        stream.done()


def is_stream(result: Any) -> bool:
    """Whether a result is an Arrow record batch reader or the capsule of a stream, whose reads can be counted."""
    if listen is None:
        return False
    if type(result).__name__ == "PyCapsule":
        return True
    kind = getattr(sys.modules.get("pyarrow"), "RecordBatchReader", None)  # None while another thread imports it
    return kind is not None and isinstance(result, kind)


def observed(result: Any, gate: Gate, holder: ResultHolder, operation: Operation) -> Any:
    """The same capsule, or a reader of the same type and schema, whose reads are counted towards `operation`."""
    stream = _OpenStream(gate, holder, operation)
    _live.add(stream)
    if type(result).__name__ == "PyCapsule":
        listen(result, stream.enter, stream.leave, stream.done, False)
        return result
    capsule = result.__arrow_c_stream__()
    listen(capsule, stream.enter, stream.leave, stream.done, True)
    return type(result)._import_from_c_capsule(capsule)
