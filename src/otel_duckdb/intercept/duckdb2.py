"""The hooks on DuckDB 2, whose relations are Python and end in one private method, `_submit`.

A public call opens a scope on its connection; the first `_submit` inside it begins the operation, every further one
serves it. So one public call gives one operation however many statements DuckDB's own Python makes of it. A `_submit`
outside any scope, made by a function that was imported before it was patched, is an operation of its own.
"""

from __future__ import annotations

from threading import get_ident
from time import perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any

from otel_duckdb.core.dispatcher import Call
from otel_duckdb.core.operation import Operation
from otel_duckdb.intercept import streams
from otel_duckdb.intercept.describe import sql_text
from otel_duckdb.intercept.gate import forget_profile
from otel_duckdb.intercept.relation_texts import rendered
from otel_duckdb.intercept.relations import RelationState
from otel_duckdb.intercept.rows import WHOLE_RESULT, all_rows, some_rows
from otel_duckdb.intercept.wrappers import GoingOn
from otel_duckdb.statement import parse

if TYPE_CHECKING:
    from otel_duckdb.core.operation import Connection
    from otel_duckdb.intercept.connection_methods import Count
    from otel_duckdb.intercept.gate import Gate
    from otel_duckdb.intercept.relations import Relations


class Scope:
    """One public call while it lasts.

    Attributes:
        text: The SQL text of the call, or None where DuckDB renders it.
        parameters: Its parameters, or None.
        operation: The operation, once something has run.
        resumed: Whether the operation had begun before this call.
        ran_last: Whether the last statement has run.
        work: Nanoseconds of the statements that ran.
    """

    __slots__ = (
        "_scopes",
        "connection",
        "operation",
        "parameters",
        "ran_last",
        "relation",
        "resumed",
        "start_ns",
        "start_unix_ns",
        "text",
        "thread",
        "work",
    )

    def __init__(
        self, scopes: Scopes, connection: Connection, thread: int, relation: Any, text: str | None, parameters: Any
    ) -> None:
        self._scopes = scopes
        self.connection = connection
        self.thread = thread
        self.relation = relation
        self.text = text
        self.parameters = parameters
        self.operation: Operation | None = None
        self.resumed = False
        self.ran_last = False
        self.work = 0
        self.start_unix_ns = time_ns()
        self.start_ns = perf_counter_ns()

    def describe(self, sql: str) -> Operation:
        """The operation of this call, which began when the call did."""
        text = rendered(sql) if self.text is None else self.text
        operation = Operation(text, parse(text), self.connection, self.parameters)
        operation.start_unix_ns, operation.start_ns = self.start_unix_ns, self.start_ns
        return operation

    def close(self) -> int:
        """The public call is over; returns the nanoseconds it took beside its statements."""
        self._scopes.pop(self.connection, None)
        now = perf_counter_ns()
        if self.operation is not None:
            self.operation.last_call_ns = now
        return now - self.start_ns - self.work


Scopes = dict["Connection", Scope]
"""The public calls under way, by their connection."""


class SubmitCall:
    """`_submit` and `_prepare_script`: DuckDB works."""

    def __init__(self, gate: Gate, relations: Relations, scopes: Scopes, *, script: bool = False) -> None:
        self._gate = gate
        self._relations = relations
        self._scopes = scopes
        self._script = script

    def begin(self, arguments: tuple[Any, ...], _keywords: dict[str, Any]) -> tuple[Call, Scope | None] | None:
        """Begin the operation of the scope, or serve it."""
        gate = self._gate
        text = sql_text(arguments[1])
        if self._script and parse(text).count < 2:  # noqa: PLR2004 - only the statements before the last run
            return None
        connection = gate.connection_to_record(arguments[0])
        if connection is None:
            return None
        thread = get_ident()
        scope = self._scopes.get(connection)
        if scope is None or scope.thread != thread:
            text = rendered(text)
            return gate.dispatcher.begin(Operation(text, parse(text), connection), connection, thread), None
        scope.ran_last = not self._script
        if scope.operation is not None:
            forget_profile(connection)
            return Call(scope.operation, connection, thread), scope
        return self._begin(scope, scope.describe(text), thread), scope

    def _begin(self, scope: Scope, operation: Operation, thread: int) -> Call:
        call = self._gate.dispatcher.begin(operation, scope.connection, thread)
        scope.operation = operation
        scope.start_ns = operation.start_ns  # which is later where profiling was switched first
        return call

    def succeed(self, entered: tuple[Call, Scope | None], result: Any) -> Any:
        """Count the time; without a scope the operation ends here, or goes on while its result is read."""
        if self._leave(entered) is None:
            self._keep(entered[0].operation, result)
        return result

    def _keep(self, operation: Operation, result: Any) -> None:
        if operation.statement.returns_rows and hasattr(result, "fetchmany"):
            self._relations.add(result, operation.connection).operation = operation
        else:
            self._gate.end(operation)

    def fail(self, entered: tuple[Call, Scope | None], error: BaseException) -> None:
        """Count the time; the public call ends the operation with what reaches its caller."""
        if self._leave(entered) is None:
            self._gate.end(entered[0].operation, error)

    def _leave(self, entered: tuple[Call, Scope | None]) -> Scope | None:
        call, scope = entered
        elapsed = call.leave()
        if scope is not None:
            scope.work += elapsed
        if scope is not None and scope.resumed:
            call.operation.fetch_ns += elapsed
        else:
            call.operation.execute_ns += elapsed
        return scope


