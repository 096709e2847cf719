"""The instrumentor: builds the parts and connects them."""

from __future__ import annotations

import atexit
import logging
import sys
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import metrics, trace
from opentelemetry._logs import get_logger
from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined] # exported without __all__
    BaseInstrumentor,
)
from wrapt import register_post_import_hook

from otel_duckdb import contract
from otel_duckdb.core.connection import Location
from otel_duckdb.core.deferred import Deferred
from otel_duckdb.core.operation import Operations
from otel_duckdb.engine.cursor import Methods
from otel_duckdb.insight import insight
from otel_duckdb.installation import install_command, version
from otel_duckdb.intercept import streams
from otel_duckdb.intercept.gate import Gate
from otel_duckdb.intercept.imported_names import imported_names
from otel_duckdb.intercept.patch_table import SUPPORTED, PatchTable, generation
from otel_duckdb.intercept.registry import Connections
from otel_duckdb.intercept.reload import ReloadWatch
from otel_duckdb.measures import MetricSources
from otel_duckdb.settings import Settings, misspelt_variables
from otel_duckdb.signals.attributes import AttributeCache
from otel_duckdb.signals.histograms import Histograms
from otel_duckdb.signals.recorder import Recorder
from otel_duckdb.signals.spans import Spans
from otel_duckdb.telemetry.internal_errors import InternalErrors
from otel_duckdb.telemetry.providers import lacks_an_sdk

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from otel_duckdb.core.connection import Connection
    from otel_duckdb.pools.pools import Pool

logger = logging.getLogger("otel_duckdb")

_PROVIDED: Final = ("tracer_provider", "meter_provider", "logger_provider", "request_hook", "response_hook")
"""Options of `instrument()` that are objects, and no settings."""


class _Running:
    """The parts of one instrumentation, from `instrument()` to `uninstrument()`."""

    def __init__(self, duckdb: Any, options: dict[str, Any], *, everything: bool) -> None:
        tracer_provider, meter_provider = options.pop("tracer_provider", None), options.pop("meter_provider", None)
        logger_provider = options.pop("logger_provider", None)
        request_hook, response_hook = options.pop("request_hook", None), options.pop("response_hook", None)
        settings = Settings.load(options)
        scope_version = version()
        tracer = trace.get_tracer(contract.SCOPE, scope_version, tracer_provider, contract.SCHEMA_URL)
        meter = metrics.get_meter(contract.SCOPE, scope_version, meter_provider, contract.SCHEMA_URL)
        self.internal_errors = InternalErrors(meter)
        spans = Spans(tracer, settings, self.internal_errors, request_hook, response_hook)
        signals = Recorder(AttributeCache(settings), spans, Histograms(meter))
        self.operations = Operations(signals, self.internal_errors)
        logger = get_logger(contract.SCOPE, scope_version, logger_provider, contract.SCHEMA_URL)
        self.profiler = insight(
            duckdb, settings, meter, meter_provider, logger, self.internal_errors, self.operations, signals, spans
        )
        self.deferred = Deferred()
        self.metric_sources = MetricSources(
            duckdb, meter, settings, meter_provider, self.internal_errors, self.deferred, self._working
        )
        self.operations.on_end.append(self.metric_sources.ended)
        self.connections = Connections(self.deferred, self._gone, self.metric_sources)
        busy = getattr(duckdb, "ResourceInUseException", None)
        dormant = tracer_provider is None and meter_provider is None
        self.gate = Gate(self.connections, self.operations, self.internal_errors, self._locate, busy, dormant=dormant)
        self.gate.everything = everything
        self.patch_table = PatchTable(duckdb, self.gate, self.metric_sources.failed)
        self._reload = ReloadWatch(duckdb.__name__, self.patch_table.install_functions)
        self._methods = Methods.of(duckdb.DuckDBPyConnection)

    def start(self) -> None:
        self._tell_of_names_imported_before()
        self.patch_table.install()
        self._reload.start()
        self.deferred.start()
        self.metric_sources.start()
        atexit.register(self.exit)

    def _tell_of_names_imported_before(self) -> None:
        names = imported_names(self.patch_table.functions())
        if self.gate.everything and names:
            logger.warning(
                "otel_duckdb: calls of %s are not recorded, for these names were imported before instrument(); "
                "import them after it, or call them as attributes of duckdb",
                ", ".join(names),
            )

    def stop(self) -> None:
        if self.profiler is not None:
            self.profiler.stop()
        self.gate.active = False
        self._reload.stop()
        self.patch_table.remove()
        self.drain()
        self.deferred.stop()
        self.metric_sources.stop()
        self.connections.clear()
        atexit.unregister(self.exit)

    def exit(self) -> None:
        """The process ends: results are given up, and open transactions are rolled back."""
        self.drain()
        for connection in self.connections:
            self.metric_sources.gone(connection)
        # What DuckDB's classes hold is never freed: they would keep all of this alive, and with it the open databases.
        self.patch_table.remove()
        self.deferred.stop()

    def drain(self) -> None:
        """End the operations whose results are still open."""
        for connection in self.connections:
            self._end(connection)
        for state in (*self.patch_table.relations.open(), *self.patch_table.appenders.open()):
            self.gate.hold(state, None)
        streams.end_all()
        self.deferred.run()

    def _end(self, connection: Connection) -> None:
        if self.patch_table.fetching_one is not None:
            self.patch_table.fetching_one.forget(connection.key)
        self.gate.hold(connection, None)

    def _gone(self, connection: Connection) -> None:
        self._end(connection)
        self.metric_sources.gone(connection)
        if self.profiler is not None:
            self.profiler.gone(connection)

    def _working(self) -> Iterator[Connection | None]:
        """The connections DuckDB works for at the moment, once for each operation."""
        yield from (connection for connection in self.connections if connection.busy_thread)
        yield from (state.connection for state in self.patch_table.relations.working())

    def _locate(self, target: Any) -> Location:
        """Ask DuckDB which database a connection is open on that was made before we listened."""
        methods = self._methods
        cursor = methods.cursor(target)
        try:
            methods.execute(
                cursor,
                "SELECT database_name, path FROM duckdb_databases() WHERE NOT internal ORDER BY database_oid LIMIT 1",
            )
            rows = methods.fetchall(cursor)
            return Location(*rows[0]) if rows else Location("", None)
        finally:
            methods.close(cursor)


