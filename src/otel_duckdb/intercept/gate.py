"""What all hooks share: whether a call is to be recorded, on which connection, and where its operation goes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY

from otel_duckdb.core.dispatcher import Call
from otel_duckdb.core.operation import settle_sampled_run, unregistered
from otel_duckdb.intercept.dormancy import Dormancy, no_sdk
from otel_duckdb.intercept.locate import locate
from otel_duckdb.telemetry.context import get_current
from otel_duckdb.telemetry.section import inside_the_sdk

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context

    from otel_duckdb.core.dispatcher import Dispatcher, Report
    from otel_duckdb.core.methods import Methods
    from otel_duckdb.core.operation import Connection, Operation, ResultHolder
    from otel_duckdb.intercept.registry import ConnectionRegistry

_SUPPRESSED: Final = (_SUPPRESS_INSTRUMENTATION_KEY, "suppress_instrumentation")
"""The keys that `opentelemetry.instrumentation.utils.suppress_instrumentation()` sets."""


def forget_profile(connection: Connection) -> None:
    """A statement runs that is no operation of its own: the profile DuckDB then holds is nobody's."""
    if connection.profiling is not None:
        connection.profiling.operation = None


def _is_suppressed(context: Context) -> bool:
    return bool(context.get(_SUPPRESSED[0]) or context.get(_SUPPRESSED[1]))


class Gate:
    """Decides what is recorded.

    Attributes:
        active: False after `uninstrument()`: live wrappers then only pass calls on.
        dormant: Whether no SDK was set up when last looked, so that there is nobody to tell.
        dormancy: The same from the start until it first ended, for the wrappers, which then call no hook.
        everything: Whether connections nobody has registered are recorded too.
        python_inside: Whether Python code of the user may run inside DuckDB, as a function or a file system.
        woken: Called when an SDK was set up after all.
    """

    def __init__(
        self,
        connections: ConnectionRegistry,
        dispatcher: Dispatcher,
        report: Report,
        methods: Methods,
        resource_in_use: type[BaseException] | None,
        *,
        dormant: bool,
    ) -> None:
        self.active = True
        self.dormant = dormant
        self.dormancy = Dormancy(dormant=dormant)
        self.everything = True
        self.connections = connections
        self._live = connections.live
        self._put_off = connections.deferred.put_off
        self.dispatcher = dispatcher
        self._report = report
        self.python_inside = False
        self.woken: Callable[[], None] = lambda: None
        self._methods = methods
        self._passing: tuple[type[BaseException], ...] = (TypeError, ImportError)
        if resource_in_use is not None:
            self._passing += (resource_in_use,)

    def report(self, fault: Exception) -> None:
        """Count a failure of our own in a call of the user's, which goes on without us."""
        self._report("intercept", fault)

    def connection_to_record(self, target: Any) -> Connection | None:
        """The record of the connection, or None if a call on it is not to be recorded now."""
        if not self.active or (self.dormant and self._nobody_listens()):
            return None
        if self._put_off:
            self.connections.deferred.run()
        connection = self._live.get(id(target))
        context = get_current()
        if context and _is_suppressed(context):  # most calls come in an empty context, and are spared a frame
            if connection is not None:
                forget_profile(connection)
            return None
        if inside_the_sdk():
            return None
        if connection is None and self.everything:
            return self.adopt(target)
        return connection

    def adopt(self, target: Any) -> Connection:
        """The record of a connection made before we listened; a closed one is recorded, but not registered."""
        try:
            where = locate(target, self._methods)
        except Exception:
            return unregistered()
        return self.connections.add(target, where)

    def dismiss(self, target: Any) -> None:
        """Hear a connection no more."""
        connection = self.connections.find(target)
        if connection is not None:
            self.connections.close(connection)

    def should_record(self, connection: Connection | None) -> bool:
        """Whether a call that belongs to this connection, None for an unknown one, is to be recorded now."""
        if not self.active or (self.dormant and self._nobody_listens()):
            return False
        if not self.everything and connection is None:
            return False
        return not _is_suppressed(get_current()) and not inside_the_sdk()

    def wake(self) -> None:
        """Somebody listens, whether an SDK is set up or not."""
        self.dormancy.end()
        self.dormant = False

    def _nobody_listens(self) -> bool:
        if no_sdk():
            return True
        self.wake()
        self.woken()
        return False

    def resume(self, holder: ResultHolder, thread: int) -> Call | None:
        """Enter a DuckDB call that serves the operation whose result is open."""
        operation = holder.operation
        if operation is None or operation.ended or holder.busy_thread == thread or not self.active:
            return None
        if operation.sampled_run is not None:
            settle_sampled_run(operation.sampled_run)
        return Call(operation, holder, thread)

    def leaves_open(self, error: BaseException) -> bool:
        """Whether the error leaves an open result as it was: a wrong argument, or a busy connection."""
        return isinstance(error, self._passing)

    def hold(self, holder: ResultHolder, operation: Operation | None) -> None:
        """Let `holder` hold the operation as its open result, in the place of the one before, which ends."""
        previous = holder.operation
        replaced = None if previous is operation else previous
        try:
            holder.operation = operation
            if replaced is not None:
                self.end(replaced)
        except BaseException:  # by a signal
            if replaced is not None:
                self.dispatcher.end(replaced)
            raise

    def end(
        self, operation: Operation, error: BaseException | None = None, *, holder: ResultHolder | None = None
    ) -> None:
        """The operation is over: its result is used up, or failed, and `holder` holds it no more."""
        if holder is not None and holder.operation is operation:
            holder.operation = None
        if inside_the_sdk():  # which was interrupted: it ends with the next call that is recorded
            self._put_off.append(partial(self.dispatcher.end, operation, error))
        else:
            self.dispatcher.end(operation, error)
