"""A trading gateway: one thread writes ticks to DuckDB, one queries them, one syncs them to ClickHouse.

In the middle ClickHouse is away for a few seconds. Nothing is lost, nothing comes twice, and the trace shows it: the
batch that met the outage has an event for each retry.

    python examples/trading_buffer.py

It takes a few seconds, and needs no server: it starts the stand-in of this repository's tests.
"""

from __future__ import annotations

import random
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import clickhouse_connect
import duckdb
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_duckdb.sync import Limits, Retry, Sync, Table, Target

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
from clickhouse_standin import StandIn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

SYMBOLS = ("BTC-USD", "ETH-USD", "SOL-USD")


def write_ticks(cursor: duckdb.DuckDBPyConnection, ending: threading.Event) -> None:
    """Insert a few ticks at a time, as they come from the exchange."""
    while not ending.wait(0.005):
        symbol, price = random.choice(SYMBOLS), random.uniform(90, 110)  # noqa: S311 - prices are no secrets
        cursor.execute(
            "INSERT INTO ticks SELECT now(), $1, $2 + range / 100, range + 1 FROM range(20)", [symbol, price]
        )


def query_ticks(cursor: duckdb.DuckDBPyConnection, ending: threading.Event) -> None:
    """Ask for the last prices, as the strategy does."""
    while not ending.wait(0.1):
        cursor.execute("SELECT symbol, arg_max(price, moment), count(*) FROM ticks GROUP BY symbol").fetchall()


def wait_for_rows(sync: Sync, rows: int) -> None:
    """Wait until at least `rows` rows are acknowledged, for a minute at most."""
    for _ in range(600):
        if sync.status()[0].acknowledged_rows >= rows:
            return
        time.sleep(0.1)
    raise TimeoutError(f"{rows} rows were not acknowledged within a minute")


def tell(spans: Sequence[ReadableSpan]) -> None:
    """Print what the trace holds of the outage."""
    for span in spans:
        retries = [event for event in span.events if event.name == "duckdb.sync.retry"]
        if not retries:
            continue
        attributes = span.attributes or {}
        print(f"{span.name}: {attributes.get('duckdb.sync.rows', 0)} rows, {len(retries)} retries")
        for event in retries:
            values = event.attributes or {}
            print(
                f"  attempt {values['duckdb.sync.attempt']} after {values['duckdb.sync.retry_delay_ms']:.0f} ms: "
                f"{str(values['exception.message'])[:90]}"
            )


def main() -> int:
    """Run for some seconds, then compare what was written with what is stored."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    with tempfile.TemporaryDirectory() as folder, StandIn(Path(folder) / "clickhouse") as clickhouse:
        connection = duckdb.connect(f"{folder}/buffer.duckdb")
        connection.execute("CREATE TABLE ticks (moment TIMESTAMPTZ, symbol VARCHAR, price DOUBLE, size INTEGER)")
        ending = threading.Event()
        threads = [
            threading.Thread(target=work, args=(connection.cursor(), ending)) for work in (write_ticks, query_ticks)
        ]
        sync = Sync(
            connection,
            [Table(name="ticks", delete=True, keep_rows=2000)],
            Target(host=clickhouse.host, port=clickhouse.port),
            batch=Limits(rows=5000),
            retry=Retry(initial_delay=0.1, max_delay=1.0, seconds=30),
        )
        for thread in threads:
            thread.start()
        sync.start(interval=0.2)
        wait_for_rows(sync, 1)
        with clickhouse.refusing():
            print("ClickHouse is away")
            time.sleep(3)
            print(f"waiting in the buffer: {sync.status()[0].pending_rows} rows")
        print("ClickHouse is back")
        wait_for_rows(sync, sync.status()[0].acknowledged_rows + 1)
        ending.set()
        for thread in threads:
            thread.join()
        sync.stop()
        sync.run_once()
        (status,) = sync.status()
        client = clickhouse_connect.get_client(host=clickhouse.host, port=clickhouse.port)
        stored = client.query("SELECT count() FROM ticks").result_rows[0][0]
        client.close()
        sync.close()
        connection.close()
    tell(exporter.get_finished_spans())
    print(f"{stored} ticks stored, {status.acknowledged_rows} acknowledged, {status.pending_rows} waiting")
    return int(stored != status.acknowledged_rows or status.pending_rows > 0)


if __name__ == "__main__":
    sys.exit(main())
