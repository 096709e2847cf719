"""What is known of an operation and of a connection: each leads to the other, so they stand in one module."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any, Protocol

from otel_duckdb.core.location import Location
from otel_duckdb.core.transaction import NO_TRANSACTION, ROLLBACK
from otel_duckdb.telemetry.locks import make_lock
from otel_duckdb.text import encodable

if TYPE_CHECKING:
    import weakref
    from collections.abc import Callable, Mapping

    from opentelemetry.context import Context
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

    from otel_duckdb.core.caller import Caller
    from otel_duckdb.core.profile import Profile
    from otel_duckdb.core.transaction import Transaction
    from otel_duckdb.statement import Statement


class OperationAttributes:
    """What all operations of one text on one database have in common, as their signals say it.

    Attributes:
        span_name: The span's name.
        span: The span's attributes at creation, when a sampler may look at them.
        metrics: The attributes of the semantic conventions' metrics.
        by_query_type: The label of `duckdb_query_latency_ms`.
        by_table_name: The label of the latency of its statement kind.
        rate: What its rate is counted under: the query type, and the table.
    """

    __slots__ = ("by_query_type", "by_table_name", "metrics", "rate", "span", "span_name")

    def __init__(
        self,
        span_name: str,
        span: Mapping[str, AttributeValue],
        metrics: Mapping[str, AttributeValue],
        by_query_type: Mapping[str, AttributeValue],
        by_table_name: Mapping[str, AttributeValue],
        rate: tuple[str, str],
    ) -> None:
        self.span_name = span_name
        self.span = span
        self.metrics = metrics
        self.by_query_type = by_query_type
        self.by_table_name = by_table_name
        self.rate = rate


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
        start_unix_ns: When it began, in nanoseconds since 1970.
        start_ns: The same moment on the clock of `time.perf_counter_ns()`.
        last_call_ns: When the last DuckDB call that served it ended, on that clock.
        accepted: Whether it is recorded; False where a filter refused it.
        thread: Identity of the thread it was called in; known only where a listener keeps what runs.
        came_second: Whether DuckDB was at work for its connection in another thread when it came; likewise.
    """

    __slots__ = (
        "__weakref__",
        "accepted",
        "affected_rows",
        "attributes",
        "batch_size",
        "caller",
        "came_second",
        "collection",
        "connection",
        "context",
        "ended",
        "error",
        "execute_ns",
        "fetch_ns",
        "is_batch",
        "last_call_ns",
        "measured_context",
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
        "thread",
        "was_executed",
    )

    attributes: OperationAttributes
    span: Span | None
    context: Context | None
    measured_context: Context | None
    slow_threshold: SlowThreshold
    thread: int
    came_second: bool

    def __init__(
        self,
        text: str,
        statement: Statement,
        connection: Connection | None = None,
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
        self.context = self.measured_context = None
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
        self.accepted = True
        self.ended = False
        self.was_executed = True
        self.sampled = False
        self.sampled_run: SampledRun | None = None
        self.sample_ns = 0

    @property
    def database(self) -> str:
        """The name of the database it ran on, or an empty string where DuckDB does not tell."""
        return "" if self.connection is None else self.connection.namespace

    @property
    def has_values(self) -> bool:
        """Whether its parameters hold any value; asks an array, too, and never takes from an iterator."""
        try:
            return self.parameters is not None and len(self.parameters) > 0
        except Exception:  # an iterator, which DuckDB takes for a batch, or an object that it does not take
            return True

    @property
    def duration_ns(self) -> int:
        """Nanoseconds spent inside DuckDB: the call and its fetches, without the caller's time between them."""
        return self.execute_ns + self.fetch_ns

    def check_slow(self) -> None:
        """Tell of the operation if it is slow by now; inside the user's call, so that the caller can be found."""
        if self.duration_ns > self.slow_threshold.limit_ns:
            self.slow_threshold.exceeded(self)

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


class Connection:
    """What is known of one live connection.

    Attributes:
        reference: Weak reference to DuckDB's object.
        location: The database it is open on.
        namespace: The name of its current database, as far as texts tell; the one it is open on until a USE.
        parent: The connection it is a cursor or duplicate of, or None.
        operation: The operation whose result is open on it, or None.
        busy_thread: Identity of the thread in which DuckDB works for it, or 0.
        busy_since_ns: When that call of DuckDB began, by `time.perf_counter_ns()`, or 0.
        call: That call, or None.
        profiling: What is known of DuckDB's profiling of it, or None.
        label: The name of its database in the metrics, unique within the process.
        memory_limit: What `connect` was told in its configuration, as it was written, or None.
        transaction: What is known of its transaction, or None as long as there was none.
    """

    connection_inferred = False

    __slots__ = (
        "__weakref__",
        "busy_since_ns",
        "busy_thread",
        "call",
        "children",
        "closed",
        "key",
        "label",
        "location",
        "memory_limit",
        "namespace",
        "operation",
        "parent",
        "profiling",
        "reference",
        "transaction",
    )

    def __init__(
        self, key: int, reference: weakref.ref[Any] | None, where: Location, parent: Connection | None
    ) -> None:
        self.key = key
        self.reference = reference
        self.location = where
        self.namespace = where.name
        self.parent = parent
        self.children: weakref.WeakSet[Connection] | None = None
        self.operation: Operation | None = None
        self.busy_thread = 0
        self.busy_since_ns = 0
        self.call: object | None = None
        self.profiling: ConnectionProfiling | None = None
        self.closed = False
        self.label = encodable(where.name)
        self.memory_limit: str | None = None
        self.transaction: Transaction | None = None

    @property
    def database(self) -> str:
        """The name of the database."""
        return self.location.name


def unregistered() -> Connection:
    """A record for one call on a connection of which nothing can be learned, such as a closed one."""
    connection = Connection(0, None, Location("", None), None)
    connection.closed = True
    return connection


class ConnectionProfiling:
    """What is known of DuckDB's profiling of one connection.

    Attributes:
        on: Whether we have switched it on.
        user_controlled: Whether it is the user's: we neither switch nor read it any more.
        operation: The operation whose profile the connection holds, or None.
        exact: Whether that operation's text is the very text DuckDB was given.
        lock: Held while we switch or read.
    """

    __slots__ = ("exact", "lock", "on", "operation", "user_controlled")

    def __init__(self) -> None:
        self.on = False
        self.user_controlled = False
        self.operation: Operation | None = None
        self.exact = False
        self.lock = make_lock()


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


class ResultHolder(Protocol):
    """Who holds an operation while its result is open: a connection, or a relation with a result of its own."""

    operation: Operation | None
    busy_thread: int
    busy_since_ns: int
    call: object | None
    connection_inferred: bool


@dataclass(frozen=True, slots=True)
class SlowThreshold:
    """How long an operation may take before it is slow, and who is told inside the call that makes it so."""

    limit_ns: float
    exceeded: Callable[[Operation], None]


def settle_sampled_run(run: SampledRun) -> None:
    """Add the rows and the extrapolated time of the unmeasured fetches since the last measured one."""
    operation = run.operation
    used = run.length - run.left
    run.left = 0
    operation.sampled_run = None
    operation.rows = (operation.rows or 0) + used
    operation.fetch_ns += used * operation.sample_ns
    operation.sampled = operation.sampled or used > 0
