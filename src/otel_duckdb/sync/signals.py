"""What a sync becomes: a span for each pass over a table, a child for each batch, an event for each retry, and metrics.

It needs the OpenTelemetry API alone; without an SDK all of it does nothing.
"""

from __future__ import annotations

import functools
import inspect
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from opentelemetry import metrics, trace
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from otel_duckdb import contract
from otel_duckdb.settings import Settings
from otel_duckdb.telemetry.counter import Counter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
    from opentelemetry.trace import Span, SpanContext, Tracer, TracerProvider
    from opentelemetry.util.types import AttributeValue

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class _Gauges:
    """What the observable gauges tell of one table."""

    labels: dict[str, AttributeValue]
    milliseconds: float = 0.0
    attempts: int = 0
    pending: int | None = None
    behind_since: float | None = None
    """When the buffer was last known to be wholly acknowledged, in seconds of the wall clock; None while it is."""
    lock: threading.Lock = field(default_factory=threading.Lock)


class SyncSignals:
    """The instruments of all syncs of one pair of providers."""

    def __init__(
        self, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
    ) -> None:
        """Make the instruments; without providers, the global ones, also where they are set later."""
        self.tracer = trace.get_tracer(contract.SCOPE, tracer_provider=tracer_provider, schema_url=contract.SCHEMA_URL)
        meter = metrics.get_meter(contract.SCOPE, meter_provider=meter_provider, schema_url=contract.SCHEMA_URL)
        success, failure, retries, rows, sent = (
            Counter(meter, metric)
            for metric in (
                contract.SYNC_SUCCESS,
                contract.SYNC_FAILURE,
                contract.SYNC_RETRIES,
                contract.SYNC_ROWS_SENT,
                contract.SYNC_BYTES_SENT,
            )
        )
        self.success, self.failure, self.retries, self.rows, self.bytes = success, failure, retries, rows, sent
        self._tables: dict[tuple[str, str], _Gauges] = {}
        self._lock = threading.Lock()
        for metric, observe in (
            (contract.SYNC_LATENCY, _latency),
            (contract.SYNC_PENDING_ROWS, _pending),
            (contract.SYNC_LAG, _lag),
        ):
            callback = functools.partial(self._observe, observe)
            meter.create_observable_gauge(metric.name, [callback], metric.unit, metric.description)

    def table(self, name: str, database: str = "") -> TableSignals:
        """The signals of one table; its counters start at 0, so that the first failure shows as an increase."""
        key = (database, name)
        with self._lock:
            fresh = key not in self._tables
            if fresh:
                self._tables[key] = _Gauges(_labels(name, database))
            gauges = self._tables[key]
        signals = TableSignals(self, name, gauges)
        if fresh:
            for counter in (self.success, self.failure, self.retries, self.rows, self.bytes):
                counter.add(0, gauges.labels)
        return signals

    def _observe(self, observe: Callable[[_Gauges], float | None], options: CallbackOptions) -> Iterable[Observation]:
        del options
        with self._lock:
            tables = list(self._tables.values())
        values = ((observe(gauges), gauges.labels) for gauges in tables)
        return [metrics.Observation(value, labels) for value, labels in values if value is not None]


@functools.cache
def default_signals() -> SyncSignals:
    """The instruments of the global providers."""
    return SyncSignals()


def _labels(table: str, database: str) -> dict[str, AttributeValue]:
    labels: dict[str, AttributeValue] = {contract.TABLE_NAME: table}
    instance = Settings.load().instance_id or _service_instance()
    if instance:
        labels[contract.INSTANCE_ID] = instance
    if database:
        labels[contract.DATABASE] = database
    return labels


def _service_instance() -> str | None:
    """The resource's `service.instance.id`, where an SDK with one is configured."""
    resource = getattr(trace.get_tracer_provider(), "resource", None)
    value = getattr(resource, "attributes", {}).get(contract.SERVICE_INSTANCE_ID)
    return None if value is None else str(value)


def _latency(gauges: _Gauges) -> float | None:
    with gauges.lock:
        total, attempts, gauges.milliseconds, gauges.attempts = gauges.milliseconds, gauges.attempts, 0.0, 0
    return total / attempts if attempts else None


def _pending(gauges: _Gauges) -> float | None:
    return gauges.pending


def _lag(gauges: _Gauges) -> float | None:
    if gauges.pending is None:
        return None
    return 0.0 if gauges.behind_since is None else max(0.0, time.time() - gauges.behind_since)


