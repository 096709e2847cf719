"""Acts on alerts, in a thread of its own, so that neither the monitor nor the program waits for an action."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.core import source
from otel_duckdb.monitor.actions.ladder import clean_up, steps
from otel_duckdb.monitor.part import Part
from otel_duckdb.telemetry.section import in_section

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_duckdb.core.source import Source
    from otel_duckdb.monitor.actions.action import Result
    from otel_duckdb.monitor.actions.runner import ActionRunner
    from otel_duckdb.monitor.alerts.alert import Alert
    from otel_duckdb.monitor.alerts.log import AlertLog

_QUEUED: Final = 50
_REST: Final = 60.0
"""Seconds before the same actions answer the same alert again."""
_STOPPING: Final = 2.0


class Responder(Part):
    """Does what an alert asks for, as far as it is switched on, and writes on the alert what came of it."""

    component = "actions"

    def __init__(
        self,
        runner: ActionRunner,
        log: Callable[[], AlertLog],
        emit: Callable[[str, Any], None] = lambda _event, _payload: None,
        *,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        """Act by `runner`; `leads` tells whether this process is the one of its group that acts."""
        self.runner = runner
        self._log = log
        self._emit = emit
        self._leads = leads
        self._queue: queue.Queue[Alert | None] = queue.Queue(_QUEUED)
        self._rested: dict[tuple[str, str, int], float] = {}
        self._thread: threading.Thread | None = None
        self._source: Source | None = None

    def start(self) -> None:
        """Begin to act."""
        self._queue = queue.Queue(_QUEUED)
        source.follow(self._follow)
        self._thread = threading.Thread(target=in_section(self._work), name="otel-duckdb-actions", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Interrupt what runs, and end."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self.unfollow()
        while True:
            try:
                self._queue.get_nowait()
            except queue.Empty:
                break
        self._queue.put(None)
        self.runner.stop()
        thread.join(_STOPPING)

    def unfollow(self) -> None:
        """Hear of operations no more."""
        source.unfollow(self._follow)
        self._follow(None)

    def alerted(self, alert: Alert, *, tell: bool) -> None:
        """Let the alert be acted on; not if it is silenced, for whoever silenced it knows."""
        del tell
        if alert.silenced or not self._leads() or not any(name in self.runner.allowed for name in steps(alert)):
            return
        key, now = (alert.name, alert.database, int(alert.level)), time.monotonic()
        if now < self._rested.get(key, 0.0):
            return
        self._rested = {one: until for one, until in self._rested.items() if until > now}
        self._rested[key] = now + _REST
        try:
            self._queue.put_nowait(alert)
        except queue.Full as full:
            if self._source is not None:
                self._source.report(self.component, full)

    def ended(self, alert: Alert) -> None:
        """An alert that is over asks for nothing."""

    def clean_up(self, *, by: str, emergency: bool = False, dry_run: bool = False) -> list[Result]:
        """Climb the ladder by hand, in the caller's thread."""
        results = clean_up(self.runner, by=by, emergency=emergency, dry_run=dry_run)
        if not dry_run:
            self._tell(by, results, emergency=emergency)
        return results

    def _follow(self, present: Source | None) -> None:
        if self._source is not None:
            self._source.forget(self.runner.limits)
        self._source = self.runner.source = present
        if present is not None:
            present.listen(self.runner.limits)

    def _work(self) -> None:
        while (alert := self._queue.get()) is not None:
            try:
                self._act(alert)
            except Exception as fault:
                if self._source is not None:
                    self._source.report(self.component, fault)

    def _act(self, alert: Alert) -> None:
        results: list[Result] = []
        for name in steps(alert):
            if alert.ended is not None:
                break
            if name in self.runner.allowed:
                done = self.runner.run(name, alert.database or None, by=alert.id)
                for result in done:
                    self._log().acted(alert, result.as_json())
                results += done
        self._tell(alert.id, results, emergency=alert.level.name == "EMERGENCY")

    def _tell(self, by: str, results: list[Result], *, emergency: bool) -> None:
        actions = [result.as_json() for result in results]
        self._emit("cleanup", {"emergency": emergency, "by": by, "actions": actions})
