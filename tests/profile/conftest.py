"""What the tests of profiles share: telemetry kept in memory, and data like TPC-H's."""

import duckdb
import pytest

from otel_duckdb import contract
from otel_duckdb.testing import RecordedTelemetry


class Telemetry(RecordedTelemetry):
    """An instrumented DuckDB and what it has told, the spans of the program among it."""

    @property
    def ended(self):
        """The spans of all, in the order of their end."""
        return self.exporter.get_finished_spans()

    @property
    def last(self):
        return self.ended[-1]

    def told(self, metric):
        """The labels and the value of each point."""
        return [(dict(point.attributes), point.value) for point in self.points(metric)]

    def plan(self, span=None):
        """The plan on a span, the last one if none is given."""
        events = [event for event in (span or self.last).events if event.name == contract.EVENT_PLAN]
        return events[0].attributes[contract.DUCKDB_PLAN] if events else None


@pytest.fixture
def profiles():
    """Only where DuckDB can be asked for profiles."""
    if not hasattr(duckdb.DuckDBPyConnection, "get_profiling_information"):
        pytest.skip("DuckDB 1.4's client cannot read profiles")


@pytest.fixture
def telemetry():
    found = Telemetry()
    yield found
    assert not found.internal_errors()
    found.close()


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
