"""Without a compiler the C modules are missing: everything works, and streams are heard until they are handed over."""

import json
import subprocess
import sys

SCRIPT = """
import json, sys
sys.modules["otel_duckdb.intercept._streams"] = sys.modules["otel_duckdb.intercept._fetchone"] = None
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from otel_duckdb import DuckDBInstrumentor
exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
DuckDBInstrumentor().instrument(tracer_provider=provider)
import duckdb
with duckdb.connect() as connection:
    connection.execute("SELECT * FROM range(5)")
    rows = 0
    while connection.fetchone() is not None:
        rows += 1
    relation = connection.sql("SELECT * FROM range(7)")
    reader = (relation.to_arrow_reader if hasattr(relation, "to_arrow_reader") else relation.fetch_arrow_reader)()
    rows += sum(map(len, reader))
spans = [(span.name, span.attributes.get("db.response.returned_rows")) for span in exporter.get_finished_spans()]
print(json.dumps([rows, spans]))
"""


def test_rows_are_counted_and_streams_are_read_without_the_compiled_modules():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    rows, spans = json.loads(done.stdout)
    assert (rows, done.stderr) == (12, "")
    assert spans == [["SELECT", 5], ["SELECT", None]]
