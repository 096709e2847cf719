"""What every test of the instrumentation needs: DuckDB instrumented into memory, and DuckDB as it was afterwards.

Tests of spans and latencies take `telemetry` or `heard`; tests of metrics by their labels take `instrumented`.
"""

from __future__ import annotations

import pytest

from otel_duckdb import DuckDBInstrumentor, contract
from otel_duckdb.testing import RecordedTelemetry

OPTIONS = {"engine_metrics": False, "profile": "off"}
"""Tests of spans and latencies leave DuckDB's own figures alone, unless they ask for them."""


def is_opening(span):
    return span.attributes.get(contract.DUCKDB_QUERY_TYPE) == "CONNECT"


class Telemetry(RecordedTelemetry):
    """Telemetry in memory, without DuckDB's own figures unless a test asks for them."""

    instrumentor = DuckDBInstrumentor()

    def instrument(self, **options):
        return super().instrument(**{**OPTIONS, **options})

    def spans(self, name=None):
        """The ended spans of what was done on connections."""
        return [span for span in super().spans(name) if not is_opening(span)]

    def openings(self):
        """The ended spans of calls of `duckdb.connect`."""
        return [span for span in super().spans() if is_opening(span)]

    def opening(self):
        """The only ended span of a call of `duckdb.connect`."""
        (span,) = self.openings()
        return span

    faults = RecordedTelemetry.internal_errors


@pytest.fixture
def telemetry():
    """Telemetry in memory; DuckDB is not instrumented yet."""
    telemetry = Telemetry()
    yield telemetry
    telemetry.close()


@pytest.fixture
def heard(telemetry):
    """Telemetry in memory of a DuckDB that is instrumented; no fault of ours may have been counted at the end."""
    telemetry.instrument()
    yield telemetry
    assert telemetry.faults() == 0


class Instrumented(RecordedTelemetry):
    """A program that is instrumented with DuckDB's own figures, too, and the one who reads its metrics."""

    def __init__(self, **options):
        super().__init__({"service.instance.id": "gateway-1"})
        self.instrument(**options)

    def by_labels(self, metric):
        """The points of a metric by their labels."""
        return {tuple(sorted(point.attributes.items())): point for point in self.points(metric.name)}

    def read(self, metric, **labels):
        """The value of the point with these labels, and `instance_id`, which all of them carry; None without one."""
        wanted = tuple(sorted({contract.INSTANCE_ID: "gateway-1", **labels}.items()))
        point = self.by_labels(metric).get(wanted)
        return None if point is None else point.value


@pytest.fixture
def instrument():
    """Instruments DuckDB when the test calls it, for what was there before."""
    made = []

    def make(**options):
        made.append(Instrumented(**options))
        return made[-1]

    yield make
    for instrumented in made:
        instrumented.close()


@pytest.fixture
def instrumented(instrument):
    """DuckDB instrumented from the test's beginning on; no fault of ours may have been counted at the end."""
    instrumented = instrument()
    yield instrumented
    assert instrumented.internal_errors() == 0


@pytest.fixture
def path(tmp_path):
    """A file for a database, which is called `trades` in labels."""
    return tmp_path / "trades.db"


@pytest.fixture(autouse=True)
def _uninstrumented():
    """No test leaves DuckDB instrumented."""
    yield
    instrumentor = DuckDBInstrumentor()
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()
