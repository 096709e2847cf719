"""What a sync becomes: a span for each pass over a table, a child for each batch, an event for each retry, and metrics.

It needs the OpenTelemetry API alone; without an SDK all of it does nothing.
"""

from __future__ import annotations

import functools
import inspect
import os
import time
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from opentelemetry import metrics, trace
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from otel_duckdb import contract
from otel_duckdb.settings import SettingError, Settings
from otel_duckdb.sync.errors import SyncError
from otel_duckdb.sync.messages import safe_words
from otel_duckdb.telemetry.cardinality import CardinalityLimit
from otel_duckdb.telemetry.counter import Counter
from otel_duckdb.telemetry.instance import InstanceLabels
from otel_duckdb.telemetry.locks import make_reentrant_lock
from otel_duckdb.telemetry.meter import get_meter
from otel_duckdb.telemetry.sync_tables import SyncTable
from otel_duckdb.telemetry.window import Average
from otel_duckdb.text import encodable, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
    from opentelemetry.trace import Span, SpanContext, Tracer, TracerProvider
    from opentelemetry.util.types import AttributeValue

P = ParamSpec("P")
R = TypeVar("R")


Observed = tuple[int, float]
"""How many rows are not acknowledged, and since when that is so, in seconds of the wall clock."""


class _Gauges:
    """What the observable gauges tell of one table, and what the monitor is told of it."""

    def __init__(self, table: SyncTable, labels: Callable[[], dict[str, AttributeValue]]) -> None:
        self.name = table.name
        self.labels = labels
        self.latency = Average()
        self.table = table


class SyncSignals:
    """The instruments of all syncs of one pair of providers."""

    def __init__(
        self, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
    ) -> None:
        """Make the instruments; without providers, the global ones, also where they are set later."""
        self.tracer = trace.get_tracer(contract.SCOPE, tracer_provider=tracer_provider, schema_url=contract.SCHEMA_URL)
        meter = get_meter(meter_provider)
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
        self._instance = InstanceLabels(_instance_settings(), meter_provider)
        self._bounded = CardinalityLimit()
        self._tables: dict[tuple[str, str], _Gauges] = {}
        self._lock = make_reentrant_lock()
        for metric, observe in (
            (contract.SYNC_LATENCY, self._latencies),
            (contract.SYNC_PENDING_ROWS, functools.partial(self._backlogs, 0)),
            (contract.SYNC_LAG, functools.partial(self._backlogs, 1)),
        ):
            meter.create_observable_gauge(metric.name, [observe], metric.unit, metric.description)

    def table(self, name: str, database: str = "") -> TableSignals:
        """The signals of one table; its counters start at 0, so that the first failure shows as an increase.

        After 200 names, all further ones share the label `_other`.
        """
        with self._lock:
            name = self._bounded(encodable(name))
            key = (database, name)
            fresh = key not in self._tables
            if fresh:
                labels = functools.partial(self._labels, name, encodable(database))
                self._tables[key] = _Gauges(SyncTable(name, encodable(database), labels), labels)
            gauges = self._tables[key]
        if fresh:
            for counter in (self.success, self.failure, self.retries, self.rows, self.bytes):
                counter.add(0, gauges.labels())
        return TableSignals(self, gauges)

    def _labels(self, table: str, database: str) -> dict[str, AttributeValue]:
        labels: dict[str, AttributeValue] = {contract.TABLE_NAME: table, **self._instance()}
        return {**labels, contract.DATABASE: database} if database else labels

    def _known(self) -> list[_Gauges]:
        with self._lock:
            return list(self._tables.values())

    def _latencies(self, options: CallbackOptions) -> Iterable[Observation]:
        del options
        values = ((gauges.latency.read(), gauges.labels()) for gauges in self._known())
        return [metrics.Observation(value, labels) for value, labels in values if value is not None]

    def _backlogs(self, part: int, options: CallbackOptions) -> Iterable[Observation]:
        """Rows that wait, or, as part 1, the seconds that some have waited for at most."""
        del options
        found = []
        for gauges in self._known():
            observed = gauges.table.observe() if gauges.table.observe is not None else None
            if observed is not None:
                pending, since = observed
                value = pending if part == 0 else max(0.0, time.time() - since) if pending else 0.0
                found.append(metrics.Observation(value, gauges.labels()))
        return found


