"""Gathers alerts into few messages, and sends them in a thread of its own."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from math import inf
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.core import source
from otel_duckdb.monitor.notification.senders import RefusedDeliveryError, cause
from otel_duckdb.monitor.part import Part
from otel_duckdb.monitor.times import iso
from otel_duckdb.telemetry.section import in_section

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from otel_duckdb.core.source import Source
    from otel_duckdb.monitor.alerts.alert import Alert
    from otel_duckdb.monitor.alerts.log import AlertLog
    from otel_duckdb.monitor.notification.senders import Sender

_QUEUED: Final = 100
_WAITS: Final = (1.0, 5.0, 30.0, 120.0)
"""Seconds between attempts."""
_STOPPING: Final = 3.0
_CHECKED_AFTER: Final = 5.0
"""Seconds after the start when the senders are asked whether they can send: none of it slows a program's start."""
_IMPORTED_IN: Final = os.getpid()
_LARGEST: Final = 20
"""Alerts in one message."""
_logger: Final = logging.getLogger("otel_duckdb")


def _names(alerts: Iterable[Alert]) -> str:
    return ", ".join(dict.fromkeys(f"{alert.name} ({alert.level.word})" for alert in alerts))


class _Lane:
    """A sender, and the messages that it has still to send, the first of which may have failed before."""

    def __init__(self, sender: Sender) -> None:
        self.sender = sender
        self.messages: deque[tuple[Alert, ...]] = deque()
        self.failures = 0
        self.due = 0.0


