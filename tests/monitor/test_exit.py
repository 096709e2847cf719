"""A program that ends while alerts wait to be told."""

import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

PROGRAM = """
import sys, time, duckdb
from otel_duckdb import DuckDBInstrumentor
DuckDBInstrumentor().instrument(monitor=True)
monitor = DuckDBInstrumentor()._running._monitor
con = duckdb.connect(config={"memory_limit": "1GB"})
con.execute("create temp table held as select range i from range(1000000)")
while not monitor.alerts()["open"]:
    time.sleep(0.01)
print("fired", flush=True)
"""
EASILY = (
    "DuckDBMemoryHigh.warning=0.0001,DuckDBMemoryHigh.critical=0.0002,"
    # Whoever else uses the machine.
    "DuckDBCpuHigh.warning=2,DuckDBCpuHigh.critical=2,DuckDBResidentMemoryHigh.warning=2,"
    "DuckDBResidentMemoryHigh.critical=2,DuckDBResidentMemoryHigh.emergency=2"
)


@pytest.fixture
def webhook():
    bodies, hanging = [], threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            if self.path == "/hangs":
                hanging.wait(30)
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield bodies, f"http://127.0.0.1:{server.server_port}"
    hanging.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def ended(tmp_path):
    """Run the program until it ends, and tell how long that took after its last line."""

    def run(url, **variables):
        environment = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(tmp_path),
            "DUCKDB_ALERT_WEBHOOK_URL": url,
            "DUCKDB_MONITORING_INTERVAL": "100",
            "OTEL_DUCKDB_MONITOR_ALERT_LEVELS": EASILY,
            "OTEL_DUCKDB_MONITOR_ALERT_LASTING_SECONDS": "0",
            "OTEL_DUCKDB_MONITOR_ALERT_BATCH_SECONDS": "60",
            **variables,
        }
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "fired\n"
        began = time.monotonic()
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0
        return time.monotonic() - began, errors

    return run


def test_what_waits_to_be_told_is_told_at_the_end(webhook, ended):
    bodies, url = webhook
    seconds, errors = ended(f"{url}/hook")
    assert bodies[0]["attachments"][0]["fields"][0]["value"] == "DuckDBMemoryHigh"
    assert seconds < 10
    assert "could not be told" not in errors


@pytest.mark.slow
@pytest.mark.parametrize("way", ["hangs", "refuses"])
def test_what_cannot_be_told_in_time_is_said_in_one_line_and_the_program_ends(webhook, ended, way):
    _, url = webhook
    seconds, errors = ended(f"{url}/hangs" if way == "hangs" else "http://127.0.0.1:9/")
    assert seconds < 15
    assert errors.count("these alerts could not be told any more: DuckDBMemoryHigh (critical)") == 1
