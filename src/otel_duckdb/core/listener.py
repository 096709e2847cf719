"""How one part of this package learns what happens in another: the events, and who may listen to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Container

    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from otel_duckdb.core.operation import Connection, Operation, ResultHolder


class Listener:
    """What wants to know of connections and operations.

    A listener overrides the methods of the events it wants; the dispatcher calls no other. Listeners are told in the
    order in which they were given to the dispatcher. What one raises is counted under its `component`, and neither
    another listener nor the user's call learns of it. All methods are called in the thread of the user's call, unless
    they say otherwise, so they must be quick, and may be called by several threads at once.

    Attributes:
        component: The name its failures are counted under in `otel_duckdb_internal_errors`.
        watched: The statements, by their redacted text, and the connections whose operations `before_execute` is told
            of. While it is empty an operation costs one look at it.
        running: A set that the dispatcher keeps for it: the accepted operations that have not ended. None for no set.
        kinds: The kinds of statements that `record` is told of; where it is empty, of all.
    """

    component: ClassVar[str]
    watched: Container[object] = ()
    running: set[Operation] | None = None
    kinds: ClassVar[frozenset[str]] = frozenset()

    def connection_opened(self, connection: Connection, target: Any) -> None:
        """A connection was opened, or is seen for the first time; `target` is DuckDB's object."""

    def connection_closing(self, connection: Connection) -> None:
        """A connection is about to be closed, or was collected.

        Called in any thread, and perhaps inside a garbage collection, where a lock must not be waited for.
        """

    def connection_closed(self, connection: Connection) -> None:
        """A connection is closed or collected, and its last operation has ended; never inside a garbage collection."""

    def connect_failed(self, error: BaseException) -> None:
        """`duckdb.connect` raised `error`."""

    def profiling_taken(self, connection: Connection) -> None:
        """The user took the connection's profiling into their own hands."""

    def accepts(self, _operation: Operation) -> bool:
        """Whether the operation is to be recorded; the first False of any listener wins."""
        return True

    def before_execute(self, operation: Operation, holder: ResultHolder, replaces: bool) -> None:
        """DuckDB is about to run an operation that is `watched`; its clock starts afterwards.

        `replaces` says that the call gives up the open result of its connection before it runs.
        """

    def started(self, operation: Operation, context: Context) -> None:
        """DuckDB is about to run an operation that is accepted; `context` is the caller's."""

    def became_slow(self, operation: Operation) -> None:
        """The operation has just taken longer than the threshold; told once, inside the call that made it so."""

    def finished(self, operation: Operation) -> None:
        """DuckDB's last call for the operation is over, and nothing of it is recorded yet.

        Told of operations that were not accepted as well, so that what is followed through a connection stays right.
        """

    def describe(self, operation: Operation, span: Span) -> None:
        """The recording span of an operation with a caller or a profile is about to end: the last moment for it."""

    def record(self, operation: Operation) -> None:
        """An accepted operation is over: make of it what there is to make. Told after all have heard `finished`.

        Listeners that name `kinds` are told after those that do not.
        """

    def failed(self, operation: Operation) -> None:
        """An accepted operation ended with an error; told after `record`."""
