"""A shop at work on a DuckDB, whose monitor's page is looked at: by tests, for screenshots, or by you.

`python tools/page_program.py 3001` prints the port and the token for acting, and ends when its standard input does. The
line `fill` there makes a table that brings an alert on memory, `empty` drops it.
"""

from __future__ import annotations

import contextlib
import os
import random
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from opentelemetry.sdk.trace import TracerProvider

from otel_duckdb import DuckDBInstrumentor
from otel_duckdb.monitor import Monitor, discovery
from otel_duckdb.sync import trace_sync

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

CUSTOMERS = 20_000
OPTIONS = {
    "alert_levels": ",".join(
        (
            "DuckDBMemoryHigh.warning=0.5",
            "DuckDBLatencyChanged.warning=1000",  # the others are for machines with nothing else to do
            *("DuckDBCpuHigh.warning=9", "DuckDBCpuHigh.critical=9"),
        )
    ),
    "alert_lasting_seconds": 0,
    "alert_calming_seconds": 0,
    "actions": "release_memory,checkpoint",
    "trace_url": "http://127.0.0.1:16686/trace/{trace_id}",
}


def tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the shop's tables."""
    connection.execute("CREATE TABLE orders (id BIGINT, customer BIGINT, amount DOUBLE, placed TIMESTAMP)")
    connection.execute(
        "CREATE TABLE customers AS SELECT range AS id, 'customer ' || range AS name, range % 40 AS region"
        f" FROM range({CUSTOMERS})"
    )


def serve(connection: duckdb.DuckDBPyConnection, tracer: Tracer) -> None:
    """Answer requests, one after another, as a web program would."""
    number = 0
    while True:
        number += 1
        with tracer.start_as_current_span("POST /orders"):
            connection.execute(
                f"INSERT INTO orders SELECT range + ?, range % {CUSTOMERS}, random() * 100, now()::TIMESTAMP"
                " FROM range(2000)",
                [number * 2000],
            )
        with tracer.start_as_current_span("GET /customers"):
            for row in connection.execute(
                "SELECT id FROM customers WHERE region = ? LIMIT 6", [number % 40]
            ).fetchall():
                connection.execute("SELECT count(*) FROM orders WHERE customer = ?", row).fetchall()
        with tracer.start_as_current_span("GET /best-customers"):
            connection.execute(
                "SELECT customers.name, sum(amount) AS spent FROM orders JOIN customers"
                " ON customers.id = orders.customer GROUP BY ALL ORDER BY spent DESC LIMIT 10"
            ).fetchall()
        if number % 10 == 0:
            with tracer.start_as_current_span("GET /orders/{id}"), contextlib.suppress(duckdb.Error):
                connection.execute("SELECT * FROM orders WHERE id = 'unknown'::BIGINT").fetchall()
        if number % 20 == 0:
            connection.execute("UPDATE orders SET amount = amount * 1.01 WHERE customer < 10")
            connection.execute("DELETE FROM orders WHERE id < ?", [(number - 200) * 2000])
            with trace_sync("orders") as sync:
                sync.record(rows=40_000)
        time.sleep(random.uniform(0.2, 0.5))


def report(connection: duckdb.DuckDBPyConnection) -> None:
    """Now and then run the report that takes the memory."""
    while True:
        connection.execute(
            "SELECT region, quantile_cont(price, 0.99) FROM (SELECT range % 40 AS region, hash(range) AS price"
            " FROM range(4_000_000)) GROUP BY region ORDER BY region"
        ).fetchall()
        time.sleep(20)


def wait_in_duckdb(path: str) -> None:
    """Be at one statement for hours, in a transaction, until it is cancelled; then begin again."""

    def pause(column: Any) -> Any:
        time.sleep(0.1)
        return column

    connection = duckdb.connect(path)
    connection.execute("SET threads = 1")
    create_function: Any = connection.create_function  # its types differ from line to line of DuckDB
    create_function("pause", pause, ["BIGINT"], "BIGINT", type="arrow", side_effects=True)
    connection.execute("BEGIN")
    while True:
        try:
            connection.execute("SELECT count(*) FROM range(100_000_000) WHERE pause(range) < 0")
        except duckdb.Error:
            connection.rollback()
            time.sleep(1)
            connection.execute("BEGIN")


def obey(connection: duckdb.DuckDBPyConnection) -> None:
    """Do what the standard input says, until it ends."""
    for line in sys.stdin:
        if line.strip() == "fill":
            connection.execute(
                "CREATE OR REPLACE TEMP TABLE copies AS SELECT hash(range)::VARCHAR || hash(range + 1)::VARCHAR AS text"
                " FROM range(16_000_000)"
            )
        if line.strip() == "empty":
            connection.execute("DROP TABLE IF EXISTS copies")


def main(port: int) -> None:
    """Work until the standard input ends."""
    tracers = TracerProvider()
    DuckDBInstrumentor().instrument(tracer_provider=tracers, profile="all")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        shop = duckdb.connect(str(Path(folder, "shop.duckdb")), config={"memory_limit": "1GB"})
        tables(shop)
        work = (
            ("shop", serve, (shop.cursor(), tracers.get_tracer("shop"))),
            ("nightly report", report, (shop.cursor(),)),
            ("forecast", wait_in_duckdb, (":memory:",)),
        )
        for name, run, arguments in work:
            threading.Thread(target=run, args=arguments, daemon=True, name=name).start()
        with Monitor(interval_ms=500, cancel=True, port=port, **OPTIONS):
            [announced] = [each for each in discovery.running() if each.pid == os.getpid()]
            sys.stdout.write(f"{announced.port} {announced.token}\n")
            sys.stdout.flush()
            obey(shop.cursor())
        os._exit(0)  # the threads are in the middle of their work


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
