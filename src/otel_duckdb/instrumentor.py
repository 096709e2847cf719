"""The instrumentor: builds the parts and connects them."""

from __future__ import annotations

import atexit
import logging
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry._logs import get_logger
from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined] # exported without __all__
    BaseInstrumentor,
)
from wrapt import register_post_import_hook

from otel_duckdb import contract
from otel_duckdb.arguments import PROVIDED, check_connection, check_options, is_wanted
from otel_duckdb.core import source
from otel_duckdb.core.deferred import Deferred
from otel_duckdb.core.dispatcher import Dispatcher
from otel_duckdb.core.forked import tell_of_forks
from otel_duckdb.core.methods import Methods
from otel_duckdb.declarative import is_settled
from otel_duckdb.engine.databases import DatabaseCounts, Databases
from otel_duckdb.engine.gauges import EngineGauges, Readings
from otel_duckdb.engine.process import ProcessGauges, RunningGauge
from otel_duckdb.installation import install_command, version
from otel_duckdb.intercept.gate import Gate
from otel_duckdb.intercept.imported_names import untold_names
from otel_duckdb.intercept.patch_table import SUPPORTED, PatchTable, generation
from otel_duckdb.intercept.registry import ConnectionRegistry
from otel_duckdb.intercept.reload import ReloadWatch
from otel_duckdb.pools.pools import Pools
from otel_duckdb.pools.shown import ShownPools
from otel_duckdb.pools.sqlalchemy import SQLAlchemyPools
from otel_duckdb.profiling.plan import Plans
from otel_duckdb.profiling.profiler import make_profiler
from otel_duckdb.settings import SettingError, Settings, misspelt_variables
from otel_duckdb.signals.attributes import AttributeCache
from otel_duckdb.signals.failed_connections import FailedConnections
from otel_duckdb.signals.filters import filters
from otel_duckdb.signals.histograms import Histograms
from otel_duckdb.signals.n_plus_one import NPlusOne
from otel_duckdb.signals.slow_queries import SlowQueries
from otel_duckdb.signals.spans import Spans
from otel_duckdb.signals.throughput import Throughput
from otel_duckdb.signals.transactions import Transactions
from otel_duckdb.telemetry.batch import MeasurementBatch
from otel_duckdb.telemetry.gauges import CallbackRegistry
from otel_duckdb.telemetry.instance import InstanceLabels, declare
from otel_duckdb.telemetry.internal_errors import InternalErrors
from otel_duckdb.telemetry.locks import make_reentrant_lock
from otel_duckdb.telemetry.meter import get_meter
from otel_duckdb.telemetry.providers import lacks_an_sdk
from otel_duckdb.telemetry.section import in_section

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from opentelemetry._logs import Logger
    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Tracer

    from otel_duckdb.core.listener import Listener
    from otel_duckdb.core.operation import Connection
    from otel_duckdb.core.source import ObservedDatabase, ObservedPool
    from otel_duckdb.engine.database import Database
    from otel_duckdb.monitor import Monitor
    from otel_duckdb.pools.shown import Pool
    from otel_duckdb.telemetry.gauges import Gauges

logger = logging.getLogger("otel_duckdb")


