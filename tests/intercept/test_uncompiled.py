"""Without a compiler the C modules are missing: everything works, and streams are heard until they are handed over."""

import json
import subprocess
import sys

SCRIPT = """
import json, sys
for name in ("intercept._fetchone", "intercept._streams", "intercept._wrapper", "telemetry._section"):
    sys.modules[f"otel_duckdb.{name}"] = None
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
    calls = []
    def charge(amount: int) -> int:
        calls.append(amount)
        return amount
    connection.create_function("charge", charge, [int], int, side_effects=True)
    variable = connection.execute("SELECT 1 AS i").df()
    variables = connection.execute("SELECT count(*) FROM variable, range(charge(3))").fetchall()[0][0]
    variables += connection.sql("WITH other AS (SELECT i FROM variable) FROM other").fetchall()[0][0]
    try:
        connection.execute("FROM range(charge(2)), missing")
    except duckdb.Error as error:
        import traceback
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "otel_duckdb" in frame.filename]
spans = [(span.name, span.attributes.get("db.response.returned_rows")) for span in exporter.get_finished_spans()][:2]
print(json.dumps([rows, spans, variables, calls, len(frames)]))
"""


def test_rows_are_counted_and_streams_are_read_without_the_compiled_modules():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    rows, spans, variables, calls, frames = json.loads(
        done.stdout.splitlines()[-1]
    )  # a slow machine makes DuckDB draw its progress above
    assert (rows, done.stderr) == (12, "")
    assert (variables, frames) == (4, 0)
    assert calls == [3, 2]
    assert spans == [["SELECT", 5], ["SELECT", None]]
