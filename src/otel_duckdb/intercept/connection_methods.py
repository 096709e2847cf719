"""The hooks of a connection's methods: executing, fetching, opening and closing."""

from __future__ import annotations

from threading import get_ident
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.core.dispatcher import Call
from otel_duckdb.core.listener import Listener
from otel_duckdb.core.operation import Operation, settle_sampled_run
from otel_duckdb.intercept import streams
from otel_duckdb.intercept.fetchone import Fetchone, SampledRun
from otel_duckdb.intercept.rows import VECTOR_SIZE, all_rows, one_row
from otel_duckdb.intercept.wrappers import GoingOn, likened, wrapped
from otel_duckdb.telemetry.section import in_section

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_duckdb.core.operation import Connection
    from otel_duckdb.intercept.gate import Gate
    from otel_duckdb.intercept.wrappers import Faults

    Describe = Callable[[Any, tuple[Any, ...], dict[str, Any]], Operation]
    Count = Callable[[Any, tuple[Any, ...]], tuple[int | None, bool]]

_COUNTED: Final = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE_INTO", "CREATE", "COPY", "EXECUTE", "MULTI"})
"""Kinds of statements of which DuckDB may say how many rows they changed."""
_LONGEST_RUN: Final = 511
_IRREGULAR_RUN: Final = 15
_MEASURED_FIRST: Final = 64
_SLOW_FETCH_NS: Final = 20_000


