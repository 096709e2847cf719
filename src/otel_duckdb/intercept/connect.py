"""The hook of `duckdb.connect`."""

from __future__ import annotations

from dataclasses import replace
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from otel_duckdb.core.location import location
from otel_duckdb.core.operation import Connection, Operation
from otel_duckdb.statement import parse

if TYPE_CHECKING:
    from otel_duckdb.core.dispatcher import Call
    from otel_duckdb.intercept.gate import Gate

_NAME: Final = "connect"
# No text says it: a statement that neither reads, writes nor has to do with transactions is made one of this kind.
_STATEMENT: Final = replace(
    parse("CHECKPOINT"), kind="CONNECT", kinds=("CONNECT",), summary="", safe="", returns_rows=False
)
_DEFAULT: Final = ":default:"
"""What `connect` gives the connection for that is there already."""


class _Asked(NamedTuple):
    """The database that is asked for, and the operation of opening it, if it is to be recorded."""

    database: Any
    call: Call | None


class ConnectCall:
    """`connect`, which makes a connection or says why it cannot.

    It is an operation like any other: a log that DuckDB has to replay can take it seconds.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def begin(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> _Asked | None:
        """Begin the operation, and remember which database is asked for."""
        gate = self._gate
        if not gate.active or not gate.everything:
            return None
        database = arguments[0] if arguments else keywords.get("database", ":memory:")
        try:
            return _Asked(database, self._begin(database))
        except Exception as fault:
            gate.report(fault)
            return _Asked(database, None)

    def _begin(self, database: Any) -> Call | None:
        if database == _DEFAULT or not self._gate.should_record(None):
            return None
        to_be = Connection(0, None, location(database), None)
        statement = replace(_STATEMENT, redacted=f"{_NAME} {to_be.database}")
        operation = Operation("", statement, to_be, name=_NAME)
        return self._gate.dispatcher.begin(operation, to_be, get_ident())

    def succeed(self, asked: _Asked, result: Any) -> Any:
        """Register the connection, and end the operation."""
        gate, call = self._gate, asked.call
        if call is not None:
            call.operation.execute_ns = call.leave()
        try:
            connection = gate.connections.add(result, location(asked.database))
            if call is not None:
                call.operation.connection = connection
        finally:
            if call is not None:
                gate.dispatcher.end(call.operation)
        return result

    def fail(self, asked: _Asked, error: BaseException) -> None:
        """Count the failure, and end the operation with it."""
        gate, call = self._gate, asked.call
        gate.dispatcher.connect_failed(error)
        if call is not None:
            call.operation.execute_ns = call.leave()
            gate.dispatcher.end(call.operation, error)
