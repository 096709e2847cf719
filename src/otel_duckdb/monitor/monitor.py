"""The monitor: takes samples in a thread of its own, and tells its parts of them."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from otel_duckdb.core import source
from otel_duckdb.core.forked import hold_for_ever, tell_of_forks
from otel_duckdb.installation import version
from otel_duckdb.monitor.about import cost, settings_of
from otel_duckdb.monitor.alert_methods import AlertMethods
from otel_duckdb.monitor.alerting import alerting
from otel_duckdb.monitor.ended import EndedOperations
from otel_duckdb.monitor.events import Events
from otel_duckdb.monitor.exports import make_exporter, write_metrics
from otel_duckdb.monitor.history import History
from otel_duckdb.monitor.history.file import HistoryFile
from otel_duckdb.monitor.history.tier import RESOLUTIONS
from otel_duckdb.monitor.report import make_report
from otel_duckdb.monitor.running import Running
from otel_duckdb.monitor.sample import take_sample
from otel_duckdb.monitor.serving import serve
from otel_duckdb.monitor.settings import MonitorSettings
from otel_duckdb.monitor.statements import Statements
from otel_duckdb.monitor.status import Status
from otel_duckdb.monitor.storage import Storage
from otel_duckdb.monitor.sync import SyncProgress
from otel_duckdb.monitor.times import iso
from otel_duckdb.monitor.traces import Traces
from otel_duckdb.telemetry.locks import make_event
from otel_duckdb.telemetry.section import in_section
from otel_duckdb.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from types import TracebackType

    from otel_duckdb.core.source import Source
    from otel_duckdb.monitor.api import ApiServer
    from otel_duckdb.monitor.events import Handler
    from otel_duckdb.monitor.part import Part
    from otel_duckdb.monitor.sample import Sample

_STOP_SECONDS = 5.0
_logger = logging.getLogger("otel_duckdb")


class CancellingIsOffError(PermissionError):
    """An operation was to be cancelled, and that is not switched on."""


class Monitor(AlertMethods):
    """Follows the DuckDB of this process, once it is instrumented, from `start()` to `stop()`.

        with Monitor(interval_ms=1000) as monitor:
            ...
            monitor.status()

    It needs no SDK of OpenTelemetry. A forked child starts with a monitor of its own, without the parent's history.
    `Monitor()` takes every option of `otel_duckdb.monitor.settings.MonitorSettings`.

    Attributes:
        settings: The options.
        source: The present instrumentation, None where there is none.
        parts: What the monitor is made of, in the order in which they are told.
        alerting: The alerts and what follows them, None where they are switched off.
        events: The handlers of events.
    """

    def __init__(self, **options: Any) -> None:
        """Read the options.

        Raises:
            SettingError: an option is unknown or its value is not allowed.
        """
        self.settings = MonitorSettings.load(options)
        self.source: Source | None = None
        self.events = Events(self.report)
        self._make()
        if self._exporter is not None:
            self.events.on("alert", self._export_at_alert)
        tell_of_forks(self)

    _in_child = False

    def _make(self) -> None:
        """Make the parts, which have seen nothing yet."""
        light = self.settings.light
        self._running = Running()
        self._ended = EndedOperations(keeps_parents=not light)
        self._statements, self._traces = Statements(self._ended, self.settings.statements), Traces(self._ended)
        self._ended.followers = (self._statements,) if light else (self._statements, self._traces)
        self._status = Status()
        self._sync = SyncProgress()
        self._storage = Storage()
        self._history = History(self.settings.series, RESOLUTIONS[-1:] if light else RESOLUTIONS)
        self.parts: list[Part] = [self._traces, self._history, self._status, self._sync]
        if self.settings.history_file and not self._in_child:
            self.parts.append(HistoryFile(self._history, self.settings.history_file))
        self.alerting = None
        if self.settings.alerting:
            self.alerting = alerting(self.settings, self.events.emit, self._running.find, self._statements.slower)
            self.parts += self.alerting.parts
        self._exporter = make_exporter(self.settings, self.metrics)
        if self._exporter is not None:
            self.parts.append(self._exporter)
        self._stopping = make_event()
        self._thread: threading.Thread | None = None
        self._api: ApiServer | None = None
        self._started: float | None = None

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def start(self) -> None:
        """Begin, in a thread that does not keep the process alive; where it runs already nothing happens."""
        if self._thread is not None:
            return
        if not self.settings.monitoring:
            _logger.warning("otel_duckdb: the monitor does not run, for the feature monitoring is off")
            return
        self._started = time.time()
        self._stopping = make_event()
        source.follow(self._follow)
        self._thread = threading.Thread(
            target=in_section(self._run), args=(self._stopping,), name="otel-duckdb-monitor", daemon=True
        )
        self._thread.start()
        self._api = serve(self, self.settings)
        atexit.unregister(self.stop)
        atexit.register(self.stop)  # what waits to be told is told, or said not to be, before the SDK shuts down

    @property
    def port(self) -> int | None:
        """The port of the API, None where it does not run."""
        return None if self._api is None else self._api.port

    @property
    def address(self) -> str | None:
        """Where a browser finds the page, None where the API does not run."""
        return None if self._api is None else self._api.address

    @property
    def token(self) -> str | None:
        """What lets the user of this process act through the API, None where it does not run."""
        return None if self._api is None else self._api.token

    def stop(self) -> None:
        """End; where it does not run nothing happens. What was seen can still be asked for."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        atexit.unregister(self.stop)
        api, self._api = self._api, None
        if api is not None:
            api.stop()
        source.unfollow(self._follow)
        self._follow(None)
        self._stopping.set()
        if thread is not threading.current_thread():
            thread.join(_STOP_SECONDS)
        self.events.stop()

    def on(self, event: str, handler: Handler, name: str | None = None) -> None:
        """Call `handler` with what each `event` carries, in a thread of its own; it may be async.

        `alert` carries an alert, with a `name` only those of that name; `check` and `updated` carry `status()` after
        each sample; `issue` carries a performance issue, `cleanup` what a clean-up did.

        Raises:
            ValueError: there is no such event.
            TypeError: the handler cannot be called.
        """
        self.events.on(event, handler, name)

    def status(self) -> dict[str, Any]:
        """Return the present state; the shape is that of `/api/status`."""
        metrics = self._status.metrics()
        began = None if self._started is None else iso(self._started)
        summary = self._summary(began)
        if self.source is None:
            why = "instrumented in this process" if "duckdb" in sys.modules else "imported in this process yet"
            summary["reasons"].append(f"DuckDB is not {why}")
        return {
            "summary": summary,
            "metrics": metrics,
            "databases": self._status.databases(),
            "process": {"program": _program(), "pid": os.getpid(), "version": version()},
            "monitor": {
                "running": self._thread is not None,
                "started": began,
                "interval_seconds": self.settings.interval_seconds,
                "port": self.port,
                "cancel": self.settings.cancel,
                "alerting": self.alerting is not None,
                "trace_url": self.settings.trace_url,
                "series_left_out": self._history.left_out,
                "series_dropped": self._history.dropped,
                "events_dropped": self.events.dropped,
            },
        }

    def about(self) -> dict[str, Any]:
        """Return the options, secrets hidden, and what the monitor costs and keeps."""
        running = 0.0 if self._started is None else time.time() - self._started
        kept = {"trace_bytes": self._traces.size, "series": self._history.count, "statements": self._statements.count}
        return {"settings": settings_of(self.settings), "cost": cost(running) | kept}

    def statements(self, sort: str = "total", limit: int = 50, database: str | None = None) -> dict[str, Any]:
        """Return the statistics of the statement shapes, the largest by `sort` first.

        Raises:
            ValueError: there is no such sort key.
        """
        return self._statements.as_json(sort, limit, database)

    def traces(
        self,
        min_ms: float | None = None,
        name: str | None = None,
        error: bool | None = None,
        limit: int = 50,
        sort: str = "start",
    ) -> list[dict[str, Any]]:
        """Return the kept traces that last `min_ms`, have `name` in a name or a text, and failed or not; newest first.

        Raises:
            ValueError: there is no such sort key; allowed are `start`, `duration` and `duckdb`.
        """
        return self._traces.as_json(min_ms, name, error, limit, sort)

    def trace(self, trace_id: str) -> dict[str, Any]:
        """Return a kept trace with its spans and, where DuckDB profiled them, their operators.

        Raises:
            NoSuchTraceError: it is not kept; a LookupError.
        """
        return self._traces.trace(trace_id)

    def running(self) -> dict[str, Any]:
        """Return what runs at the moment, which transactions are open, and who waits for a connection of a pool."""
        present = self.source
        if present is None:
            return self._running.as_json(())
        return self._running.as_json(present.live_connections(), present.pool_requests())

    def cancel(self, operation_id: int) -> dict[str, Any]:
        """Interrupt a running operation, if that is switched on, and return what it was.

        The transaction it belongs to is aborted: what it wrote is lost.

        Raises:
            CancellingIsOffError: the option `cancel` is off.
            NotRunningError: no such operation runs at the moment.
        """
        if not self.settings.cancel:
            raise CancellingIsOffError("cancelling is off; OTEL_DUCKDB_MONITOR_CANCEL=true switches it on")
        return self._running.cancel(operation_id)

    def sample(self) -> Sample | None:
        """Return the newest sample, None where none was taken yet."""
        return self._status.sample

    def sync(self) -> dict[str, Any]:
        """Return how far each table is that this process copies: what waits, its rate, and what failed last."""
        return self._sync.as_json()

    def storage(self, database: str | None = None, *, tables: bool = False) -> dict[str, Any]:
        """Return files of the live databases, or of that one; with `tables` also their tables, the largest first.

        Raises:
            ValueError: no database of that name is open.
        """
        databases = () if self.source is None else self.source.live_databases()
        return self._storage.look(databases, database, tables=tables)

    def metrics(
        self,
        names: Collection[str] = (),
        start: float | None = None,
        end: float | None = None,
        step: float | None = None,
    ) -> dict[str, Any]:
        """Return the history of these metrics, of all if none is named, by default of the last hour.

        `start` and `end` are seconds since 1970, `step` is in seconds.

        Raises:
            ValueError: the range or the step makes no sense.
        """
        return self._history.as_json(names, start, end, step)

    def make_report(self, hours: float = 24.0) -> dict[str, Any]:
        """Return what is known of the last `hours`; `otel_duckdb.monitor.report.render` makes a page of it.

        Raises:
            ValueError: `hours` is not above 0, or more than a year.
        """
        return make_report(self, hours)

    def export_metrics(self, path: str | Path, shape: str | None = None) -> None:
        """Write the history of the last day to a file that this user alone can read.

        `shape` is `json` or `csv`; without it `csv` where the file's name ends so, else `json`.

        Raises:
            ValueError: there is no such format.
            OSError: the file cannot be written; what was there before is still there.
        """
        now = time.time()
        write_metrics(path, self.metrics((), now - 86_400, now), shape)

    def _export_at_alert(self, alert: Any) -> None:
        if self._exporter is not None:
            self._exporter.alerted(alert)

    def report(self, component: str, error: BaseException) -> None:
        """Count a fault of the monitor in `otel_duckdb_internal_errors`."""
        if self.source is not None:
            self.source.report(component, error)

    def _follow(self, present: Source | None) -> None:
        previous, self.source = self.source, present
        if previous is not None:
            previous.forget(self._running, self._ended)
            self._running.clear()
        if present is not None:
            present.listen(self._running, self._ended)

    def _run(self, stopping: threading.Event) -> None:
        for part in self.parts:
            self._guard(part, part.start)
        due = time.monotonic()
        while not stopping.wait(max(0.0, due - time.monotonic())):
            self._tick()
            due = max(due + self.settings.interval_seconds, time.monotonic())  # what was missed is not made up for
        for part in reversed(self.parts):
            self._guard(part, part.stop)

    def _tick(self) -> None:
        try:
            sample = take_sample({**self._statements.latency(), **dict(self._sync.points())})
        except Exception as fault:
            self.report("monitor", fault)
            return
        for part in self.parts:
            self._guard(part, part.sampled, sample)
        api = self._api
        if api is not None:
            api.sampled()
        status = None
        for event in ("check", "updated"):
            if self.events.wanted(event):
                status = status or self.status()
                self.events.emit(event, status)

    def _guard(self, part: Part, action: Callable[..., None], *arguments: object) -> None:
        try:
            action(*arguments)
        except Exception as fault:
            self.report(part.component, fault)

    def forked(self) -> None:
        """In a forked child: the thread that ran is not here, and what it saw is the parent's."""
        if self._thread is None:
            return
        self._thread = None
        source.unfollow(self._follow)
        self._follow(None)
        self.events.forked()
        if self._api is not None:
            self._api.forget()
        if self.alerting is not None:
            self.alerting.forked()
        hold_for_ever(self.parts)  # SQLite's files are the parent's, and must not be closed here
        self._in_child = True
        self._make()
        self.start()


def _program() -> str:
    return printable(Path(sys.argv[0]).name) if sys.argv and sys.argv[0] else "python"