class ExecuteCall:
    """A method that starts an operation."""

    def __init__(self, gate: Gate, describe: Describe, *, replaces: bool = False, counts: bool = False) -> None:
        """Take what makes the operation.

        `replaces` says that the call gives up the open result before it runs, `counts` that the connection it returns
        knows how many rows were changed.
        """
        self._gate = gate
        self._describe = describe
        self._replaces = replaces
        self._counts = counts

    def begin(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Call | None:
        """Begin an operation, unless the call is one DuckDB's own Python makes inside another."""
        gate = self._gate
        connection = gate.connection_to_record(arguments[0])
        if connection is None:
            return None
        thread = get_ident()
        if connection.busy_thread == thread:
            return None
        operation = self._describe(connection, arguments, keywords)
        return gate.dispatcher.begin(operation, connection, thread, self._replaces)

    def succeed(self, call: Call, result: Any) -> Any:
        """Keep the operation open while its result is; end it, and the one whose result it replaced."""
        gate = self._gate
        operation = call.operation
        operation.execute_ns = call.leave()
        if self._counts and operation.statement.kind in _COUNTED:
            operation.affected_rows = _affected_rows(result)
        keeps = operation.statement.returns_rows and not operation.is_batch and operation.name is None
        if keeps and operation.connection is not None and not operation.connection.closed:
            if call.holder.operation is None:
                call.holder.operation = operation
            else:
                gate.hold(call.holder, operation)
        else:
            gate.hold(call.holder, None)
            gate.dispatcher.end(operation)
        return result

    def fail(self, call: Call, error: BaseException) -> None:
        """End the operation with its error; a busy connection keeps the result it had."""
        gate = self._gate
        operation = call.operation
        operation.execute_ns = call.leave()
        if not gate.leaves_open(error):
            gate.hold(call.holder, None)
        gate.dispatcher.end(operation, error)


def _affected_rows(connection: Any) -> int | None:
    try:
        count: int = connection.rowcount
    except Exception:  # another thread has taken the connection since
        return None
    return count if count >= 0 else None


class FetchCall(GoingOn):
    """A method that takes rows of the open result."""

    def __init__(self, gate: Gate, count: Count) -> None:
        self._gate = gate
        self._live = gate.connections.live
        self._count = count

    def begin(self, arguments: tuple[Any, ...], _keywords: dict[str, Any]) -> tuple[Call, tuple[Any, ...]] | None:
        """Go on with the connection's operation, if it has one."""
        connection = self._live.get(id(arguments[0]))
        if connection is None:
            return None
        # As `Gate.resume` does, which would cost each query a frame.
        operation, thread, gate = connection.operation, get_ident(), self._gate
        if operation is None or operation.ended or connection.busy_thread == thread or not gate.active:
            return None
        if operation.sampled_run is not None:
            settle_sampled_run(operation.sampled_run)
        return Call(operation, connection, thread), arguments

    def succeed(self, entered: tuple[Call, tuple[Any, ...]], result: Any) -> Any:
        """Count the rows, and end the operation with the last of them; a reader carries it on."""
        call, arguments = entered
        gate = self._gate
        operation = call.operation
        operation.fetch_ns += call.leave()
        rows: int | None
        if type(result) is list and self._count is all_rows:
            rows, last = len(result), True
        elif type(result) is not list and streams.is_stream(result):
            return streams.observed(result, gate, call.holder, operation)
        else:
            rows, last = self._count(result, arguments)
        if rows is not None:
            operation.rows = (operation.rows or 0) + rows
        if last:
            gate.end(operation, holder=call.holder)
        return result

    def fail(self, entered: tuple[Call, tuple[Any, ...]], error: BaseException) -> None:
        """End the operation with its error, unless the error is of this one call's arguments."""
        call, _ = entered
        gate = self._gate
        call.operation.fetch_ns += call.leave()
        if not gate.leaves_open(error):
            gate.end(call.operation, error, holder=call.holder)


class FetchOneCall(Listener, GoingOn):
    """`fetchone`, whose calls cost less than two readings of the clock: in a long loop only some are measured.

    Measured are the first calls, the first of each chunk DuckDB hands over, and one between sampled runs; the time of
    the others is taken to be that of the quickest measured of its chunk. Rows are counted exactly.
    """

    component = "intercept"

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._fetching = FetchCall(gate, one_row)
        self._method: Any = None

    def method(self, original: Any, faults: Faults) -> Any:
        """What stands in the place of DuckDB's `fetchone`."""
        wrapped_one = wrapped(original, self, faults, self._gate.dormancy)
        # DuckDB 1 wraps its C function in an instancemethod, which takes as long as the counting.
        function = getattr(original, "__func__", original)
        self._method = likened(Fetchone(function, wrapped_one, in_section(self.over)), original)
        return self._method

    def connection_closed(self, connection: Connection) -> None:
        """Forget the run of a connection that is gone: another one may get its id."""
        if self._method is not None:
            self._method.forget(connection.key)

    def begin(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[Call, int] | None:
        """Go on with the connection's operation, if it has one."""
        entered = self._fetching.begin(arguments, keywords)
        return None if entered is None else (entered[0], id(arguments[0]))

    def succeed(self, entered: tuple[Call, int], row: Any) -> Any:
        """Count the row, and let the next calls pass unmeasured where the result allows it."""
        call, key = entered
        if row is None:
            return self._fetching.succeed((call, ()), row)
        operation = call.operation
        elapsed = call.leave()
        operation.fetch_ns += elapsed
        operation.rows = (operation.rows or 0) + 1
        if operation.rows > _MEASURED_FIRST and not self._gate.python_inside:
            self._allow(operation, key, elapsed)
        return row

    def fail(self, entered: tuple[Call, int], error: BaseException) -> None:
        """End the operation with its error."""
        self._fetching.fail((entered[0], ()), error)

    def _allow(self, operation: Operation, key: int, elapsed: int) -> None:
        position = (operation.rows or 0) % VECTOR_SIZE
        if position == 0:
            return
        if position == 1 or not operation.sample_ns:
            operation.sample_ns = elapsed if position > 1 else 0
            if position == 1:
                return
        longest = _LONGEST_RUN
        if elapsed > _SLOW_FETCH_NS:
            # Chunks of this result do not end where DuckDB's vectors do: sample more densely, and let a slow fetch
            # that was met stand for those that were passed over.
            longest = _IRREGULAR_RUN
            operation.fetch_ns += elapsed * longest if operation.sampled else 0
        else:
            operation.sample_ns = min(operation.sample_ns, elapsed)
        operation.sampled_run = SampledRun(min(longest, VECTOR_SIZE - position), operation)
        self._method.allow(key, operation.sampled_run)

    def over(self, key: int, run: SampledRun, error: BaseException | None) -> None:
        """An unmeasured fetch found no row, or raised."""
        try:
            run.operation.last_call_ns = perf_counter_ns()
            settle_sampled_run(run)
            self._method.forget(key)
            operation = run.operation
            connection = operation.connection
            if connection is not None and (error is None or not self._gate.leaves_open(error)):
                self._gate.end(operation, error, holder=connection)
        except Exception as fault:
            self._gate.report(fault)


class CloseResultCall:
    """A method that gives the open result up: `complete`, `abort`."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def begin(self, arguments: tuple[Any, ...], _keywords: dict[str, Any]) -> Connection | None:
        """Remember whose result it is."""
        return self._gate.connections.find(arguments[0])

    def succeed(self, connection: Connection, result: Any) -> Any:
        """End the operation whose result is gone."""
        self._gate.hold(connection, None)
        return result

    def fail(self, connection: Connection, error: BaseException) -> None:
        """Leave everything as it is."""


class CloseCall(CloseResultCall):
    """`close` and `__exit__`, which close the cursors and duplicates too."""

    def begin(self, arguments: tuple[Any, ...], _keywords: dict[str, Any]) -> Connection | None:
        """Let go of the database first, so that no lock of ours outlives the user's."""
        connection = self._gate.connections.find(arguments[0])
        if connection is not None:
            self._gate.connections.close(connection)
        return None


class CursorCall:
    """`cursor` and `duplicate`, which make a connection of a connection."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def begin(self, arguments: tuple[Any, ...], _keywords: dict[str, Any]) -> Connection | None:
        """Find the connection the new one descends from."""
        gate = self._gate
        return gate.connection_to_record(arguments[0])

    def succeed(self, parent: Connection, result: Any) -> Any:
        """Register the new connection."""
        self._gate.connections.add(result, parent.location, parent)
        return result

    def fail(self, parent: Connection, error: BaseException) -> None:
        """Nothing was made."""