class ResultFetchCall(GoingOn):
    """`fetchmany` of a result that was submitted outside any scope, as the generator `iter_rows` does."""

    def __init__(self, gate: Gate, relations: Relations) -> None:
        self._gate = gate
        self._relations = relations

    def begin(self, arguments: tuple[Any, ...], _keywords: dict[str, Any]) -> tuple[Call, tuple[Any, ...]] | None:
        """Go on with the operation of the result."""
        state = self._relations.find(arguments[0])
        call = None if state is None else self._gate.resume(state, get_ident())
        return None if call is None else (call, arguments)

    def succeed(self, entered: tuple[Call, tuple[Any, ...]], result: Any) -> Any:
        """Count the rows, and end the operation with the last of them."""
        call, arguments = entered
        operation = call.operation
        operation.fetch_ns += call.leave()
        rows, last = some_rows(result, arguments)
        operation.rows = (operation.rows or 0) + (rows or 0)
        if last:
            self._gate.end(operation, holder=call.holder)
        return result

    def fail(self, entered: tuple[Call, tuple[Any, ...]], error: BaseException) -> None:
        """End the operation with its error."""
        entered[0].operation.fetch_ns += entered[0].leave()
        self._gate.end(entered[0].operation, error, holder=entered[0].holder)


class _PublicCall:
    """A public call of DuckDB 2 that may run statements."""

    def __init__(self, gate: Gate, relations: Relations, scopes: Scopes) -> None:
        self._gate = gate
        self._relations = relations
        self._scopes = scopes

    def _enter(self, target: Any, relation: Any, text: str | None, parameters: Any) -> Scope | None:
        connection = self._gate.connection_to_record(target)
        if connection is None:
            return None
        thread = get_ident()
        outer = self._scopes.get(connection)
        if connection.busy_thread == thread or (outer is not None and outer.thread == thread):
            return None
        scope = self._scopes[connection] = Scope(self._scopes, connection, thread, relation, text, parameters)
        return scope

    def fail(self, scope: Scope, error: BaseException) -> None:
        """Record the failed operation, which begins here if nothing has run."""
        gate = self._gate
        rest = scope.close()
        operation = scope.operation
        if operation is None:
            if gate.leaves_open(error):
                return
            operation = scope.describe(scope.text or "")
            operation.was_executed = False
            gate.dispatcher.begin(operation, scope.connection, scope.thread).leave()
        operation.execute_ns += 0 if scope.resumed else rest
        operation.fetch_ns += rest if scope.resumed else 0
        operation.check_slow()
        state = self._relations.find(scope.relation)
        if state is not None and state.operation is operation:
            state.operation = None
        gate.end(operation, error)


class PublicSQLCall(_PublicCall):
    """`con.sql`: a SELECT is only bound, anything else runs at once and its relation holds the result."""

    def __init__(self, gate: Gate, relations: Relations, scopes: Scopes, relation_type: type) -> None:
        super().__init__(gate, relations, scopes)
        self._relation_type = relation_type

    def begin(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Scope | None:
        """Open a scope with the caller's text."""
        text = sql_text(arguments[1] if len(arguments) > 1 else keywords.get("query"))
        return self._enter(arguments[0], None, text, keywords.get("params"))

    def succeed(self, scope: Scope, result: Any) -> Any:
        """Hand the operation on to the relation that holds its rows, or end it."""
        rest = scope.close()
        operation = scope.operation
        held = isinstance(result, self._relation_type)
        if held:
            state = self._relations.add(result, scope.connection)
            state.text = scope.text or ""
        if operation is not None:
            operation.execute_ns += rest
            operation.check_slow()
            if held and scope.ran_last:
                state.operation = operation
            else:
                self._gate.end(operation)
        return result


class PublicTerminalCall(_PublicCall):
    """A method of a relation that runs it."""

    def __init__(self, gate: Gate, relations: Relations, scopes: Scopes, count: Count | None = None) -> None:
        super().__init__(gate, relations, scopes)
        self._count = count

    def begin(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Scope | None:
        """Open a scope; rows that the relation holds already belong to the operation that made them."""
        if keywords.get("lazy"):
            return None
        relation = arguments[0]
        try:
            target = relation._con
        except Exception:  # another object: DuckDB says so
            return None
        state = self._relations.find(relation)
        plain = self._count is not None and state is not None and parse(state.text).count == 1
        scope = self._enter(target, relation, state.text if plain and state is not None else None, None)
        if scope is not None and state is not None and state.operation is not None:
            scope.operation, scope.resumed = state.operation, True
            state.operation = None
        return scope

    def succeed(self, scope: Scope, result: Any) -> Any:
        """Count rows and time, and end the operation; a reader carries it on."""
        gate = self._gate
        rest = scope.close()
        operation = scope.operation
        if operation is None:
            return result
        operation.fetch_ns += rest
        operation.check_slow()
        if streams.is_stream(result):
            holder = RelationState(scope.connection)
            holder.operation = operation
            return streams.observed(result, gate, holder, operation)
        if self._count is not None:
            operation.rows = self._count(result, ())[0]
        gate.end(operation)
        return result


def terminals(gate: Gate, relations: Relations, scopes: Scopes) -> dict[str, PublicTerminalCall]:
    """The hook of each public method of DuckDB 2's relations that may run it."""
    counted = PublicTerminalCall(gate, relations, scopes, all_rows)
    uncounted = PublicTerminalCall(gate, relations, scopes)
    returning = (*WHOLE_RESULT, "to_df", "to_dicts", "fetch_arrow_reader")
    others = (
        "__arrow_c_stream__",
        "materialize",
        "preview",
        "show",
        "__str__",
        "__repr__",
        "_repr_mimebundle_",
        "__len__",
        "shape",
        "explain",
        "create",
        "to_table",
        "insert",
        "insert_into",
        "update",
        "write_csv",
        "to_csv",
        "write_parquet",
        "to_parquet",
        "query",
    )
    return {**dict.fromkeys(returning, counted), **dict.fromkeys(others, uncounted)}
