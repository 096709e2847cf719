"""What every test of the instrumentation needs: DuckDB instrumented into memory, and DuckDB as it was afterwards."""

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


@pytest.fixture(autouse=True)
def _uninstrumented():
    """No test leaves DuckDB instrumented."""
    yield
    instrumentor = DuckDBInstrumentor()
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()
