"""The time of importing pandas and its kin is not that of the query that needed them first."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import json, sys, time, duckdb
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from otel_duckdb import DuckDBInstrumentor
library, method, how = sys.argv[1:]
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
result = getattr(source, method)() if hasattr(source, method) else None
took = (time.perf_counter() - began) * 1000
if hasattr(result, "read_all"):
    result = result.read_all()
DuckDBInstrumentor().uninstrument()
spans = [span for span in exporter.get_finished_spans() if span.name == "SELECT"]
told = [sum(span.attributes.get(f"duckdb.{part}_time_ms", 0) for part in ("execute", "fetch")) for span in spans]
print(json.dumps([result is not None, library in sys.modules, took, told]))
"""
METHODS = [
    ("pandas", "df"),
    ("pandas", "fetch_df_chunk"),
    ("numpy", "fetchnumpy"),
    ("pyarrow", "to_arrow_table"),
    ("pyarrow", "fetch_record_batch"),
    ("polars", "pl"),
]


@pytest.mark.parametrize("how", ["connection", "relation", "module"])
@pytest.mark.parametrize(("library", "method"), METHODS)
def test_the_first_call_that_needs_a_library_tells_the_query_s_time(library, method, how):
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, library, method, how]
    told_last = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    exists, imported, took, told = json.loads(told_last)
    if not exists:
        pytest.skip(f"this line of DuckDB has no {method} of a {how}")
    assert imported
    assert len(told) == 1
    assert told[0] < took / 4


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