class TableSignals:
    """The signals of one table."""

    def __init__(self, signals: SyncSignals, name: str, gauges: _Gauges) -> None:
        """Bind the instruments to a table."""
        self._signals = signals
        self._gauges = gauges
        self.name = name

    @property
    def tracer(self) -> Tracer:
        """What makes the spans."""
        return self._signals.tracer

    def behind(self, pending: int, since: float | None) -> None:
        """Tell how many rows are not acknowledged, and since when that is so, in seconds of the wall clock."""
        self._gauges.pending = pending
        self._gauges.behind_since = since if pending else None

    @contextmanager
    def span(self, **attributes: AttributeValue) -> Iterator[SyncSpan]:
        """The span of one pass over the table; it is current meanwhile, and tells a failure that leaves the block."""
        with (
            self.tracer.start_as_current_span(
                f"{contract.SPAN_SYNC} {self.name}",
                kind=SpanKind.INTERNAL,
                attributes={contract.DB_COLLECTION_NAME: self.name, **attributes},
                record_exception=True,
                set_status_on_exception=False,
            ) as span,
            _telling_failure(span),
        ):
            yield SyncSpan(self, span)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Count what happens in the block as one attempt: its latency, and whether it succeeded."""
        begin = time.perf_counter()
        try:
            yield
        except BaseException:
            self._signals.failure.add(1, self._gauges.labels)
            raise
        else:
            self._signals.success.add(1, self._gauges.labels)
        finally:
            with self._gauges.lock:
                self._gauges.milliseconds += (time.perf_counter() - begin) * 1000
                self._gauges.attempts += 1

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Count an error that leaves the block as a failed attempt; where none does, nothing was attempted yet."""
        try:
            yield
        except Exception:
            self._signals.failure.add(1, self._gauges.labels)
            raise

    def sent(self, rows: int, size: int) -> None:
        """Count rows, and their bytes, as acknowledged."""
        self._signals.rows.add(rows, self._gauges.labels)
        self._signals.bytes.add(size, self._gauges.labels)

    def retried(self) -> None:
        """Count a retry."""
        self._signals.retries.add(1, self._gauges.labels)


class SyncSpan:
    """A pass over a table, or one of its batches, as seen by the code that performs it."""

    def __init__(self, table: TableSignals, span: Span) -> None:
        """Bind the signals of a table to a span."""
        self._table = table
        self.span = span
        self._rows = 0
        self._bytes = 0

    def record(self, rows: int, size: int = 0) -> None:
        """Tell that `rows` rows of `size` bytes were acknowledged; calls add up."""
        self._rows += rows
        self._bytes += size
        self.span.set_attributes({contract.SYNC_ROWS: self._rows, contract.SYNC_BYTES: self._bytes})
        self._table.sent(rows, size)

    def retry(self, attempt: int, delay_seconds: float, error: BaseException | str) -> None:
        """Tell that attempt number `attempt` follows after a delay, because of an error."""
        kind, message = (error, error) if isinstance(error, str) else (type(error).__qualname__, str(error))
        self.span.add_event(
            contract.EVENT_SYNC_RETRY,
            {
                contract.SYNC_ATTEMPT: attempt,
                contract.SYNC_RETRY_DELAY: delay_seconds * 1000,
                contract.ERROR_TYPE: kind,
                "exception.message": message[:1000],
            },
        )
        self._table.retried()

    @contextmanager
    def batch(self, token: str, rows: int = 0, size: int = 0, before: SpanContext | None = None) -> Iterator[SyncSpan]:
        """The span of one batch, a child of this one; `before` is the span that tried the same batch earlier."""
        links = [Link(before)] if before is not None and before.is_valid else []
        with (
            self._table.tracer.start_as_current_span(
                f"{contract.SPAN_SYNC_BATCH} {self._table.name}",
                context=trace.set_span_in_context(self.span),
                kind=SpanKind.CLIENT,
                attributes={
                    contract.DB_COLLECTION_NAME: self._table.name,
                    contract.SYNC_BATCH_TOKEN: token,
                    contract.SYNC_ROWS: rows,
                    contract.SYNC_BYTES: size,
                },
                links=links,
                record_exception=True,
                set_status_on_exception=False,
            ) as span,
            _telling_failure(span),
        ):
            yield SyncSpan(self._table, span)


@contextmanager
def _telling_failure(span: Span) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        span.set_attribute(contract.ERROR_TYPE, type(error).__qualname__)
        span.set_status(Status(StatusCode.ERROR, str(error)[:1000]))
        raise


class trace_sync:  # noqa: N801 - used as a context manager and as a decorator, as contextlib's are
    """Reports a user's own sync of a table as this package reports its own.

        with trace_sync("ticks") as sync:
            sync.record(rows=copy_ticks())

        @trace_sync("ticks")
        def copy_ticks(): ...

    The block, or the call, is one attempt: it succeeds, or fails with the exception that leaves it, which goes on its
    way. Coroutine functions may be decorated too.
    """

    def __init__(self, table: str, *, database: str = "", signals: SyncSignals | None = None) -> None:
        """Name the table, and the DuckDB database where a process has several."""
        self._table = table
        self._database = database
        self._signals = signals
        self._open: list[Any] = []

    @contextmanager
    def _block(self) -> Iterator[SyncSpan]:
        signals = (self._signals or default_signals()).table(self._table, self._database)
        with signals.span() as span, signals.attempt():
            yield span

    def __enter__(self) -> SyncSpan:
        """Begin the attempt."""
        block = self._block()
        span = block.__enter__()
        self._open.append(block)
        return span

    def __exit__(self, *error: object) -> bool | None:
        """End the attempt, and let an exception go on."""
        ended: bool | None = self._open.pop().__exit__(*error)
        return ended

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Report each call of a function as one attempt."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def report(*arguments: P.args, **named: P.kwargs) -> Any:
                with self._block():
                    return await function(*arguments, **named)

            return cast("Callable[P, R]", report)

        @functools.wraps(function)
        def call(*arguments: P.args, **named: P.kwargs) -> R:
            with self._block():
                return function(*arguments, **named)

        return call
