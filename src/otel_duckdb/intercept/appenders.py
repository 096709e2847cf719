"""DuckDB 2's appenders: one operation from their making to their end."""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING, Any

from otel_duckdb.intercept.connection_methods import ExecuteCall
from otel_duckdb.intercept.relations import HeldStates, RelationState
from otel_duckdb.intercept.wrappers import GoingOn

if TYPE_CHECKING:
    from otel_duckdb.core.dispatcher import Call
    from otel_duckdb.intercept.gate import Gate


class Appenders(HeldStates):
    """The operations of live appenders whose making was recorded."""

    def add(self, appender: Any, call: Call) -> None:
        """Keep the operation that made the appender open."""
        state = RelationState(call.operation.connection)
        state.operation = call.operation
        self._keep(appender, state)


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


class AppenderCall(GoingOn):
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
            self._gate.end(call.operation, holder=call.holder)
        return result

    def fail(self, call: Call, error: BaseException) -> None:
        """End the operation with its error."""
        call.operation.execute_ns += call.leave()
        if self._last or not self._gate.leaves_open(error):
            self._gate.end(call.operation, error, holder=call.holder)
