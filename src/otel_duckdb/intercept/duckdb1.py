"""The roles of DuckDB 1's relations: nothing runs before a terminal method, and some keep a result of their own."""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.core.operation import Call, Operation
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

    from otel_duckdb.core.connection import Connection
    from otel_duckdb.intercept.connection_methods import Count
    from otel_duckdb.intercept.gate import Listener
    from otel_duckdb.intercept.relations import Relations


class Asking:
    """`con.sql` of DuckDB 1: a SELECT is only bound, anything else runs at once and its relation holds the result."""

    def __init__(self, listener: Listener, relations: Relations, relation_type: type) -> None:
        self._listener = listener
        self._relations = relations
        self._relation_type = relation_type

    def begin(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Asked | None:
        """Begin an operation if something runs; else only take the time, for a query that fails to bind."""
        listener = self._listener
        try:
            connection = listener.hear(arguments[0])
            thread = get_ident()
            if connection is None or connection.serving == thread:
                return None
            text = sql_text(arguments[1] if len(arguments) > 1 else keywords.get("query"))
            statement = parse(text)
            asked = Asked(connection, Operation(text, statement, connection, keywords.get("params")))
            if statement.kind != "SELECT" or statement.count > 1 or keywords.get("params"):
                asked.call = listener.operations.begin(asked.operation, connection, thread)
        except Exception as fault:
            listener.faults.report("intercept", fault)
            return None
        return asked

    def succeed(self, asked: Asked, result: Any) -> Any:
        """Hand the operation on to the relation that holds its result, or end it."""
        listener, call = self._listener, asked.call
        try:
            if call is not None:
                asked.operation.execute_ns = call.leave()
                listener.hold(asked.connection, None)
            if isinstance(result, self._relation_type):
                state = self._relations.add(result, asked.connection)
                state.text = asked.operation.text if asked.operation.statement.count == 1 else ""
                lazy = asked.operation.statement.kind == "SELECT" and not asked.operation.parameters
                if call is not None and not lazy:
                    state.operation = asked.operation
                    state.executed = True
                    return result
            if call is not None:
                listener.operations.end(asked.operation)
        except Exception as fault:
            listener.faults.report("intercept", fault)
        return result

    def fail(self, asked: Asked, error: BaseException) -> None:
        """Record the failed operation, which may not have begun yet."""
        listener = self._listener
        try:
            call = asked.call or listener.operations.begin(asked.operation, asked.connection, get_ident())
            call.leave()
            asked.operation.execute_ns = asked.operation.last - asked.operation.started
            listener.operations.end(asked.operation, error)
        except Exception as fault:
            listener.faults.report("intercept", fault)


class Asked:
    """One call of `con.sql`."""

    __slots__ = ("call", "connection", "operation")

    def __init__(self, connection: Connection, operation: Operation) -> None:
        self.connection = connection
        self.operation = operation
        self.call: Call | None = None


class Entered:
    """One call of a relation's terminal method."""

    __slots__ = ("arguments", "call", "first", "state")

    def __init__(self, state: RelationState, call: Call, first: bool, arguments: tuple[Any, ...]) -> None:
        self.state = state
        self.call = call
        self.first = first
        self.arguments = arguments


_AGAIN: Final = "again"
_STEP: Final = "step"
_DRAIN: Final = "drain"
_DRAW: Final = "draw"
_KEEP: Final = "keep"


class Terminal:
    """A method of DuckDB 1's relations that makes it run.

    What runs when was measured (`docs/architecture.md`): `step` methods go on with the relation's result and run it
    only if there is none; `drain` methods do the same and use the result up; `again` methods run a statement of their
    own each time; `draw` methods run once and keep the rows; `keep` methods run and leave the result open.
    """

    def __init__(
        self,
        listener: Listener,
        relations: Relations,
        manner: str,
        text: Callable[[str, tuple[Any, ...], dict[str, Any]], str] | None = None,
        count: Count | None = None,
    ) -> None:
        self._listener = listener
        self._relations = relations
        self._manner = manner
        self._text = text
        self._count = count

    def begin(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Entered | None:
        """Go on with the relation's open result, or begin an operation of its own."""
        listener = self._listener
        if not listener.active or keywords.get("lazy"):
            return None
        try:
            state = self._relations.find(arguments[0]) or self._of_unknown_origin(arguments[0])
            thread = get_ident()
            if state.serving == thread or not listener.hears(state.connection):
                return None
            if self._manner in {_STEP, _DRAIN}:
                call = listener.resume(state, thread)
                if call is not None:
                    return Entered(state, call, False, arguments)
            return None if self._runs_nothing(state) else self._first(state, thread, arguments, keywords)
        except Exception as fault:
            listener.faults.report("intercept", fault)
            return None

    def _runs_nothing(self, state: RelationState) -> bool:
        if self._manner in {_STEP, _DRAIN} and state.exhausted:
            state.exhausted = self._manner == _STEP
            return True
        return (self._manner == _DRAW and state.drawn) or (self._text is closing_text and state.executed)

    def _first(
        self, state: RelationState, thread: int, arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> Entered:
        sql = state.text or rendered(arguments[0].sql_query())
        text = sql if self._text is None else self._text(sql, arguments, keywords)
        operation = Operation(text, parse(text), state.connection)
        return Entered(state, self._listener.operations.begin(operation, state, thread), True, arguments)

    def _of_unknown_origin(self, relation: Any) -> RelationState:
        """The state of a relation whose database can only be one where we know of one connection only."""
        live = tuple(self._listener.connections) if self._listener.everything else ()
        state = self._relations.add(relation, live[0] if len(live) == 1 else None)
        state.guessed = True
        return state

    def succeed(self, entered: Entered, result: Any) -> Any:
        """Count rows and time, and end the operation with the result."""
        listener, state, operation = self._listener, entered.state, entered.call.operation
        try:
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
                return streams.observed(result, listener, holder, operation)
            self._settle(entered, operation, result)
        except Exception as fault:
            listener.faults.report("intercept", fault)
        return result

    def _settle(self, entered: Entered, operation: Operation, result: Any) -> None:
        listener, state = self._listener, entered.state
        last = self._manner not in {_STEP, _KEEP}
        if self._count is not None:
            rows, last = self._count(result, entered.arguments)
            if rows is not None:
                operation.rows = (operation.rows or 0) + rows
        if self._manner in {_AGAIN, _DRAW}:
            state.drawn = state.drawn or self._manner == _DRAW
            listener.operations.end(operation)
        elif last:
            state.exhausted = self._manner == _STEP
            listener.finish(state, operation)
        else:
            state.exhausted = False
            listener.hold(state, operation)

    def fail(self, entered: Entered, error: BaseException) -> None:
        """End the operation with its error."""
        listener, operation = self._listener, entered.call.operation
        try:
            elapsed = entered.call.leave()
            if entered.first:
                operation.execute_ns = elapsed
            else:
                operation.fetch_ns += elapsed
            if entered.first or not listener.leaves_open(error):
                listener.finish(entered.state, operation, error)
        except Exception as fault:
            listener.faults.report("intercept", fault)


def terminals(listener: Listener, relations: Relations) -> dict[str, Terminal]:
    """The role of each method of DuckDB 1's relations that makes it run."""

    def make(manner: str, text: Any = None, count: Count | None = None) -> Terminal:
        return Terminal(listener, relations, manner, text, count)

    drain = make(_DRAIN, count=all_rows)
    draw, write = make(_DRAW), make(_AGAIN, copy_text)
    counting, create = make(_AGAIN, count_text), make(_AGAIN, create_text)
    whole = (*WHOLE_RESULT, "to_df", "fetch_arrow_reader", "record_batch", "__arrow_c_stream__")
    roles: dict[str, Terminal] = dict.fromkeys(whole, drain)
    roles.update(dict.fromkeys(("show", "__repr__", "__str__"), draw))
    roles.update(dict.fromkeys(("write_csv", "to_csv", "write_parquet", "to_parquet"), write))
    roles.update(dict.fromkeys(("__len__", "shape"), counting))
    roles.update(dict.fromkeys(("create", "to_table"), create))
    roles.update(
        fetchone=make(_STEP, count=one_row),
        fetchmany=make(_STEP, count=some_rows),
        fetch_df_chunk=make(_STEP, count=chunk_rows),
        execute=make(_KEEP),
        insert_into=make(_AGAIN, insert_into_text),
        insert=make(_AGAIN, insert_text),
        update=make(_AGAIN, update_text),
        explain=make(_AGAIN, explain_text),
        close=make(_AGAIN, closing_text),
    )
    return roles
