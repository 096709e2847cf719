"""A program that watches itself: what its statements took, and an alert that fires, acts and is over.

Run it with `python examples/monitor.py`; no collector and no SDK is needed, only the extra `monitor`.
"""

from __future__ import annotations

import time
from typing import Any

import duckdb

from otel_duckdb import DuckDBInstrumentor
from otel_duckdb.monitor import Monitor

SECONDS = 30


def work(con: duckdb.DuckDBPyConnection) -> None:
    """Look up, add, and fill the memory with a table that has no file to be read from again."""
    con.execute("CREATE TABLE trades AS SELECT range AS id, random() AS price FROM range(200_000)")
    for number in range(50):
        con.execute("SELECT avg(price) FROM trades WHERE id > ?", [number]).fetchall()
    con.execute(
        "CREATE TABLE copies AS SELECT hash(a.id + b.id)::VARCHAR AS text FROM trades a, (FROM trades LIMIT 10) b"
    )
    used = con.execute("SELECT sum(memory_usage_bytes) FROM duckdb_memory()").fetchall()[0][0]
    con.execute(f"SET memory_limit = '{int(used * 1.05)}B'")


def memory_alerts(monitor: Monitor) -> list[dict[str, Any]]:
    """The open alerts on DuckDB's memory."""
    return [alert for alert in monitor.alerts()["open"] if alert["name"] == "DuckDBMemoryHigh"]


def main() -> None:
    """Work under a monitor, and print what it saw."""
    DuckDBInstrumentor().instrument()
    options = {"alert_lasting_seconds": 0, "alert_calming_seconds": 0, "actions": ("release_memory",)}
    with Monitor(interval_ms=100, serve=False, **options) as monitor, duckdb.connect() as con:
        con.execute("SET threads = 1")
        work(con)
        until = time.monotonic() + SECONDS
        while not any(alert["actions"] for alert in memory_alerts(monitor)) and time.monotonic() < until:
            time.sleep(0.1)
        con.execute("DROP TABLE copies")
        while memory_alerts(monitor) and time.monotonic() < until:
            time.sleep(0.1)
        show(monitor)


def show(monitor: Monitor) -> None:
    """Print the statements and the alerts."""
    print("\nwhat the monitor saw\n")
    print(f"{'total ms':>9}{'calls':>7}{'mean ms':>9}  statement")
    for each in monitor.statements(limit=5)["statements"]:
        print(f"{each['total_ms']:9.1f}{each['calls']:7}{each['mean_ms']:9.2f}  {each['text'][:80]}")
    for alert in monitor.alerts()["resolved"]:
        print(f"\n{alert['level']}: {alert['message']}")
        print(f"  from {alert['started']} to {alert['ended']}")
        for action in alert["actions"]:
            print(f"  {action['action']}: {action['outcome']}, {action['detail']}")


if __name__ == "__main__":
    main()
