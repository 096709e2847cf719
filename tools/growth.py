"""Does one thing after another very often, and looks whether anything of ours is left of it.

`PYTHONPATH=tools python -m growth [SHARE] [NAME ...]` does a share of the full number (1 by default; the connections
are 100,000 then), of all things or of those named, prints a line for each, and exits with 1 where one of them grew.
Before the first look each is done so often that what is bounded is full.
"""

import gc
import itertools
import json
import os
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
import psutil
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from otel_duckdb import DuckDBInstrumentor
from otel_duckdb.monitor import Monitor
from otel_duckdb.monitor.alerts.alertmanager import AlertmanagerWebhook, Received
from otel_duckdb.monitor.alerts.log import AlertLog
from otel_duckdb.monitor.alerts.silences import Silences
from otel_duckdb.monitor.api.clients import Rates
from otel_duckdb.monitor.api.sessions import Sessions
from otel_duckdb.monitor.audit import AuditFile
from otel_duckdb.monitor.history import History
from otel_duckdb.monitor.history.file import HistoryFile
from otel_duckdb.monitor.sample import Sample, Series

if TYPE_CHECKING:
    from collections.abc import Callable

MEMORY_BYTES = 6e6
"""How much resident memory one of them may take more after the second half: what allocators do by themselves."""
FILE_BYTES = 3e6
OBJECTS = 1_800
"""How many objects more the garbage collector may know: far less than one for each time."""


class Growth(NamedTuple):
    """What one thing left behind in its second half."""

    objects: int
    bytes: int


class Pool:
    """A pool of connections, as a program may show one."""

    def checkedin(self) -> int:
        """Return the number of idle connections."""
        return 1

    def checkedout(self) -> int:
        """Return the number of connections in use."""
        return 0


