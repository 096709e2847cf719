"""What is measured beside the operations themselves: engine, connections, transactions, throughput and pools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_duckdb import contract
from otel_duckdb.core.errors import error_type
from otel_duckdb.engine.cursor import Methods
from otel_duckdb.engine.databases import Databases
from otel_duckdb.engine.gauges import EngineGauges, Readings
from otel_duckdb.engine.process import ProcessGauges
from otel_duckdb.pools.pools import Pools
from otel_duckdb.pools.sqlalchemy import SQLAlchemyPools
from otel_duckdb.signals.throughput import Throughput
from otel_duckdb.signals.transactions import Transactions
from otel_duckdb.telemetry.counter import Counter
from otel_duckdb.telemetry.gauges import CallbackRegistry, register_count
from otel_duckdb.telemetry.instance import InstanceLabels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import ModuleType

    from opentelemetry.metrics import Meter

    from otel_duckdb.core.connection import Connection
    from otel_duckdb.core.deferred import Deferred
    from otel_duckdb.core.operation import Operation
    from otel_duckdb.settings import Settings
    from otel_duckdb.telemetry.internal_errors import InternalErrors

_CONNECT_ERRORS = ("IOException", "ConnectionException", "InvalidInputException")
"""Classes whose counters start at 0: a locked, missing or broken file, another configuration, an unknown option."""


class MetricSources:
    """Hears of connections and operations, and is read when metrics are collected, until `stop`."""

    def __init__(
        self,
        duckdb: ModuleType,
        meter: Meter,
        settings: Settings,
        meter_provider: Any,
        internal_errors: InternalErrors,
        deferred: Deferred,
        working: Callable[[], Iterable[Connection | None]],
    ) -> None:
        """Build all of it, before DuckDB is patched; `working` tells which connections DuckDB works for."""
        self._labels = InstanceLabels(settings, meter_provider)
        self._report = internal_errors.report
        self._callbacks = CallbackRegistry(meter, internal_errors.report)
        methods = Methods.of(duckdb.DuckDBPyConnection) if settings.engine_metrics else None
        self._databases = Databases(methods, internal_errors.report)
        self._working = working
        self._throughput = Throughput()
        self._transactions = Transactions(duckdb, self._labels)
        self.pools = Pools(meter, self._callbacks, settings)
        self._sqlalchemy = SQLAlchemyPools(self.pools, internal_errors.report, deferred)
        self._failures = Counter(meter, contract.FAILED_CONNECTIONS)
        self._settings = settings

    def start(self) -> None:
        """Let everything be observed."""
        if self._settings.engine_metrics:
            readings = Readings(lambda: self._databases, self._report)
            EngineGauges(readings, self._settings, self._labels).register(self._callbacks)
            ProcessGauges(readings, self._labels).register(self._callbacks)
        register_count(self._callbacks, contract.ACTIVE_CONNECTIONS, self._databases.connections, self._labels)
        register_count(self._callbacks, contract.ACTIVE_QUERIES, self._active_queries, self._labels)
        self._throughput.register(self._callbacks)
        self._transactions.register(self._callbacks)
        self._sqlalchemy.start()
        for name in _CONNECT_ERRORS:
            self._failures.add(0, {**self._labels(), contract.ERROR_TYPE_LABEL: name})

    def stop(self) -> None:
        """Observe nothing any more, and let go of every database."""
        self._callbacks.stop()
        self._sqlalchemy.stop()
        self._databases.close()

    def opened(self, connection: Connection, target: Any) -> None:
        """A connection was opened, or is seen for the first time; in the thread that uses it."""
        self._databases.opened(connection, target)
        self._transactions.opened(connection)

    def left(self, connection: Connection) -> None:
        """A connection is about to be closed, or was collected: the file must be free at once."""
        self._databases.left(connection)

    def gone(self, connection: Connection) -> None:
        """A connection is gone; never called inside a garbage collection."""
        self._transactions.left(connection)

    def ended(self, operation: Operation) -> None:
        """An operation has ended."""
        table = str(operation.attributes.by_table_name[contract.TABLE_NAME])
        self._throughput.count(operation.statement.kind, table)
        self._transactions.ended(operation)

    def _active_queries(self) -> Mapping[str, int]:
        return self._databases.queries(self._working())

    def failed(self, error: BaseException) -> None:
        """A call of `connect` raised."""
        self._failures.add(1, {**self._labels(), contract.ERROR_TYPE_LABEL: error_type(error)})
