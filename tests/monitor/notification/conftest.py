"""A notifier, an alert, and a webhook that answers as it is told."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from otel_duckdb.core import source
from otel_duckdb.monitor.alerts.alert import Alert
from otel_duckdb.monitor.alerts.level import Level
from otel_duckdb.monitor.alerts.log import AlertLog
from otel_duckdb.monitor.alerts.rule import make_rules
from otel_duckdb.monitor.notification.notifier import Notifier

RULES = {rule.name: rule for rule in make_rules()}


class Receiver:
    """A webhook that answers as it is told, and keeps what was posted."""

    def __init__(self):
        self.posted, self.answers, self.asked = [], [], []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = receiver.answers.pop(0) if receiver.answers else 200
                if answer == "hang":
                    time.sleep(1.5)
                    return
                receiver.posted.append((answer, json.loads(body)))
                receiver.asked.append((self.path, self.headers["Authorization"]))
                self.send_response(answer)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/secret"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Faults:
    """Stands for an instrumentation that counts faults."""

    def __init__(self):
        self.counted = []

    def report(self, component, error):
        self.counted.append((component, type(error).__name__))


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def faults():
    made = Faults()
    source.provide(made)
    yield made
    source.provide(None)


@pytest.fixture
def start():
    """Starts a notifier that is stopped at the end."""
    started = []

    def start(*senders, **options):
        log = AlertLog()
        options = {"batch_seconds": 0.0, "waits": (0.05, 0.05), **options}
        notifier = Notifier(senders, lambda: log, **options)
        notifier.start()
        started.append(notifier)
        return notifier

    yield start
    for notifier in started:
        notifier.stop()


@pytest.fixture
def alert():
    """Makes an alert of a rule, as it is told."""

    def make(number=0, level=Level.CRITICAL, name="DuckDBMemoryHigh"):
        metrics = {
            "memory": {"duckdb_memory_percent": 93.21},
            "system": {"cpu_usage_percent": 12.0},
            "queries": {"active_queries": 3.0},
        }
        made = Alert(f"a{number}", RULES[name], "db", {}, level, "db: <b>93 %</b>\nof it", 0.93, 0.9, 1e9, changed=1e9)
        made.metrics = metrics
        return made

    return make