class Everything:
    """Each method does one thing for the time of that number; what it needs is made here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reader = InMemoryMetricReader()
        self.instrumentor = DuckDBInstrumentor()
        self.instrumentor.instrument(
            tracer_provider=TracerProvider(),
            meter_provider=MeterProvider([self.reader]),
            profile="all",
            slow_threshold_ms=0,
        )
        running: Any = self.instrumentor._running
        running.databases._names._limit = 20  # DuckDB needs long to open a thousand
        self.monitor = Monitor(
            serve=False, interval_ms=100, audit_file=str(folder / "trail.jsonl"), actions=["release_memory"]
        )
        self.monitor.start()
        self.connection = duckdb.connect()
        self.connection.execute("create table t as from range(10)")
        self.log, self.silences, self.webhook = AlertLog(), Silences(), AlertmanagerWebhook()
        self.rates, self.sessions = Rates(60), Sessions("s")
        self.audit = AuditFile(folder / "audit.jsonl", size=100_000, files=3)
        self.history = History()
        self.history_file = HistoryFile(self.history, str(folder / "history.sqlite"))
        self.history_file.start()

    def close(self) -> None:
        """End what was begun."""
        self.history_file.stop()
        self.connection.close()
        self.monitor.stop()
        self.instrumentor.uninstrument()

    def connections(self, _number: int) -> None:
        """Open and close a connection."""
        self.connection.cursor().close()

    def dropped_connections(self, _number: int) -> None:
        """Leave a connection to the garbage, with its result."""
        self.connection.cursor().execute("from t")

    def databases(self, number: int) -> None:
        """Open a database of another name."""
        duckdb.connect(f":memory:database{number}", config={"threads": 1}).close()

    def threads(self, _number: int) -> None:
        """Query once in a thread."""
        thread = threading.Thread(target=self.dropped_connections, args=(0,))
        thread.start()
        thread.join()

    def plans(self, number: int) -> None:
        """Run a statement with a plan of its own, and one that fails."""
        tables = " cross join ".join(f"t as t{number}_{each}" for each in range(1 + number % 5))
        self.connection.execute(f"select count(*) from {tables} where {number} >= 0").fetchall()
        with suppress(duckdb.Error):
            self.connection.execute(f"from missing{number}")

    def alerts(self, number: int) -> None:
        """Begin an alert, act on it, and end it."""
        alert: Any = _Alert(number)
        self.log.opened(alert)
        self.log.acted(alert, {"action": number})
        self.log.resolved(alert)

    def received_alerts(self, number: int) -> None:
        """Take in what an Alertmanager posts."""
        alert = {"status": "firing", "fingerprint": str(number), "startsAt": str(number), "labels": {}}
        self.webhook.receive({"version": "4", "groupKey": "g", "alerts": [alert]})

    def actions(self, number: int) -> None:
        """Let the queue of actions be asked for more than it does."""
        alerting = self.monitor.alerting
        assert alerting is not None
        labels = {"alertname": "DuckDBMemoryHigh", "severity": "critical", "database": f"d{number}"}
        alert = {"status": "firing", "fingerprint": str(number), "startsAt": str(number), "labels": labels}
        alerting.receive({"version": "4", "groupKey": "g", "alerts": [alert]})

    def audit_lines(self, number: int) -> None:
        """Write an audit line."""
        self.audit.write({"event": "action", "number": number, "text": "x" * 100})

    def pools(self, number: int) -> None:
        """Show a pool of another name."""
        self.instrumentor.observe_pool(f"pool{number}", Pool())

    def silences_in_time(self, number: int) -> None:
        """Silence another alert for a minute, a second later; every tenth is asked."""
        self.silences.add(number, 60, f"Alert{number}|B" if number % 100 == 0 else f"Alert{number}")
        if number % 100 == 0:
            labels = {"alertname": f"Alert{number}"}
            self.silences.cover(Received(("g", str(number), ""), "firing", labels, {}, "", ""), number)

    def clients(self, number: int) -> None:
        """Let another client ask, and begin a session."""
        self.rates.wait(f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}")
        self.rates.count(f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}")
        self.sessions.begin(token=True, secure=False)

    def history_minutes(self, number: int) -> None:
        """Keep another minute of history, of series that come and go."""
        names = [Series("duckdb.memory.used", (("database", f"d{number // 600}-{each}"),)) for each in range(3)]
        sample = Sample(1e9 + 60 * number, 60.0 * number, dict.fromkeys(names, 1.0))
        self.history.sampled(sample)
        self.history_file.sampled(sample)


class _Alert:
    database = ""

    def __init__(self, number: int) -> None:
        self.id, self.name = str(number), f"Alert{number}"
        self.actions: list[Any] = []


NUMBERS = {
    "connections": 100_000,
    "dropped_connections": 20_000,
    "databases": 1_000,
    "threads": 10_000,
    "alerts": 100_000,
    "received_alerts": 20_000,
    "actions": 20_000,
    "audit_lines": 20_000,
    "pools": 10_000,
    "silences_in_time": 20_000,
    "clients": 20_000,
    "history_minutes": 10_000,
    "plans": 6_000,
}
"""How often each is done in its second half."""
FULL = {"databases": 150, "threads": 500, "plans": 2_200, "alerts": 2_000, "received_alerts": 2_000, "actions": 6_000}
"""How often each is done at least before, so that its bounds are reached; 2,500 for others."""
FULL["silences_in_time"] = 200
FULL["history_minutes"] = 3_000


def look(everything: Everything) -> tuple[int, int]:
    """How many objects the garbage collector knows, and the resident bytes."""
    everything.reader.get_metrics_data()
    everything.connection.execute("select 1").fetchall()  # what was put off is done now
    time.sleep(0.3)  # the monitor has taken a sample
    everything.monitor.statements(limit=1)  # and what operations left is added up, however busy the machine is
    gc.collect()
    return len(gc.get_objects()), psutil.Process().memory_info().rss


def grown(everything: Everything, name: str, share: float) -> Growth:
    """Do one thing as often as it fills its bounds, then once more its number of times."""
    do: Callable[[int], None] = getattr(everything, name)
    numbers = itertools.count()
    for _ in range(FULL.get(name, 2_500)):
        do(next(numbers))
    objects, resident = look(everything)
    for _ in range(int(NUMBERS[name] * share)):
        do(next(numbers))
    then_objects, then_resident = look(everything)
    return Growth(then_objects - objects, then_resident - resident)


def main() -> int:
    """Do all, and tell."""
    share, wanted = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0, sys.argv[2:] or list(NUMBERS)
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        everything = Everything(Path(folder))
        try:
            for name in wanted:
                began = time.monotonic()
                growth = grown(everything, name, share)
                seconds = time.monotonic() - began
                print(f"{name}: {growth.objects:+} objects, {growth.bytes / 1e6:+.1f} MB, {seconds:.1f} s", flush=True)
                if growth.objects > OBJECTS or growth.bytes > MEMORY_BYTES:
                    failures.append(name)
        finally:
            everything.close()
        sizes = {path.name: path.stat().st_size for path in Path(folder).iterdir()}
    print(json.dumps(sizes, sort_keys=True))
    failures += [name for name, size in sizes.items() if size > FILE_BYTES]
    print("grew: " + ", ".join(failures) if failures else "nothing grew")
    return 1 if failures else 0


if __name__ == "__main__":
    os.environ.pop("OTEL_DUCKDB_MONITOR", None)
    sys.exit(main())
