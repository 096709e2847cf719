"""DuckDB 2's appenders: one operation from their making to their end."""

from __future__ import annotations

import weakref
from threading import get_ident
from typing import TYPE_CHECKING, Any

from otel_duckdb.intercept.connection_methods import ExecuteCall
from otel_duckdb.intercept.relations import RelationState

if TYPE_CHECKING:
    from otel_duckdb.core.dispatcher import Call
    from otel_duckdb.intercept.gate import Gate


class Appenders:
    """The live appenders' operations, by the identity of DuckDB's objects."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._states: dict[int, RelationState] = {}

    def find(self, appender: Any) -> RelationState | None:
        """The state of an appender whose making was recorded."""
        return self._states.get(id(appender))

    def open(self) -> list[RelationState]:
        """The states whose operation is still open."""
        return [state for state in tuple(self._states.values()) if state.operation is not None]

    def add(self, appender: Any, call: Call) -> None:
        """Keep the operation that made the appender open."""
        key = id(appender)
        state = self._states[key] = RelationState(call.operation.connection)
        state.operation = call.operation
        state.reference = weakref.ref(appender, lambda _: self._collected(key))

    def _collected(self, key: int) -> None:
        state = self._states.pop(key, None)
        if state is not None:
            self._gate.connections.deferred(lambda: self._gate.hold(state, None))


class NewAppenderCall(ExecuteCall):
    """`appender` and `query_appender`."""

    def __init__(self, gate: Gate, describe: Any, appenders: Appenders) -> None:
        super().__init__(gate, describe)
        self._appenders = appenders

    def succeed(self, call: Call, result: Any) -> Any:
        """Keep the operation open as long as the appender is."""
        call.operation.execute_ns = call.leave()
        self._appenders.add(result, call)
        return result


class AppenderCall:
    """`append_row`, `append_rows`, `flush` and the end of a `with` block."""

    def __init__(self, gate: Gate, appenders: Appenders, *, last: bool = False) -> None:
        self._gate = gate
        self._appenders = appenders
        self._last = last

    def begin(self, arguments: tuple[Any, ...], _keywords: dict[str, Any]) -> Call | None:
        """Go on with the appender's operation."""
        state = self._appenders.find(arguments[0])
        return None if state is None else self._gate.resume(state, get_ident())

    def succeed(self, call: Call, result: Any) -> Any:
        """Count the time."""
        call.operation.execute_ns += call.leave()
        if self._last:
            self._gate.finish(call.holder, call.operation)
        return result

    def fail(self, call: Call, error: BaseException) -> None:
        """End the operation with its error."""
        call.operation.execute_ns += call.leave()
        if self._last or not self._gate.leaves_open(error):
            self._gate.finish(call.holder, call.operation, error)
