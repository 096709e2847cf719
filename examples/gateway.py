"""A trading gateway: ticks arrive in a DuckDB buffer, are asked about, and go on to ClickHouse where there is one.

It runs until it is stopped, for a look at the pipeline: `opentelemetry-instrument python examples/gateway.py`.
Only the requests are named here, as a web framework names them; DuckDB's spans and metrics come by themselves.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import tempfile
import threading
from pathlib import Path

import duckdb
from opentelemetry import trace

from otel_duckdb.sync import Sync, Target

SYMBOLS = ("AAPL", "MSFT", "NVDA", "TSLA")
tracer = trace.get_tracer("gateway")


def ingest(con: duckdb.DuckDBPyConnection) -> None:
    """A batch of ticks, in a transaction."""
    with tracer.start_as_current_span("POST /ticks"):
        con.begin()
        for symbol in SYMBOLS:
            con.execute("INSERT INTO ticks SELECT now(), ?, ? + random() FROM range(100)", [symbol, 100])
        con.commit()


def ask(con: duckdb.DuckDBPyConnection) -> None:
    """What a trader's screen asks."""
    with tracer.start_as_current_span("GET /prices"):
        con.execute("SELECT symbol, last(price), count(*) FROM ticks GROUP BY symbol").fetchall()
        con.execute("SELECT max(price) FROM ticks WHERE symbol = ?", [SYMBOLS[0]]).fetchone()


def mistake(con: duckdb.DuckDBPyConnection) -> None:
    """A request that fails now and then."""
    with tracer.start_as_current_span("GET /volumes"), contextlib.suppress(duckdb.BinderException):
        con.execute("SELECT volume FROM ticks")


def open_sync(con: duckdb.DuckDBPyConnection) -> contextlib.AbstractContextManager[Sync | None]:
    """The sync to the ClickHouse that the environment names; none without one."""
    if "CLICKHOUSE_HOST" not in os.environ:
        return contextlib.nullcontext()
    target = Target(
        host=os.environ["CLICKHOUSE_HOST"],
        port=int(os.environ.get("CLICKHOUSE_PORT", "8123")),
        username=os.environ.get("CLICKHOUSE_USER"),
        password=os.environ.get("CLICKHOUSE_PASSWORD"),
    )
    return Sync(con, ["ticks"], target)


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(Path(folder) / "gateway.duckdb") as con:
        con.execute("CREATE TABLE ticks (received TIMESTAMPTZ, symbol VARCHAR, price DOUBLE)")
        with open_sync(con) as sync:
            if sync is not None:
                sync.start(interval=1.0)
            print("The gateway serves; Ctrl-C ends it.", flush=True)
            for number in itertools.takewhile(lambda _: not stopping.wait(0.2), itertools.count()):
                ingest(con)
                ask(con)
                if number % 10 == 0:
                    mistake(con)


if __name__ == "__main__":
    main()
