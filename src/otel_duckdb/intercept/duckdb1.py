"""The hooks of DuckDB 1's relations: nothing runs before a terminal method, and some keep a result of their own."""

from __future__ import annotations

from enum import Enum
from threading import get_ident
from typing import TYPE_CHECKING, Any

from otel_duckdb.core.operation import Operation
from otel_duckdb.intercept import streams
from otel_duckdb.intercept.describe import sql_text
from otel_duckdb.intercept.relation_texts import (
    closing_text,
    copy_text,
    count_text,
    create_text,
    explain_text,
    insert_into_text,
    insert_text,
    rendered,
    update_text,
)
from otel_duckdb.intercept.relations import RelationState
from otel_duckdb.intercept.rows import WHOLE_RESULT, all_rows, chunk_rows, one_row, some_rows
from otel_duckdb.statement import parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_duckdb.core.dispatcher import Call
    from otel_duckdb.core.operation import Connection
    from otel_duckdb.intercept.connection_methods import Count
    from otel_duckdb.intercept.gate import Gate
    from otel_duckdb.intercept.relations import Relations


class SQLCall:
    """`con.sql` of DuckDB 1: a SELECT is only bound, anything else runs at once and its relation holds the result."""

    def __init__(self, gate: Gate, relations: Relations, relation_type: type) -> None:
        self._gate = gate
        self._relations = relations
        self._relation_type = relation_type

    def begin(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> StartedSQLCall | None:
        """Begin an operation if something runs; else only take the time, for a query that fails to bind."""
        gate = self._gate
        connection = gate.connection_to_record(arguments[0])
        thread = get_ident()
        if connection is None or connection.busy_thread == thread:
            return None
        text = sql_text(arguments[1] if len(arguments) > 1 else keywords.get("query"))
        statement = parse(text)
        started = StartedSQLCall(connection, Operation(text, statement, connection, keywords.get("params")))
        if statement.kind != "SELECT" or statement.count > 1 or started.operation.has_values:
            started.call = gate.dispatcher.begin(started.operation, connection, thread)
        return started

    def succeed(self, started: StartedSQLCall, result: Any) -> Any:
        """Hand the operation on to the relation that holds its result, or end it."""
        gate, call = self._gate, started.call
        if call is not None:
            started.operation.execute_ns = call.leave()
            gate.hold(started.connection, None)
        if isinstance(result, self._relation_type):
            state = self._relations.add(result, started.connection)
            state.text = started.operation.text if started.operation.statement.count == 1 else ""
            lazy = started.operation.statement.kind == "SELECT" and not started.operation.has_values
            if call is not None and not lazy:
                state.operation = started.operation
                state.executed = True
                return result
        if call is not None:
            gate.end(started.operation)
        return result

    def fail(self, started: StartedSQLCall, error: BaseException) -> None:
        """Record the failed operation, which may not have begun yet."""
        gate = self._gate
        call = started.call or gate.dispatcher.begin(started.operation, started.connection, get_ident())
        call.leave()
        started.operation.execute_ns = started.operation.last_call_ns - started.operation.start_ns
        gate.end(started.operation, error)


class StartedSQLCall:
    """One call of `con.sql`."""

    __slots__ = ("call", "connection", "operation")

    def __init__(self, connection: Connection, operation: Operation) -> None:
        self.connection = connection
        self.operation = operation
        self.call: Call | None = None


class StartedTerminalCall:
    """One call of a relation's terminal method."""

    __slots__ = ("arguments", "call", "first", "state")

    def __init__(self, state: RelationState, call: Call, first: bool, arguments: tuple[Any, ...]) -> None:
        self.state = state
        self.call = call
        self.first = first
        self.arguments = arguments


class RunMode(Enum):
    """What a terminal method makes a relation do, as it was measured (`docs/architecture.md`)."""

    EXECUTE = "run, and leave the result open"
    FETCH = "go on with the relation's result, and run it only if there is none"
    FETCH_ALL = "the same, and use the result up"
    DISPLAY = "run once, and keep the rows"
    RERUN = "run a statement of its own each time"


class TerminalCall:
    """A method of DuckDB 1's relations that makes it run."""

    def __init__(
        self,
        gate: Gate,
        relations: Relations,
        mode: RunMode,
        text: Callable[[str, tuple[Any, ...], dict[str, Any]], str] | None = None,
        count: Count | None = None,
    ) -> None:
        self._gate = gate
        self._relations = relations
        self._mode = mode
        self._text = text
        self._count = count

    def begin(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> StartedTerminalCall | None:
        """Go on with the relation's open result, or begin an operation of its own."""
        gate = self._gate
        if not gate.active or keywords.get("lazy"):
            return None
        relation = arguments[0]
        if not hasattr(type(relation), "sql_query"):  # another object: DuckDB says so
            return None
        state = self._relations.find(relation) or self._of_unknown_origin(relation)
        thread = get_ident()
        if state.busy_thread == thread or not gate.should_record(state.connection):
            return None
        if self._mode in {RunMode.FETCH, RunMode.FETCH_ALL}:
            call = gate.resume(state, thread)
            if call is not None:
                return StartedTerminalCall(state, call, False, arguments)
        return None if self._runs_nothing(state) else self._first(state, thread, arguments, keywords)

    def _runs_nothing(self, state: RelationState) -> bool:
        if self._mode in {RunMode.FETCH, RunMode.FETCH_ALL} and state.exhausted:
            state.exhausted = self._mode is RunMode.FETCH
            return True
        return (self._mode is RunMode.DISPLAY and state.displayed) or (self._text is closing_text and state.executed)

    def _first(
        self, state: RelationState, thread: int, arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> StartedTerminalCall:
        sql = state.text or rendered(arguments[0].sql_query())
        text = sql if self._text is None else self._text(sql, arguments, keywords)
        operation = Operation(text, parse(text), state.connection)
        return StartedTerminalCall(state, self._gate.dispatcher.begin(operation, state, thread), True, arguments)

    def _of_unknown_origin(self, relation: Any) -> RelationState:
        """The state of a relation whose database can only be one where we know of one connection only."""
        live = tuple(self._gate.connections) if self._gate.everything else ()
        state = self._relations.add(relation, live[0] if len(live) == 1 else None)
        state.connection_inferred = True
        return state

    def succeed(self, entered: StartedTerminalCall, result: Any) -> Any:
        """Count rows and time, and end the operation with the result."""
        gate, state, operation = self._gate, entered.state, entered.call.operation
        elapsed = entered.call.leave()
        if entered.first:
            operation.execute_ns = elapsed
            state.executed = True
        else:
            operation.fetch_ns += elapsed
        if streams.is_stream(result):
            state.operation = None
            holder = RelationState(state.connection)
            holder.operation = operation
            return streams.observed(result, gate, holder, operation)
        self._settle(entered, operation, result)
        return result

    def _settle(self, entered: StartedTerminalCall, operation: Operation, result: Any) -> None:
        gate, state = self._gate, entered.state
        last = self._mode not in {RunMode.FETCH, RunMode.EXECUTE}
        if self._count is not None:
            rows, last = self._count(result, entered.arguments)
            if rows is not None:
                operation.rows = (operation.rows or 0) + rows
        if self._mode in {RunMode.RERUN, RunMode.DISPLAY}:
            state.displayed = state.displayed or self._mode is RunMode.DISPLAY
            gate.end(operation)
        elif last:
            state.exhausted = self._mode is RunMode.FETCH
            gate.end(operation, holder=state)
        else:
            state.exhausted = False
            gate.hold(state, operation)

    def fail(self, entered: StartedTerminalCall, error: BaseException) -> None:
        """End the operation with its error."""
        gate, operation = self._gate, entered.call.operation
        elapsed = entered.call.leave()
        if entered.first:
            operation.execute_ns = elapsed
        else:
            operation.fetch_ns += elapsed
        if entered.first or not gate.leaves_open(error):
            gate.end(operation, error, holder=entered.state)


def terminals(gate: Gate, relations: Relations) -> dict[str, TerminalCall]:
    """The hook of each method of DuckDB 1's relations that makes it run."""

    def make(mode: RunMode, text: Any = None, count: Count | None = None) -> TerminalCall:
        return TerminalCall(gate, relations, mode, text, count)

    fetch_all = make(RunMode.FETCH_ALL, count=all_rows)
    display, write = make(RunMode.DISPLAY), make(RunMode.RERUN, copy_text)
    counting, create = make(RunMode.RERUN, count_text), make(RunMode.RERUN, create_text)
    whole = (*WHOLE_RESULT, "to_df", "fetch_arrow_reader", "record_batch", "__arrow_c_stream__")
    hooks: dict[str, TerminalCall] = dict.fromkeys(whole, fetch_all)
    hooks.update(dict.fromkeys(("show", "__repr__", "__str__"), display))
    hooks.update(dict.fromkeys(("write_csv", "to_csv", "write_parquet", "to_parquet"), write))
    hooks.update(dict.fromkeys(("__len__", "shape"), counting))
    hooks.update(dict.fromkeys(("create", "to_table"), create))
    hooks.update(
        fetchone=make(RunMode.FETCH, count=one_row),
        fetchmany=make(RunMode.FETCH, count=some_rows),
        fetch_df_chunk=make(RunMode.FETCH, count=chunk_rows),
        execute=make(RunMode.EXECUTE),
        insert_into=make(RunMode.RERUN, insert_into_text),
        insert=make(RunMode.RERUN, insert_text),
        update=make(RunMode.RERUN, update_text),
        explain=make(RunMode.RERUN, explain_text),
        close=make(RunMode.RERUN, closing_text),
    )
    return hooks
