"""What the tests of profiles share: telemetry kept in memory, and data like TPC-H's."""

import duckdb
import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from log_records import InMemoryLogRecordExporter
from otel_duckdb import DuckDBInstrumentor


class Telemetry:
    """An instrumented DuckDB and what it has told."""

    def __init__(self):
        self._exporter = InMemorySpanExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._reader = InMemoryMetricReader()
        self._meters = MeterProvider([self._reader])
        self._records = InMemoryLogRecordExporter()
        self._loggers = LoggerProvider()
        self._loggers.add_log_record_processor(SimpleLogRecordProcessor(self._records))

    def instrument(self, **options):
        providers = {"meter_provider": self._meters, "logger_provider": self._loggers}
        DuckDBInstrumentor().instrument(tracer_provider=self.tracers, **providers, **options)

    @property
    def spans(self):
        return self._exporter.get_finished_spans()

    @property
    def span(self):
        return self.spans[-1]

    @property
    def records(self):
        return [each.log_record for each in self._records.get_finished_logs()]

    def plan(self, span=None):
        events = [event for event in (span or self.span).events if event.name == "duckdb.query_plan"]
        return events[0].attributes["duckdb.plan"] if events else None

    def points(self, name):
        return [
            (dict(point.attributes), point.value)
            for resource in self._reader.get_metrics_data().resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    def faults(self):
        return sum(value for _, value in self.points("otel_duckdb_internal_errors"))


@pytest.fixture
def profiles():
    """Only where DuckDB can be asked for profiles."""
    if not hasattr(duckdb.DuckDBPyConnection, "get_profiling_information"):
        pytest.skip("DuckDB 1.4's client cannot read profiles")


@pytest.fixture
def telemetry():
    found = Telemetry()
    yield found
    DuckDBInstrumentor().uninstrument()
    assert not found.faults()


@pytest.fixture(scope="session")
def database():
    """A database in memory with tables like TPC-H's."""
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE lineitem AS " + LINEITEM)
        connection.execute("CREATE TABLE orders AS " + ORDERS)
        connection.execute("CREATE TABLE customer AS " + CUSTOMER)
        yield connection


@pytest.fixture
def con(database):
    """A connection to it, made before anything was instrumented."""
    with database.cursor() as connection:
        connection.execute("SET threads = 2")
        connection.execute("RESET memory_limit")
        yield connection


LINEITEM = """
SELECT i // 4 AS orderkey, hash(i) % 1000 AS partkey, 1 + hash(i, 1) % 50 AS quantity,
       round(900 + hash(i, 2) % 100000 / 100, 2) AS price, hash(i, 3) % 11 / 100 AS discount,
       ['A', 'N', 'R'][1 + (hash(i, 4) % 3)::INT] AS flag, DATE '1992-01-01' + (hash(i, 5) % 2500)::INT AS shipped,
       hash(i, 6)::VARCHAR || hash(i, 7)::VARCHAR AS comment
FROM generate_series(0, 199999) s(i)"""
ORDERS = """
SELECT i AS orderkey, hash(i, 8) % 5000 AS custkey, DATE '1992-01-01' + (hash(i, 9) % 2400)::INT AS ordered,
       ['1-URGENT', '2-HIGH', '3-MEDIUM'][1 + (hash(i, 10) % 3)::INT] AS priority
FROM generate_series(0, 49999) s(i)"""
CUSTOMER = """
SELECT i AS custkey, ['BUILDING', 'MACHINERY'][1 + (hash(i, 11) % 2)::INT] AS segment, 'Customer#' || i AS name
FROM generate_series(0, 4999) s(i)"""