@functools.cache
def default_signals() -> SyncSignals:
    """The instruments of the global providers."""
    return SyncSignals()


def _instance_settings() -> Settings:
    """The settings as far as this needs them: a wrong option of another part keeps no sync from running."""
    try:
        return Settings.load()
    except SettingError:
        return Settings(instance_id=os.environ.get("OTEL_DUCKDB_INSTANCE_ID") or None)


def _words(error: BaseException) -> str:
    """An error's text; that of others than ours without what it quotes, which may be values of the data."""
    return str(error)[:1000] if isinstance(error, SyncError) else safe_words(error)


class TableSignals:
    """The signals of one table."""

    def __init__(self, signals: SyncSignals, gauges: _Gauges) -> None:
        """Bind the instruments to a table."""
        self._signals = signals
        self._gauges = gauges
        self._counted: BaseException | None = None
        self.name = gauges.name

    @property
    def tracer(self) -> Tracer:
        """What makes the spans."""
        return self._signals.tracer

    def observe_with(self, observe: Callable[[], Observed | None]) -> None:
        """Ask this, at each collection, how many rows wait and since when."""
        self._gauges.table.observe = observe

    def observe_no_more(self, observe: Callable[[], Observed | None]) -> None:
        """Ask this no more; another that took its place is left alone."""
        if self._gauges.table.observe is observe:
            self._gauges.table.observe = None

    @contextmanager
    def span(self, **attributes: AttributeValue) -> Iterator[SyncSpan]:
        """The span of one pass over the table; it is current meanwhile, and tells a failure that leaves the block."""
        with (
            self.tracer.start_as_current_span(
                f"{contract.SPAN_SYNC} {self.name}",
                kind=SpanKind.INTERNAL,
                attributes={contract.DB_COLLECTION_NAME: self.name, **attributes},
                record_exception=False,  # it would print the cause, too, in which ClickHouse may quote the data
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
        except BaseException as error:
            self.failed(error)
            raise
        else:
            self._signals.success.add(1, self._gauges.labels())
            self._gauges.table.success()
        finally:
            self._gauges.latency.add((time.perf_counter() - begin) * 1000)

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Count an error that leaves the block as a failed attempt; where none does, nothing was attempted yet."""
        try:
            yield
        except Exception as error:
            self.failed(error)
            raise

    def failed(self, error: BaseException) -> None:
        """Count an error as a failed attempt, once, though it passes here again, or as the cause of another."""
        if self._counted is None or self._counted not in (error, error.__cause__):
            self._signals.failure.add(1, self._gauges.labels())
            self._gauges.table.failure(printable(f"{type(error).__qualname__}: {_words(error)}"))
        self._counted = error

    def sent(self, rows: int, size: int) -> None:
        """Count rows, and their bytes, as acknowledged."""
        self._gauges.table.rows += rows
        self._gauges.table.bytes += size
        self._signals.rows.add(rows, self._gauges.labels())
        self._signals.bytes.add(size, self._gauges.labels())

    def retried(self) -> None:
        """Count a retry."""
        self._gauges.table.retries += 1
        self._signals.retries.add(1, self._gauges.labels())


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

    def retry(self, attempt: int, delay_seconds: float, error: BaseException | str, message: str | None = None) -> None:
        """Tell that attempt number `attempt` follows after a delay, because of an error; `message` is told of it."""
        kind, words = (error, error) if isinstance(error, str) else (type(error).__qualname__, _words(error))
        self.span.add_event(
            contract.EVENT_SYNC_RETRY,
            {
                contract.SYNC_ATTEMPT: attempt,
                contract.SYNC_RETRY_DELAY: delay_seconds * 1000,
                contract.ERROR_TYPE: kind,
                "exception.message": printable(message or words)[:1000],
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
                record_exception=False,  # it would print the cause, too, in which ClickHouse may quote the data
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
        kind, message = type(error).__qualname__, _words(error)
        span.set_attribute(contract.ERROR_TYPE, kind)
        span.set_status(Status(StatusCode.ERROR, message))
        frames = traceback.extract_tb(error.__traceback__)
        places = "\n".join(f'  File "{one.filename}", line {one.lineno}, in {one.name}' for one in frames)
        span.add_event(
            "exception", {"exception.type": kind, "exception.message": message, "exception.stacktrace": places}
        )
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
