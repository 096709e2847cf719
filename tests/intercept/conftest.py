"""What the tests of single operations share: a connection that is heard, and programs in a process of their own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import duckdb
import pytest

HEAD = """
import duckdb
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from otel_duckdb import DuckDBInstrumentor
class Printing(SpanExporter):
    def export(self, spans):
        print(*(span.name for span in spans), flush=True)
        return SpanExportResult.SUCCESS
"""
INSTRUMENTED = """
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(Printing()))
DuckDBInstrumentor().instrument(tracer_provider=provider, engine_metrics=False)
con = duckdb.connect()
"""


@pytest.fixture
def connection(heard):
    connection = duckdb.connect()
    yield connection
    connection.close()


@pytest.fixture
def run_program():
    """Runs a program in a process of its own, and gives what it printed: its own words and the names of its spans.

    DuckDB is instrumented and `con` is a connection, unless the program sees to both; `Printing` is the exporter then.
    """

    def run(body, *, instrumented=True, timeout=None):
        program = HEAD + (INSTRUMENTED if instrumented else "") + textwrap.dedent(body)
        return subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=timeout
        )

    return run