class _Running:
    """The parts of one instrumentation, from `instrument()` to `uninstrument()`."""

    def __init__(self, duckdb: Any, options: dict[str, Any], *, everything: bool) -> None:
        provided = {name: options.pop(name, None) for name in PROVIDED}
        settings = Settings.load(options)
        tracer, meter, logger = _scope(provided)
        self._report = report = InternalErrors(meter).report
        labels = InstanceLabels(settings, provided["meter_provider"])
        self._instance_id = settings.instance_id
        self._monitored, self._features = settings.monitor, settings.features
        self._monitor: Monitor | None = None

        # Who listens, in the order in which they are told.
        self._dispatcher = Dispatcher(report, settings.slow_threshold_ms * 1e6)
        self._profiler = make_profiler(settings, duckdb)
        methods = Methods.of(duckdb.DuckDBPyConnection)
        self.databases = Databases(methods if settings.engine_metrics else None)
        self._failed_connections = FailedConnections(meter, labels)
        kept = set(settings.query_metrics)
        self._batch = MeasurementBatch(settings.metric_batch, report)
        transactions = Transactions(duckdb, labels)
        throughput = Throughput(by_type="duckdb" in kept, by_table="tables" in kept)
        plans = Plans(meter, labels, raw=settings.raw_query_text)
        hooks = provided["request_hook"], provided["response_hook"]
        self._dispatcher.listen(
            *filters(settings, provided["operation_filter"]),
            *([self._profiler] if self._profiler else []),
            self.databases,
            self._failed_connections,
            transactions,
            AttributeCache(settings),
            Spans(tracer, settings, self._dispatcher, report, *hooks),
            *([Histograms(meter, settings, self._batch)] if kept else []),
            *([throughput] if {"duckdb", "tables"} & kept else []),
            plans,
            SlowQueries(logger, plans, settings.slow_threshold_ms),
            *([NPlusOne(settings.repeated_threshold)] if settings.repeated_threshold else []),
        )

        # Who speaks.
        self._deferred = Deferred()
        self.connections = ConnectionRegistry(self._deferred, self._dispatcher)
        busy = getattr(duckdb, "ResourceInUseException", None)
        self._beside: list[Listener] = []
        self._beside_lock = make_reentrant_lock()
        self._dormant = dormant = provided["tracer_provider"] is None and provided["meter_provider"] is None
        self.gate = Gate(self.connections, self._dispatcher, report, methods, busy, dormant=dormant)
        self.gate.everything = everything
        self._patch_table = PatchTable(duckdb, self.gate)
        self._reload = ReloadWatch(duckdb.__name__, self._patch_table.install_functions)

        # What is read when metrics are collected.
        self._callbacks = CallbackRegistry(meter, report, self._batch.record_all)
        self.pools = Pools(meter, self._callbacks, settings)
        self._sqlalchemy = SQLAlchemyPools(self.pools, report, self._deferred)
        readings = Readings(lambda: self.databases, report)
        self._gauges: list[Gauges] = [
            throughput,
            transactions,
            DatabaseCounts(self.databases, self._patch_table.working, labels),
            RunningGauge(str(duckdb.__version__), labels),
        ]
        if settings.engine_metrics:
            self._gauges += [EngineGauges(readings, settings, labels), ProcessGauges(readings, labels)]

    def listen(self, *listeners: Listener) -> None:
        """Tell these listeners of connections and operations from now on, after the signals."""
        self.gate.wake()
        with self._beside_lock:
            self._beside += listeners
            self._dispatcher.listen(*listeners)

    def forget(self, *listeners: Listener) -> None:
        """Tell these listeners no more."""
        with self._beside_lock:
            self._beside = [each for each in self._beside if each not in listeners]
            self._dispatcher.forget(*listeners)
            if not self._beside:
                self.gate.dormant = self._dormant

    def report(self, component: str, error: BaseException) -> None:
        """Count a fault of `component`, and log the first of its kind."""
        self._report(component, error)

    def live_databases(self) -> Iterable[Database]:
        """Return the databases that are observed."""
        return tuple(self.databases)

    def live_connections(self) -> Iterable[Connection]:
        """Return the live connections."""
        return self._patch_table.live_connections()

    def pool_requests(self) -> Iterable[tuple[str, int, float]]:
        """Return who waits for a connection of a pool."""
        return self._sqlalchemy.requests()

    def live_pools(self, database: ObservedDatabase) -> Iterable[ObservedPool]:
        """Return the pools of SQLAlchemy that are open on a database."""
        return self._sqlalchemy.of(database.path)

    def start(self) -> None:
        """Listen, and let everything be observed."""
        declare(self._instance_id)
        self._tell_of_names_imported_before()
        self._patch_table.install()
        self._reload.start()
        self._deferred.start()
        tell_of_forks(self)
        for gauges in self._gauges:
            gauges.register(self._callbacks)
        self._failed_connections.start()
        self._sqlalchemy.start()
        source.provide(self)
        if self._monitored:
            self._start_monitor()
        self._register_exit()
        self.gate.woken = self._register_exit

    def _start_monitor(self) -> None:
        from otel_duckdb.monitor import Monitor  # noqa: PLC0415 - only a program that has it pays for it

        try:
            self._monitor = Monitor(features=self._features, features_file="")
            self._monitor.start()
            for sentence in self._monitor.settings.misspelt_variables():
                logger.warning("otel_duckdb: %s", sentence)
        except SettingError as error:
            logger.warning("otel_duckdb: the monitor does not run: %s", error)
        except Exception as fault:
            self._report("monitor", fault)

    def _register_exit(self) -> None:
        """End what is open at exit before the SDK, which is set up by now, shuts down: what came last goes first."""
        atexit.unregister(self._exit)
        atexit.register(self._exit)

    def _tell_of_names_imported_before(self) -> None:
        names = untold_names(self._patch_table.functions()) if self.gate.everything else ()
        if names:
            logger.warning(
                "otel_duckdb: calls of %s are not recorded, for these names were imported before instrument(); "
                "import them after it, or call them as attributes of duckdb",
                ", ".join(names),
            )

    def stop(self) -> None:
        """Put everything back, end what is open, and let go of every database."""
        if self._monitor is not None:
            self._monitor.stop()
        source.provide(None)
        if self._profiler is not None:
            self._profiler.stop()
        self.gate.active = False
        self._reload.stop()
        self._patch_table.remove()
        self._drain()
        self._deferred.stop()
        self._batch.stop()
        self._callbacks.stop()
        self._sqlalchemy.stop()
        self.databases.close()
        self.connections.clear()
        declare(None)
        atexit.unregister(self._exit)

    def forked(self) -> None:
        """In a forked child: what was open is the parent's to tell."""
        self.databases.forked()
        self._patch_table.forked()
        for connection in self.connections:
            connection.transaction = None
        with self._dispatcher.muted():
            in_section(self._drain)()

    def _exit(self) -> None:
        """The process ends: results are given up, and open transactions are rolled back."""
        steps: list[Callable[[], None]] = [self._drain]
        steps += [partial(self._dispatcher.connection_closed, each) for each in self.connections]
        # What DuckDB's classes hold is never freed: they would keep all of this alive, and with it the open databases.
        steps += [self._reload.stop, self._patch_table.remove, self._deferred.stop, self._batch.stop]
        for step in steps:
            try:
                in_section(step)()
            except Exception as fault:
                self._report("exit", fault)

    def _drain(self) -> None:
        self._patch_table.drain()
        self._deferred.run()


