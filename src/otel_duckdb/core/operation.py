"""One operation, from the call that starts it to its drained result."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from time import perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any, Protocol

from opentelemetry.context import attach, detach, get_current

from otel_duckdb.core.transaction import NO_TRANSACTION, ROLLBACK

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

    from otel_duckdb.core.caller import Caller
    from otel_duckdb.core.profile import Profile
    from otel_duckdb.statement import Statement
    from otel_duckdb.telemetry.internal_errors import InternalErrors


class OperationAttributes:
    """What all operations of one text on one database have in common, as their signals say it.

    Attributes:
        span_name: The span's name.
        span: The span's attributes at creation, when a sampler may look at them.
        metrics: The attributes of the semantic conventions' metrics.
        by_query_type: The label of `duckdb_query_latency_ms`.
        by_table_name: The label of the latency of its statement kind.
    """

    __slots__ = ("by_query_type", "by_table_name", "metrics", "span", "span_name")

    def __init__(
        self,
        span_name: str,
        span: Mapping[str, AttributeValue],
        metrics: Mapping[str, AttributeValue],
        by_query_type: Mapping[str, AttributeValue],
        by_table_name: Mapping[str, AttributeValue],
    ) -> None:
        self.span_name = span_name
        self.span = span
        self.metrics = metrics
        self.by_query_type = by_query_type
        self.by_table_name = by_table_name


class Operation:
    """What is known of one operation; hooks may read it.

    Attributes:
        text: The SQL text as the caller gave it, with its literals.
        statement: What the text says: kind, targets, summary.
        parameters: The parameters of the call, or None.
        is_batch: Whether the call is one of `executemany`.
        batch_size: How many parameter sets such a call carried, or None where they cannot be counted.
        name: The operation the API itself names, such as `append`, or None.
        collection: The table the API itself names, or None.
        connection: The live connection it ran on, or None where DuckDB does not tell.
        execute_ns: Nanoseconds DuckDB spent in the call that started it.
        fetch_ns: Nanoseconds DuckDB spent in the fetches.
        rows: Rows the caller has fetched, or None if it fetched nothing that counts rows.
        affected_rows: Rows that DuckDB says were inserted, changed, deleted or written, or None where it says nothing.
        sampled: Whether a part of `fetch_ns` was extrapolated from sampled fetches.
        error: The exception that ended it, or None.
        was_executed: Whether DuckDB began to run it; False where `sql()` could not even bind it.
        caller: Where the user's code called when it had become slow, or None.
        profile: What DuckDB's profiler says of it, or None.
        parent: The span it was called in, or None.
    """

    __slots__ = (
        "__weakref__",
        "affected_rows",
        "attributes",
        "batch_size",
        "caller",
        "collection",
        "connection",
        "context",
        "ended",
        "error",
        "execute_ns",
        "fetch_ns",
        "is_batch",
        "last_call_ns",
        "name",
        "parameters",
        "parent",
        "profile",
        "rows",
        "sample_ns",
        "sampled",
        "sampled_run",
        "slow_threshold",
        "span",
        "start_ns",
        "start_unix_ns",
        "statement",
        "text",
        "was_executed",
    )

    attributes: OperationAttributes
    span: Span | None
    context: Context | None
    slow_threshold: SlowThreshold

    def __init__(
        self,
        text: str,
        statement: Statement,
        connection: Any = None,
        parameters: Any = None,
        batch_size: int | None = None,
        name: str | None = None,
        collection: str | None = None,
    ) -> None:
        self.text = text
        self.statement = statement
        self.connection = connection
        self.parameters = parameters
        self.batch_size = batch_size
        self.is_batch = False
        self.name = name
        self.collection = collection
        self.span = None
        self.context = None
        self.start_unix_ns = time_ns()
        self.start_ns = self.last_call_ns = perf_counter_ns()
        self.execute_ns = 0
        self.fetch_ns = 0
        self.rows: int | None = None
        self.affected_rows: int | None = None
        self.error: BaseException | None = None
        self.caller: Caller | None = None
        self.profile: Profile | None = None
        self.parent: Span | None = None
        self.ended = False
        self.was_executed = True
        self.sampled = False
        self.sampled_run: SampledRun | None = None
        self.sample_ns = 0

    @property
    def database(self) -> str:
        """The name of the database it ran on, or an empty string where DuckDB does not tell."""
        return "" if self.connection is None else str(self.connection.database)

    @property
    def duration_ns(self) -> int:
        """Nanoseconds spent inside DuckDB: the call and its fetches, without the caller's time between them."""
        return self.execute_ns + self.fetch_ns

    @property
    def failure(self) -> BaseException | None:
        """The error, if it is one: none is that of a ROLLBACK where no transaction was open.

        SQLAlchemy and dbt send such a ROLLBACK to be sure, and pass over what DuckDB raises.
        """
        error, statement = self.error, self.statement
        if error is None or statement.transaction != ROLLBACK or statement.count != 1:
            return error
        return None if NO_TRANSACTION in str(error) else error

    @property
    def end_unix_ns(self) -> int:
        """When the last DuckDB call that served it ended, in nanoseconds since the epoch."""
        return self.start_unix_ns + self.last_call_ns - self.start_ns


