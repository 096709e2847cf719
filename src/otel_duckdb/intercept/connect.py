"""The hook of `duckdb.connect`."""

from __future__ import annotations

from dataclasses import replace
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from otel_duckdb.core.location import location
from otel_duckdb.core.operation import Connection, Operation
from otel_duckdb.intercept.describe import plain_text
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
_CONFIG: Final = 2
"""The position of the configuration among its arguments."""
_MOST_PROXIES: Final = 16


class _Asked(NamedTuple):
    """The database that is asked for, the operation of opening it, if it is to be recorded, and its call."""

    database: Any
    operation: Operation | None = None
    call: Call | None = None
    memory_limit: str | None = None


class ConnectCall:
    """`connect`, which makes a connection or says why it cannot.

    To open a database is an operation like any other: a log that DuckDB has to replay can take it seconds. One in
    memory is made, and none is opened: that is an operation only where it fails.
    """

    def __init__(self, gate: Gate, kind: type) -> None:
        self._gate = gate
        self._kind = kind

    def begin(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> _Asked | None:
        """Begin the operation, and remember which database is asked for, and with which limit of memory."""
        gate = self._gate
        if not gate.active or not gate.everything:
            return None
        database = arguments[0] if arguments else keywords.get("database", ":memory:")
        text = plain_text(database)
        database = database if text is None else text
        try:
            operation = self._operation(database)
            if operation is None or (text is not None and _is_in_memory(text)):
                return _Asked(database, operation, memory_limit=_memory_limit(arguments, keywords))
            return _Asked(database, operation, self._begin(operation), _memory_limit(arguments, keywords))
        except Exception as fault:
            gate.report(fault)
            return _Asked(database)

    def _operation(self, database: Any) -> Operation | None:
        if (type(database) is str and database == _DEFAULT) or not self._gate.should_record(None):
            return None
        to_be = Connection(0, None, location(database), None)
        return Operation("", replace(_STATEMENT, redacted=f"{_NAME} {to_be.database}"), to_be, name=_NAME)

    def _begin(self, operation: Operation) -> Call:
        to_be = operation.connection
        assert to_be is not None  # noqa: S101 - it was made with one
        return self._gate.dispatcher.begin(operation, to_be, get_ident())

    def succeed(self, asked: _Asked, result: Any) -> Any:
        """Register the connection, and end the operation."""
        gate, call = self._gate, asked.call
        if call is not None:
            call.operation.execute_ns = call.leave()
        try:
            target = self._behind(result)
            if target is not None:
                connection = gate.connections.add(target, location(asked.database))
                connection.memory_limit = asked.memory_limit
                if call is not None:
                    call.operation.connection = connection
        finally:
            if call is not None:
                gate.dispatcher.end(call.operation)
        return result

    def _behind(self, result: Any) -> Any:
        """DuckDB's own object behind the proxies of others; None where none is found: it is heard when it is used."""
        for _ in range(_MOST_PROXIES):
            if type(result) is self._kind:  # a proxy says that it is an instance
                return result
            result = getattr(result, "__wrapped__", None)
        return None

    def fail(self, asked: _Asked, error: BaseException) -> None:
        """Count the failure, and end the operation with it."""
        gate, operation = self._gate, asked.operation
        gate.dispatcher.connect_failed(error)
        if operation is not None:
            (asked.call or self._begin(operation)).leave()
            operation.execute_ns = operation.last_call_ns - operation.start_ns
            gate.dispatcher.end(operation, error)


def _memory_limit(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> str | None:
    config: Any = arguments[_CONFIG] if len(arguments) > _CONFIG else keywords.get("config")
    try:
        told = [str(config[name]) for name in config or () if str(name).lower() in {"memory_limit", "max_memory"}]
    except Exception:  # no dictionary, or one of objects that DuckDB does not take
        return None
    return told[-1] if told else None


def _is_in_memory(database: str) -> bool:
    return not database or database.startswith(":memory:")
