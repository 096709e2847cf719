"""Begins operations, ends each of them once, and tells the listeners, none of which can disturb another."""

from __future__ import annotations

from contextlib import contextmanager
from math import inf
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from opentelemetry.context import detach as detach_or_log
from opentelemetry.trace import INVALID_SPAN, set_span_in_context

from otel_duckdb.core.current_database import CurrentDatabases
from otel_duckdb.core.listener import Listener
from otel_duckdb.core.operation import SlowThreshold, settle_sampled_run
from otel_duckdb.telemetry.context import attach, detach, get_current

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from otel_duckdb.core.operation import Connection, Operation, ResultHolder

    Report = Callable[[str, BaseException], None]
    Told = tuple[Callable[..., Any], ...]

_NEVER_SLOW = SlowThreshold(inf, lambda _: None)


class Call:
    """One DuckDB call in the service of an operation: the operation's span is current while it lasts."""

    __slots__ = ("holder", "operation", "start_ns", "token")

    def __init__(self, operation: Operation, holder: ResultHolder, thread: int) -> None:
        self.operation = operation
        self.holder = holder
        self.token: Token[Context] | None = None
        holder.call = self
        holder.busy_thread = thread
        context = operation.context
        if context is not None:
            self.token = attach(context)
        self.start_ns = holder.busy_since_ns = perf_counter_ns()

    def leave(self) -> int:
        """The call is over; returns the nanoseconds it took."""
        now = perf_counter_ns()
        holder = self.holder
        holder.busy_thread = holder.busy_since_ns = 0
        holder.call = None
        if self.token is not None:
            try:
                detach(self.token)
            except Exception:
                detach_or_log(self.token)
        operation = self.operation
        operation.last_call_ns = now
        if now - self.start_ns + operation.execute_ns + operation.fetch_ns > operation.slow_threshold.limit_ns:
            operation.slow_threshold.exceeded(operation)
        return now - self.start_ns

    def give_up(self) -> None:
        """The call is over, and code of ours was broken off at a point that nobody knows."""
        holder, operation = self.holder, self.operation
        if holder.call is self:
            holder.busy_thread = holder.busy_since_ns = 0
            holder.call = None
        self.token = None
        _leave_context(operation)


def _leave_context(operation: Operation) -> None:
    """Make the caller's span current again, by its value, for a token may be lost where code was broken off."""
    current = get_current()
    if operation.span is not None and current is operation.context:
        attach(set_span_in_context(operation.parent or INVALID_SPAN, current))


def _settle(operation: Operation) -> None:
    """Know the rows and the time of an operation of whose fetches some were not measured."""
    if operation.sampled_run is not None:
        settle_sampled_run(operation.sampled_run)
    if operation.sampled:
        # What is extrapolated cannot be more than the time there was.
        there_was = operation.last_call_ns - operation.start_ns - operation.execute_ns
        operation.fetch_ns = max(0, min(operation.fetch_ns, there_was))