def _scope(provided: dict[str, Any]) -> tuple[Tracer, Meter, Logger]:
    """What telemetry is made with, of the providers given or else of the global ones."""
    return (
        trace.get_tracer(contract.SCOPE, version(), provided["tracer_provider"], contract.SCHEMA_URL),
        get_meter(provided["meter_provider"]),
        get_logger(contract.SCOPE, version(), provided["logger_provider"], contract.SCHEMA_URL),
    )


class DuckDBInstrumentor(BaseInstrumentor):  # type: ignore[misc] # the base class is not typed
    """Instruments DuckDB: a span and latencies for every operation, gauges for every live database.

    `instrument()` takes `tracer_provider`, `meter_provider`, `logger_provider`, the hooks
    `request_hook(span, operation)` and `response_hook(span, operation)`, and every option of
    `otel_duckdb.settings.Settings`.
    """

    _running: _Running | None = None
    _awaiting: dict[str, Any] | None = None
    _shown_pools = ShownPools()
    _lock = make_reentrant_lock()

    def instrumentation_dependencies(self) -> Collection[str]:
        """The versions of DuckDB that are supported."""
        return ("duckdb >= 1.4",)

    def instrument(self, **options: Any) -> None:
        """Instrument DuckDB.

        Raises:
            SettingError: an option is unknown, or its value is not allowed.
        """
        if is_settled(options, self.is_instrumented_by_opentelemetry):
            return
        with self._lock:
            super().instrument(**options)

    def uninstrument(self, **options: Any) -> None:
        """Put DuckDB back as it was."""
        with self._lock:
            super().uninstrument(**options)

    def _instrument(self, **options: Any) -> None:
        options.pop("skip_dep_check", None)
        options.pop("enabled", None)
        check_options(options)
        if "duckdb" in sys.modules:
            self._start(options, everything=True)
            return
        # DuckDB looks for a running script when it is imported, and takes a terminal for granted, progress bars and
        # all, where there is none yet: under `opentelemetry-instrument` the program must be the one to import it.
        self._awaiting = options
        register_post_import_hook(lambda _duckdb: self._arrived(options), "duckdb")

    def _arrived(self, options: dict[str, Any]) -> None:
        """The program has imported DuckDB: instrument it, unless that was called off meanwhile."""
        if self._awaiting is not options:
            return
        self._awaiting = None
        try:
            self._start(options, everything=True)
        except Exception:
            logger.exception("otel_duckdb: DuckDB is not instrumented")

    def _start(self, options: dict[str, Any], *, everything: bool) -> None:
        import duckdb  # noqa: PLC0415 - only a program that uses DuckDB pays for its import

        if not generation(duckdb.__version__):
            logger.warning(
                "otel_duckdb: DuckDB %s is not instrumented; supported are %s", duckdb.__version__, SUPPORTED
            )
            return
        for sentence in misspelt_variables():
            logger.warning("otel_duckdb: %s", sentence)
        if not is_wanted(options):
            logger.info("otel_duckdb: DuckDB is not instrumented, for the feature analytics is off")
            return
        if not any(options.get(name) for name in PROVIDED if name.endswith("provider")) and lacks_an_sdk():
            logger.warning(
                "otel_duckdb: opentelemetry-instrument found no OpenTelemetry SDK, so nothing is recorded; run: %s",
                install_command("otlp"),
            )
        before, running = self._running, _Running(duckdb, options, everything=everything)
        if before is not None:  # that of instrument_connection(), whose connections are among all
            in_section(before.stop)()
        in_section(running.start)()
        self._running = running
        for name, pool in self._shown_pools:
            running.pools.observe(name, pool)

    def _uninstrument(self, **_options: Any) -> None:
        running, self._running, self._awaiting = self._running, None, None
        if running is not None:
            in_section(running.stop)()

    def observe_pool(self, name: str, pool: Pool) -> None:
        """Observe a connection pool for as long as it lives and DuckDB is instrumented, now or later.

        SQLAlchemy's pools are observed by themselves.

        Raises:
            TypeError: the pool does not tell how many of its connections are idle and in use.
        """
        self._shown_pools.add(name, pool)
        if self._running is not None:
            self._running.pools.observe(name, pool)

    def instrument_connection(self, connection: Any, **options: Any) -> Any:
        """Instrument one connection, and the cursors and duplicates made of it from now on; returns it.

        Raises:
            TypeError: it is no connection of DuckDB.
            SettingError: an option is unknown, or its value is not allowed.
        """
        check_connection(connection)
        check_options(options)
        with self._lock:
            if self._running is None:
                self._start(options, everything=False)
            if self._running is not None:
                self._running.gate.adopt(connection)
        return connection

    def uninstrument_connection(self, connection: Any) -> Any:
        """End the instrumentation of a connection that `instrument_connection` began; returns it."""
        with self._lock:
            running = self._running
            if running is not None:
                running.gate.dismiss(connection)
                if not running.gate.everything and not tuple(running.connections):
                    self._uninstrument()
        return connection
