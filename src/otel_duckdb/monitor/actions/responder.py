"""Acts on alerts, in a thread of its own, so that neither the monitor nor the program waits for an action."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb import rules
from otel_duckdb.core import source
from otel_duckdb.monitor.actions.ladder import clean_up, steps, steps_about
from otel_duckdb.monitor.alerts.level import Level
from otel_duckdb.monitor.alerts.rule import subject_of
from otel_duckdb.monitor.part import Part
from otel_duckdb.telemetry.section import in_section

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_duckdb.core.source import Source
    from otel_duckdb.monitor.actions.action import Result
    from otel_duckdb.monitor.actions.runner import ActionRunner
    from otel_duckdb.monitor.alerts.alert import Alert
    from otel_duckdb.monitor.alerts.alertmanager import Received
    from otel_duckdb.monitor.alerts.log import AlertLog

_QUEUED: Final = 50
_REST: Final = 60.0
"""Seconds before the same actions answer the same alert again."""
_STOPPING: Final = 2.0
_EMERGENCY: Final = Level.EMERGENCY.rank
_RESTING: Final = 1_000
"""How many are remembered of what was asked for; an Alertmanager may name databases without end."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """Actions that an alert asks for, and where what came of them is noted."""

    name: str
    database: str
    level: int
    steps: tuple[str, ...]
    by: str
    emergency: bool
    note: Callable[[dict[str, Any]], None]
    is_over: Callable[[], bool]


@cache
def _severities() -> dict[str, str]:
    """The severity of each alert of the Prometheus rules, by its name."""
    return {alert.name: alert.severity.value for alert in rules.alerts(None)}


def _is_over(alert: Alert) -> bool:
    return alert.ended is not None


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
        self._queue: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self._rested: dict[tuple[str, str, int], float] = {}
        self._thread: threading.Thread | None = None
        self._source: Source | None = None

    def start(self) -> None:
        """Begin to act."""
        self._queue = queue.SimpleQueue()
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
        if not alert.silenced:
            note = partial(self._log().acted, alert)
            over = partial(_is_over, alert)
            level = alert.level.rank
            self._ask(
                _Asked(alert.name, alert.database, level, steps(alert), alert.id, level == _EMERGENCY, note, over)
            )

    def resumed(self, alert: Alert) -> None:
        """Let an alert be acted on that goes on after its silence; one that was acted on rests."""
        self.alerted(alert, tell=True)

    def received(self, alert: Received) -> None:
        """Let an alert that an Alertmanager told of be acted on, as one that was judged here; no alert of others."""
        severity = alert.labels.get("severity", "")
        emergency = severity == Level.EMERGENCY.word
        if not emergency and severity not in {Level.CRITICAL.word, _severities().get(alert.name)}:
            return
        wanted = steps_about(subject_of(alert.name), emergency=emergency) if alert.name in _severities() else ()
        by, level = f"alertmanager {alert.key[1]}", _EMERGENCY if emergency else 0
        note = alert.actions.append
        self._ask(_Asked(alert.name, alert.database, level, wanted, by, emergency, note, lambda: False))

    def _ask(self, asked: _Asked) -> None:
        if not self._leads() or not any(name in self.runner.allowed for name in asked.steps):
            return
        key, now = (asked.name, asked.database, asked.level), time.monotonic()
        if now < self._rested.get(key, 0.0):
            return
        self._rested[key] = now + _REST
        if len(self._rested) > _RESTING:
            resting = [(one, until) for one, until in tuple(self._rested.items()) if until > now]
            self._rested = dict(resting[-_RESTING // 2 :])
        if self._queue.qsize() < _QUEUED:
            self._queue.put(asked)
        elif self._source is not None:
            self._source.report(self.component, queue.Full())

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
        while (asked := self._queue.get()) is not None:
            try:
                self._act(asked)
            except Exception as fault:
                if self._source is not None:
                    self._source.report(self.component, fault)

    def _act(self, asked: _Asked) -> None:
        results: list[Result] = []
        for name in asked.steps:
            if asked.is_over():
                break
            if name in self.runner.allowed:
                done = self.runner.run(name, asked.database or None, by=asked.by)
                for result in done:
                    asked.note(result.as_json())
                results += done
        self._tell(asked.by, results, emergency=asked.emergency)

    def _tell(self, by: str, results: list[Result], *, emergency: bool) -> None:
        actions = [result.as_json() for result in results]
        self._emit("cleanup", {"emergency": emergency, "by": by, "actions": actions})
