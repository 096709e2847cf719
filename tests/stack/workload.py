"""A program that uses DuckDB, to be run under `opentelemetry-instrument`; it does what its standard input asks for.

A line of input is JSON: {"do": the name of a function below, ...its arguments}; the answer is one line of JSON.
Nothing here knows of the instrumentation: only the root spans are made by hand, as a web framework would make them.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

import duckdb
from everything import Everything
from opentelemetry import trace
from trouble import Trouble

HOME = Path(sys.argv[1])
tracer = trace.get_tracer("gateway")
database = duckdb.connect(str(HOME / "trades.duckdb"))
database.execute("CREATE TABLE IF NOT EXISTS trades (id BIGINT, symbol VARCHAR, price DOUBLE)")
database.execute("CREATE TABLE IF NOT EXISTS symbols (symbol VARCHAR, name VARCHAR)")


def trace_id(span: trace.Span) -> str:
    return format(span.get_span_context().trace_id, "032x")


def trade() -> dict[str, object]:
    """One request: each kind of statement once, and a join."""
    with tracer.start_as_current_span("POST /trades") as span:
        database.execute("DELETE FROM symbols")
        database.execute("INSERT INTO symbols VALUES ('A', 'Alpha'), ('B', 'Beta')")
        database.executemany("INSERT INTO trades VALUES (?, ?, ?)", [[1, "A", 1.5], [2, "B", 2.5]])
        database.execute("UPDATE trades SET price = price * 2 WHERE symbol = 'A'")
        rows = database.execute("SELECT name, price FROM trades JOIN symbols USING (symbol)").fetchall()
        database.execute("DELETE FROM trades")
    return {"trace_id": trace_id(span), "rows": len(rows)}


def request(number: int) -> tuple[str, float]:
    """One small request; gives its trace and the seconds that DuckDB's call took, as the program feels them."""
    with tracer.start_as_current_span("GET /price", attributes={"number": number}) as span:
        started = time.perf_counter()
        database.execute("SELECT max(price) FROM trades WHERE id = ?", [number]).fetchone()
        return trace_id(span), time.perf_counter() - started


def requests(count: int) -> dict[str, object]:
    """Many small requests."""
    return {"trace_ids": [request(number)[0] for number in range(count)]}


class Load(threading.Thread):
    """Small requests, a hundred a second, until stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.ending = threading.Event()
        self.trace_ids: list[str] = []
        self.slowest = 0.0

    def run(self) -> None:
        while not self.ending.wait(0.01):
            identity, seconds = request(len(self.trace_ids))
            self.trace_ids.append(identity)
            self.slowest = max(self.slowest, seconds)


loads: list[Load] = []


def start_load() -> dict[str, object]:
    """Begin to load the database in the background."""
    loads.append(Load())
    loads[-1].start()
    return {}


def stop_load() -> dict[str, object]:
    """End it, and tell the traces made and the seconds of the slowest call."""
    load = loads.pop()
    load.ending.set()
    load.join()
    return {"trace_ids": load.trace_ids, "slowest": load.slowest}


used: list[Everything] = []


def start_everything(clickhouse_port: int) -> dict[str, object]:
    """Begin to use DuckDB in every way, in the background, until the program ends."""
    used.append(Everything(HOME, clickhouse_port))
    used[0].start()
    return {}


def fork_everything(clickhouse_port: int) -> dict[str, object]:
    """The same in a forked worker, which ends with this program."""
    parent = os.getpid()
    if os.fork() == 0:
        home = HOME / "worker"
        home.mkdir()
        use = Everything(home, clickhouse_port)
        use.start()
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(0)
    return {}


troubles: list[Trouble] = []


def start_trouble(clickhouse_port: int) -> dict[str, object]:
    """Begin to do what alerts warn of, in the background."""
    troubles.append(Trouble(HOME, clickhouse_port))
    troubles[-1].start()
    return {}


def pause_trouble() -> dict[str, object]:
    """Do nothing further; what was done lasts."""
    troubles[-1].pause()
    return {}


def stop_trouble() -> dict[str, object]:
    """Put right what was done."""
    troubles.pop().end()
    return {}


def answer(content: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


answer({"ready": True})
for line in sys.stdin:
    command = json.loads(line)
    answer(globals()[command.pop("do")](**command))
for use in used:
    use.end()
