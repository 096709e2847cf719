"""The time of importing pandas and its kin is not that of the query that needed them first."""

import json
import os
import subprocess
import sys

import duckdb
import pytest

PROGRAM = """
import json, os, sys, time, duckdb
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from otel_duckdb import DuckDBInstrumentor


def told(library, method, how):
    exporter, tracers = InMemorySpanExporter(), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    DuckDBInstrumentor().instrument(tracer_provider=tracers, profile="off", engine_metrics=False)
    connection = duckdb.connect()
    query = "select 42 as a"
    if how == "module":
        default = duckdb.execute(query)
    source = {"connection": connection.execute, "relation": connection.sql}.get(how, lambda _: duckdb)(query)
    assert library not in sys.modules
    began = time.perf_counter()
    result = getattr(source, method)()
    took = (time.perf_counter() - began) * 1000
    if hasattr(result, "read_all"):
        result = result.read_all()
    DuckDBInstrumentor().uninstrument()
    spans = [span for span in exporter.get_finished_spans() if span.name == "SELECT"]
    told = [sum(span.attributes.get(f"duckdb.{part}_time_ms", 0) for part in ("execute", "fetch")) for span in spans]
    return [library, method, how, [library in sys.modules, took, told]]

for way in json.loads(sys.argv[1]):
    if os.fork() == 0:  # a process without these libraries, and soon there
        print(json.dumps(told(*way)), flush=True)
        os._exit(0)
    assert os.wait()[1] == 0, way
"""
METHODS = [
    ("pandas", "df"),
    ("pandas", "fetch_df_chunk"),
    ("numpy", "fetchnumpy"),
    ("pyarrow", "to_arrow_table"),
    ("pyarrow", "fetch_record_batch"),
    ("polars", "pl"),
]


SOURCES = {"connection": duckdb.DuckDBPyConnection, "relation": duckdb.DuckDBPyRelation, "module": duckdb}
WAYS = [
    (library, method, how) for library, method in METHODS for how, source in SOURCES.items() if hasattr(source, method)
]
"""What this line of DuckDB has of them."""


@pytest.fixture(scope="module")
def told():
    """By library, method and where it is called: whether the library was imported, and the times in ms."""
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, json.dumps(WAYS)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    found = [json.loads(line) for line in lines if line.startswith("[")]  # DuckDB may draw its progress between them
    return {tuple(way): figures for *way, figures in found}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("way", WAYS, ids=" ".join)
def test_the_first_call_that_needs_a_library_tells_the_query_s_time(told, way):
    imported, took, times = told[way]
    assert imported
    assert len(times) == 1
    assert times[0] < took / 2  # nearly all of it is the import


def test_where_a_library_is_missing_duckdb_says_so_as_before():
    program = (
        "import sys; sys.modules['pandas'] = None\n"
        "import duckdb, otel_duckdb\n"
        "def told():\n"
        "    try: duckdb.connect().execute('select 1').df()\n"
        "    except Exception as error: return type(error).__name__, str(error)\n"
        "before = told()\n"
        "otel_duckdb.DuckDBInstrumentor().instrument()\n"
        "from opentelemetry.sdk.trace import TracerProvider; from opentelemetry import trace\n"
        "trace.set_tracer_provider(TracerProvider())\n"
        "assert before and told() == before, (before, told())\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True)