class DuckDBInstrumentor(BaseInstrumentor):  # type: ignore[misc] # the base class is not typed
    """Instruments DuckDB: a span and latencies for every operation, gauges for every live database.

    `instrument()` takes `tracer_provider`, `meter_provider`, `logger_provider`, the hooks
    `request_hook(span, operation)` and `response_hook(span, operation)`, and every option of
    `otel_duckdb.settings.Settings`.
    """

    _running: _Running | None = None
    _awaiting: dict[str, Any] | None = None
    configuration = Settings

    def instrumentation_dependencies(self) -> Collection[str]:
        """The versions of DuckDB that are supported."""
        return ("duckdb >= 1.4",)

    def _instrument(self, **options: Any) -> None:
        options.pop("skip_dep_check", None)
        options.pop("enabled", None)
        Settings.load({name: value for name, value in options.items() if name not in _PROVIDED})
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
        if not any(options.get(name) for name in _PROVIDED if name.endswith("provider")) and lacks_an_sdk():
            logger.warning(
                "otel_duckdb: opentelemetry-instrument found no OpenTelemetry SDK, so nothing is recorded; run: %s",
                install_command("otlp"),
            )
        running = _Running(duckdb, options, everything=everything)
        running.start()
        self._running = running

    def _uninstrument(self, **_options: Any) -> None:
        running, self._running, self._awaiting = self._running, None, None
        if running is not None:
            running.stop()

    def observe_pool(self, name: str, pool: Pool) -> None:
        """Observe a connection pool for as long as it lives; SQLAlchemy's are observed by themselves.

        Raises:
            TypeError: the pool does not tell how many of its connections are idle and in use.
        """
        if self._running is not None:
            self._running.metric_sources.pools.observe(name, pool)

    def instrument_connection(self, connection: Any, **options: Any) -> Any:
        """Instrument one connection, and the cursors and duplicates made of it from now on; returns it."""
        if self._running is None:
            self._start(options, everything=False)
        if self._running is not None:
            self._running.gate.adopt(connection)
        return connection

    def uninstrument_connection(self, connection: Any) -> Any:
        """End the instrumentation of a connection that `instrument_connection` began; returns it."""
        running = self._running
        if running is not None:
            running.gate.dismiss(connection)
            if not running.gate.everything and not tuple(running.connections):
                self._uninstrument()
        return connection