class StreamError(Exception):
    """An Arrow stream failed while somebody else read it; the text is the one DuckDB gave."""


class SampledRun(Protocol):
    """Fetches of one operation that may pass unmeasured.

    Attributes:
        left: Fetches that may still pass.
        length: Fetches that might pass at first.
        operation: The operation they serve.
    """

    left: int
    length: int
    operation: Operation


class Signals(Protocol):
    """What an operation is turned into."""

    def open(self, operation: Operation, context: Context) -> None:
        """Give the operation its shape, span and context."""

    def close(self, operation: Operation) -> None:
        """Record the ended operation."""


class ResultHolder(Protocol):
    """Who holds an operation while its result is open: a connection, or a relation with a result of its own."""

    operation: Operation | None
    busy_thread: int
    closed: bool
    connection_inferred: bool


@dataclass(frozen=True, slots=True)
class SlowThreshold:
    """How long an operation may take before it is slow, and who is told inside the call that makes it so."""

    limit_ns: float
    exceeded: Callable[[Operation], None]


class Call:
    """One DuckDB call in the service of an operation: the operation's span is current while it lasts."""

    __slots__ = ("holder", "operation", "start_ns", "token")

    def __init__(self, operation: Operation, holder: ResultHolder, thread: int) -> None:
        self.operation = operation
        self.holder = holder
        holder.busy_thread = thread
        context = operation.context
        self.token: Token[Context] | None = None if context is None else attach(context)
        self.start_ns = perf_counter_ns()

    def leave(self) -> int:
        """The call is over; returns the nanoseconds it took."""
        now = perf_counter_ns()
        self.holder.busy_thread = 0
        if self.token is not None:
            detach(self.token)
        operation = self.operation
        operation.last_call_ns = now
        if now - self.start_ns + operation.execute_ns + operation.fetch_ns > operation.slow_threshold.limit_ns:
            operation.slow_threshold.exceeded(operation)
        return now - self.start_ns


class Operations:
    """Begins operations and ends each of them exactly once."""

    def __init__(self, signals: Signals, internal_errors: InternalErrors) -> None:
        self._signals = signals
        self._internal_errors = internal_errors
        self.on_end: list[Callable[[Operation], None]] = []
        """Called with each operation after its last DuckDB call and before its signals are recorded."""
        self.slow_threshold = SlowThreshold(inf, lambda _: None)
        self.attention: Container[object] = ()
        """The statements, by their redacted text, and the connections whose operations are shown to `prepare`."""
        self.stand_down: Callable[[Any], None] = lambda _connection: None
        """Called with a connection whose profiling the user takes into their own hands."""
        self.prepare: Callable[[Operation, ResultHolder, bool], None] = lambda _operation, _holder, _replaces: None
        """Called before such an operation begins, and told whether its call gives up the connection's open result."""

    def begin(self, operation: Operation, holder: ResultHolder, thread: int, replaces: bool = False) -> Call:
        """Open the operation's span and enter its first DuckDB call."""
        attention = self.attention
        if attention and (operation.statement.redacted in attention or operation.connection in attention):
            self.prepare(operation, holder, replaces)
        operation.slow_threshold = self.slow_threshold
        self._signals.open(operation, get_current())
        return Call(operation, holder, thread)

    def end(self, operation: Operation, error: BaseException | None = None) -> None:
        """Record an operation; a second call does nothing."""
        if operation.ended:
            return
        operation.ended = True
        if error is not None:
            operation.error = error
        if operation.sampled_run is not None:
            settle_sampled_run(operation.sampled_run)
        if operation.sampled:
            # What is extrapolated cannot be more than the time there was.
            there_was = operation.last_call_ns - operation.start_ns - operation.execute_ns
            operation.fetch_ns = max(0, min(operation.fetch_ns, there_was))
        for listener in self.on_end:
            try:
                listener(operation)
            except Exception as fault:
                self._internal_errors.report("operation end", fault)
        try:
            self._signals.close(operation)
        except Exception as fault:
            self._internal_errors.report("signals", fault)
        # Whoever still knows the operation must not keep the caller's objects: a traceback leads to all of them.
        operation.parameters = operation.error = None


def settle_sampled_run(run: SampledRun) -> None:
    """Add the rows and the extrapolated time of the unmeasured fetches since the last measured one."""
    operation = run.operation
    used = run.length - run.left
    run.left = 0
    operation.sampled_run = None
    operation.rows = (operation.rows or 0) + used
    operation.fetch_ns += used * operation.sample_ns
    operation.sampled = operation.sampled or used > 0