class Dispatcher:
    """Tells listeners of connections and operations; each event goes to those only that define it."""

    _ended: Told
    _finished: Told
    _failed: Told
    _by_kind: dict[str, Told]

    def __init__(self, report: Report, slow_ns: float = inf) -> None:
        """Count what listeners raise by `report`; an operation of more than `slow_ns` nanoseconds is slow."""
        self._report = report
        self._slow_ns = slow_ns
        self._slow_threshold = _NEVER_SLOW
        self._listeners: list[Listener] = []
        self._current_databases = CurrentDatabases()
        self._bind()

    def listen(self, *listeners: Listener) -> None:
        """Tell these listeners from now on, after those that listen already."""
        self._listeners += listeners
        self._bind()

    def forget(self, *listeners: Listener) -> None:
        """Tell these listeners no more; operations that run now may still end without them."""
        self._listeners = [each for each in self._listeners if each not in listeners]
        self._bind()

    @contextmanager
    def muted(self) -> Iterator[None]:
        """Tell nobody of operations that end meanwhile."""
        self._ended = self._finished = self._failed = ()
        self._by_kind = {}
        try:
            yield
        finally:
            self._bind()

    def _bind(self) -> None:
        self._opened, self._closing, self._closed, self._connect_failed, self._profiling_taken = (
            self._defined(name)
            for name in (
                "connection_opened",
                "connection_closing",
                "connection_closed",
                "connect_failed",
                "profiling_taken",
            )
        )
        self._accepts, self._started, self._slow = map(self._defined, ("accepts", "started", "became_slow"))
        self._finished, self._describe, self._failed = map(self._defined, ("finished", "describe", "failed"))
        record = self._defined("record")
        self._ended = self._finished + tuple(each for each in record if not each.__self__.kinds)
        self._by_kind = {
            kind: tuple(each for each in record if kind in each.__self__.kinds)
            for kind in frozenset().union(*(each.__self__.kinds for each in record))
        }
        self._running = tuple(each.running for each in self._listeners if each.running is not None)
        self._watching: tuple[tuple[Container[object], Callable[..., None]], ...] = tuple(
            (before.__self__.watched, before) for before in self._defined("before_execute")
        )
        self._slow_threshold = SlowThreshold(self._slow_ns, self._became_slow) if self._slow else _NEVER_SLOW

    def _defined(self, event: str) -> tuple[Any, ...]:
        inherited = getattr(Listener, event)
        return tuple(getattr(each, event) for each in self._listeners if getattr(type(each), event) is not inherited)

    def _tell(self, told: Told, *arguments: Any) -> None:
        for listener in told:
            try:
                listener(*arguments)
            except Exception as fault:
                self._fault(listener, fault)

    def _fault(self, listener: Any, fault: Exception) -> None:
        self._report(listener.__self__.component, fault)

    def connection_opened(self, connection: Connection, target: Any) -> None:
        """A connection was opened, or is seen for the first time."""
        self._tell(self._opened, connection, target)

    def connection_closing(self, connection: Connection) -> None:
        """A connection is about to be closed, or was collected."""
        self._tell(self._closing, connection)

    def connection_closed(self, connection: Connection) -> None:
        """A connection is gone; ends the operation whose result was open on it, outside any garbage collection."""
        operation, connection.operation = connection.operation, None
        if operation is not None:
            try:
                self.end(operation)
            except BaseException:  # a signal's, which may have come before anything was done
                connection.operation = operation
                raise
        self._tell(self._closed, connection)

    def connect_failed(self, error: BaseException) -> None:
        """`duckdb.connect` raised."""
        self._tell(self._connect_failed, error)

    def profiling_taken(self, connection: Connection) -> None:
        """The user took the connection's profiling into their own hands."""
        self._tell(self._profiling_taken, connection)

    def begin(self, operation: Operation, holder: ResultHolder, thread: int, replaces: bool = False) -> Call:
        """Enter the operation's first DuckDB call; `replaces` says that it gives up its connection's open result."""
        operation.slow_threshold = self._slow_threshold
        try:
            if self._accepts:
                self._ask(operation)
            for watched, before_execute in self._watching:
                if watched and (operation.statement.redacted in watched or operation.connection in watched):
                    self._prepare(before_execute, operation, holder, replaces)
            if operation.accepted:
                for running in self._running:
                    at_work = 0 if operation.connection is None else operation.connection.busy_thread
                    operation.thread, operation.came_second = thread, at_work not in (0, thread)
                    running.add(operation)
                context = get_current()
                for started in self._started:
                    try:
                        started(operation, context)
                    except Exception as fault:
                        self._fault(started, fault)
            return Call(operation, holder, thread)
        except BaseException as error:  # a signal's
            self._give_up(operation, holder, error)
            raise

    def _give_up(self, operation: Operation, holder: ResultHolder, error: BaseException) -> None:
        call = holder.call
        if isinstance(call, Call) and call.operation is operation:
            call.give_up()
        operation.accepted = operation.accepted and hasattr(operation, "attributes")  # else nobody can tell of it
        self.end(operation, error)

    def _ask(self, operation: Operation) -> None:
        for accepts in self._accepts:
            try:
                operation.accepted = bool(accepts(operation))
            except Exception as fault:
                self._fault(accepts, fault)
            if not operation.accepted:
                operation.slow_threshold = _NEVER_SLOW
                return

    def _prepare(
        self, before_execute: Callable[..., None], operation: Operation, holder: ResultHolder, replaces: bool
    ) -> None:
        began = perf_counter_ns()
        try:
            before_execute(operation, holder, replaces)
        except Exception as fault:
            self._fault(before_execute, fault)
        spent = perf_counter_ns() - began
        operation.start_unix_ns += spent
        operation.start_ns += spent
        operation.last_call_ns += spent

    def _became_slow(self, operation: Operation) -> None:
        operation.slow_threshold = _NEVER_SLOW
        self._tell(self._slow, operation)

    def describe(self, operation: Operation, span: Span) -> None:
        """Let listeners say on the operation's span what they know of it."""
        for listener in self._describe:
            try:
                listener(operation, span)
            except Exception as fault:
                self._fault(listener, fault)

    def _particular(self, operation: Operation) -> Told:
        """Who is told because of the operation's kind, or its error."""
        of_kind = self._by_kind.get(operation.statement.kind, ())
        return of_kind if operation.error is None else of_kind + self._failed

    def end(self, operation: Operation, error: BaseException | None = None) -> None:
        """The operation is over; a second call does nothing."""
        if operation.ended:
            return
        operation.ended = True
        for running in self._running:
            running.discard(operation)
        operation.error = operation.error if error is None else error
        if error is None and operation.statement.database_steps and operation.connection is not None:
            self._current_databases.follow(operation.connection, operation.statement.database_steps)
        if operation.sampled or operation.sampled_run is not None:
            _settle(operation)
        told = self._ended if operation.accepted else self._finished
        if operation.accepted and (operation.error is not None or operation.statement.kind in self._by_kind):
            told += self._particular(operation)
        interruption: BaseException | None = None
        for listener in told:
            try:
                listener(operation)
            except Exception as fault:
                self._fault(listener, fault)
            except BaseException as broken_off:  # by a signal: the others hear of it first
                interruption = broken_off
        # Whoever still knows the operation must not keep the caller's objects: a traceback leads to all of them.
        operation.parameters = operation.error = None
        if interruption is not None:
            _leave_context(operation)
            raise interruption