class Notifier(Part):
    """Tells every sender of alerts that began, got worse, or ended after they were told.

    What comes within `batch_seconds` of the first is one message, unless `batch_size` alerts are there sooner; an
    emergency goes at once. A sender that fails keeps no other waiting for longer than one attempt.
    """

    component = "notification"

    def __init__(
        self,
        senders: Sequence[Sender],
        log: Callable[[], AlertLog],
        *,
        batch_seconds: float = 5.0,
        batch_size: int = 5,
        waits: Sequence[float] = _WAITS,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        """Send by `senders`, and write the result on each alert, into `log`."""
        self.senders = tuple(senders)
        self._leads = leads
        self._log = log
        self._batch_seconds = batch_seconds
        self._batch_size = batch_size
        self._waits = tuple(waits)
        self._changed = threading.Condition()
        self._queue: deque[Alert] = deque()
        self._since = 0.0
        self._urgent = False
        self._stopping = True
        self._lanes: tuple[_Lane, ...] = ()
        self._failed: list[Alert] = []
        self._told: set[str] = set()
        self._thread: threading.Thread | None = None
        self._source: Source | None = None

    def start(self) -> None:
        """Begin to send."""
        self._changed = threading.Condition()
        self._stopping = False
        self._lanes = tuple(map(_Lane, self.senders))
        source.follow(self._follow)
        if self.senders:
            self._thread = threading.Thread(target=in_section(self._work), name="otel-duckdb-notifier", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Send what waits, without trying again, for a few seconds at most, and end."""
        if self._stopping:
            return
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(_STOPPING)
            self._tell_of_what_is_left()
        self.unfollow()

    def _tell_of_what_is_left(self) -> None:
        """The end waits for nobody: what was not sent by now is told here, once."""
        left = [*self._failed, *self._queue]
        for lane in self._lanes:
            left += [alert for message in tuple(lane.messages) for alert in message]
        self._failed = []
        if left:
            _logger.warning(
                "otel_duckdb: the monitor ends, and these alerts could not be told any more: %s", _names(left)
            )

    def unfollow(self) -> None:
        """Hear no more of what is instrumented."""
        source.unfollow(self._follow)

    def alerted(self, alert: Alert, *, tell: bool) -> None:
        """Let an alert be told."""
        if tell and self.senders:
            self._told.add(alert.id)
            self._put(alert, urgent=alert.level.name == "EMERGENCY")

    def resumed(self, alert: Alert) -> None:
        """Let an alert be told that goes on."""
        self.alerted(alert, tell=True)

    def ended(self, alert: Alert) -> None:
        """Let the end of an alert be told, if its beginning was."""
        if alert.id in self._told:
            self._told.discard(alert.id)
            if not alert.silenced:
                self._put(alert, urgent=False)

    def _put(self, alert: Alert, *, urgent: bool) -> None:
        with self._changed:
            if alert in self._queue:
                self._urgent = self._urgent or urgent
            elif len(self._queue) < _QUEUED:
                self._since = self._since if self._queue else time.monotonic()
                self._urgent = self._urgent or urgent
                self._queue.append(alert)
            else:
                self._note((alert,), "queue", "dropped", 0, "too many notifications wait")
                self._report(OverflowError("too many notifications wait"))
            self._changed.notify_all()

    def _work(self) -> None:
        check_at = time.monotonic() + _CHECKED_AFTER
        ending = False
        while not ending:
            ending = self._wait(check_at)
            if check_at <= time.monotonic() and not ending:
                check_at = inf
                self._check()
            while batch := self._next():
                for lane in self._lanes:
                    self._give(lane, batch)
            for lane in sorted(self._lanes, key=lambda each: each.failures):
                while lane.messages and (ending or lane.due <= time.monotonic()):
                    self._send(lane)

    def _wait(self, check_at: float) -> bool:
        """Wait until there is something to do; whether all ends."""
        with self._changed:
            while not self._stopping:
                now = time.monotonic()
                due = min((lane.due for lane in self._lanes if lane.messages), default=inf)
                next_at = min(due, check_at, self._ready_at())
                if next_at <= now:
                    break
                self._changed.wait(next_at - now if next_at < inf else None)
            return self._stopping

    def _ready_at(self) -> float:
        """When what waits is a message."""
        if not self._queue:
            return inf
        at_once = self._stopping or self._urgent or len(self._queue) >= self._batch_size
        return 0.0 if at_once else self._since + self._batch_seconds

    def _next(self) -> tuple[Alert, ...]:
        """Take the next message; empty where none is ready."""
        with self._changed:
            if self._ready_at() > time.monotonic():
                return ()
            batch = [self._queue.popleft() for _ in range(min(_LARGEST, len(self._queue)))]
            self._since, self._urgent = time.monotonic(), False
            return tuple(batch)

    def _give(self, lane: _Lane, batch: tuple[Alert, ...]) -> None:
        if len(lane.messages) < _QUEUED:
            lane.messages.append(batch)
        else:
            self._note(batch, lane.sender.name, "dropped", 0, "too many notifications wait")
            self._report(OverflowError("too many notifications wait"))

    def _send(self, lane: _Lane) -> None:
        """Send a sender's first message, or note when it is tried again."""
        batch, attempt = lane.messages[0], lane.failures + 1
        try:
            lane.sender.send(batch)
        except Exception as error:
            final = lane.failures == len(self._waits) or isinstance(error, RefusedDeliveryError) or self._stopping
            why = cause(error)
            self._note(batch, lane.sender.name, "failed" if final else "trying again", attempt, why)
            self._report(error)
            if not final:
                lane.due = time.monotonic() + self._waits[lane.failures]
                lane.failures += 1
                return
            if self._stopping:
                self._failed += batch
            else:
                _logger.warning("otel_duckdb: %s was not told of %s: %s", lane.sender.name, _names(batch), why)
        else:
            self._note(batch, lane.sender.name, "sent", attempt, "")
        lane.messages.popleft()
        lane.failures, lane.due = 0, 0.0

    def _check(self) -> None:
        """Tell now which senders cannot send, and not at their first alert.

        In a group the one that leads does so, and for forked workers their parent: it takes time and memory.
        """
        for sender in self.senders if self._leads() and os.getpid() == _IMPORTED_IN else ():
            try:
                fault = sender.fault()
            except Exception as error:  # what cannot be checked may be sent all the same
                self._report(error)
                continue
            if fault is not None:
                _logger.warning("otel_duckdb: %s will not be told of alerts: %s", sender.name, fault)

    def _note(self, batch: Sequence[Alert], to: str, result: str, attempt: int, error: str) -> None:
        note: dict[str, Any] = {"to": to, "result": result, "attempt": attempt, "time": iso(time.time())}
        if error:
            note["error"] = error
        for alert in batch:
            self._log().told(alert, note)

    def _report(self, error: BaseException) -> None:
        if self._source is not None:
            self._source.report(self.component, error)

    def _follow(self, present: Source | None) -> None:
        self._source = present
