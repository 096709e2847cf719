"""A plain DuckDB program whose join does not fit into memory. Run it under `opentelemetry-instrument`.

The report runs twice. The first execution takes longer than the threshold, so the second one is profiled: its span says
how much was spilled to disk, and which operator took the time. Set OTEL_DUCKDB_SLOW_THRESHOLD_MS=100 to see it on a
quick machine.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb

REPORT = """
    SELECT count(*) AS orders, sum(length(notes.text)) AS characters
    FROM orders JOIN notes ON notes.key = orders.key AND notes.text <> orders.text
"""


def fill(con: duckdb.DuckDBPyConnection, rows: int) -> None:
    """Two tables that share their keys, with texts that no compression makes small."""
    for table, salt in (("orders", 1), ("notes", 2)):
        text = f"concat(hash(i, {salt}), hash(i, {salt + 2}), hash(i, {salt + 4}))"
        con.sql(f"FROM range({rows}) r(i) SELECT hash(i) AS key, {text} AS text").create(table)


def main() -> None:
    """Run the report with too little memory."""
    with tempfile.TemporaryDirectory() as directory, duckdb.connect(Path(directory, "orders.duckdb")) as con:
        fill(con, 1_500_000)
        con.execute("SET threads = 2")
        con.execute("SET memory_limit = '80MB'")
        for _ in range(2):
            print(con.execute(REPORT).fetchall())


if __name__ == "__main__":
    main()
