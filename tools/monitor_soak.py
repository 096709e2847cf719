"""Lets alerts flap, acted on and told, beside a program that queries: memory, threads and descriptors stay flat.

`PYTHONPATH=tools python -m monitor_soak [SECONDS]` prints a line each tenth of the time, and exits with 1 where one of
them grew.
"""

import json
import os
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import duckdb
import psutil

from otel_duckdb import DuckDBInstrumentor
from otel_duckdb.monitor import Monitor

MEMORY_BYTES = 12e6
"""How much resident memory may grow from the first fifth to the end: what allocators do by themselves."""
THREADS = DESCRIPTORS = 3


class Hook(BaseHTTPRequestHandler):
    """Takes what is posted; every third answer is an error, so that it is sent again."""

    posted = 0

    def do_POST(self) -> None:
        """Answer."""
        json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).posted += 1
        self.send_response(500 if self.posted % 3 == 0 else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def work(con: duckdb.DuckDBPyConnection, ending: threading.Event) -> None:
    """Query, and hold memory for a second of two, so that alerts come and go."""
    while not ending.is_set():
        con.execute("create or replace temp table held as select range i from range(1000000)")
        until = time.monotonic() + 1
        while time.monotonic() < until and not ending.wait(0.02):
            con.execute("select count(*) from range(1000) where range % ? = 0", [7]).fetchall()
        con.execute("drop table held")
        ending.wait(1.2)


def figures() -> tuple[int, int, int]:
    """Resident bytes, threads and descriptors of this process."""
    process = psutil.Process()
    return process.memory_info().rss, process.num_threads(), process.num_fds()


def main() -> int:
    """Run, and compare."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ["DUCKDB_ALERT_WEBHOOK_URL"] = f"http://127.0.0.1:{server.server_port}/"
    DuckDBInstrumentor().instrument()
    ending, failures, samples = threading.Event(), [], []
    with tempfile.TemporaryDirectory() as folder:
        options = {
            "interval_ms": 100,
            "port": 0,
            "alert_lasting_seconds": 0.2,
            "alert_calming_seconds": 0.3,
            "alert_cool_down_seconds": 0,
            "alert_batch_seconds": 0.2,
            "alert_levels": {
                "DuckDBMemoryHigh": {"warning": 0.0001, "critical": 0.0002, "emergency": 0.9},
                "DuckDBCpuHigh": {"warning": 2, "critical": 2},
            },
            "actions": ["release_memory", "allocator_threads", "checkpoint", "renew_connections"],
            "audit_file": f"{folder}/audit.jsonl",
            "history_file": f"{folder}/history.sqlite",
            "export_folder": f"{folder}/exports",
        }
        con = duckdb.connect(f"{folder}/shop.duckdb", config={"memory_limit": "1GB", "threads": "1"})
        with Monitor(**options) as monitor:
            monitor.on("alert", lambda alert: alert.as_json())
            monitor.on("cleanup", len)
            worker = threading.Thread(target=work, args=(con, ending))
            worker.start()
            begun = time.monotonic()
            for part in range(1, 11):
                time.sleep(max(0.0, begun + seconds * part / 10 - time.monotonic()))
                samples.append(figures())
                log = monitor.alerts()
                told = f"{len(log['resolved'])} alerts over, {Hook.posted} posts, {monitor.events.dropped} dropped"
                resident, threads, descriptors = samples[-1]
                text = f"{resident / 1e6:.1f} MB, {threads} threads, {descriptors} descriptors; {told}"
                print(f"{time.monotonic() - begun:6.0f} s: {text}", flush=True)
            ending.set()
            worker.join()
            fired = len(monitor.alerts()["resolved"]) + len(monitor.alerts()["open"])
        con.close()
        sizes = {path.name: path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()}
    first, last = samples[1], samples[-1]
    for name, before, after, allowed in zip(
        ("resident memory", "threads", "descriptors"), first, last, (MEMORY_BYTES, THREADS, DESCRIPTORS), strict=True
    ):
        if after - before > allowed:
            failures.append(f"{name} grew from {before} to {after}")
    if fired < seconds / 20:
        failures.append(f"{fired} alerts fired: they did not flap")
    print(f"files at the end: {sizes}")
    print("; ".join(failures) or "flat")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
