"""Gathers alerts into few messages, and sends them in a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.core import source
from otel_duckdb.monitor.notification.senders import Undeliverable
from otel_duckdb.monitor.part import Part
from otel_duckdb.monitor.times import iso
from otel_duckdb.telemetry.locks import make_event
from otel_duckdb.telemetry.section import in_section

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_duckdb.core.source import Source
    from otel_duckdb.monitor.alerts.alert import Alert
    from otel_duckdb.monitor.alerts.log import AlertLog
    from otel_duckdb.monitor.notification.senders import Sender

_QUEUED: Final = 100
_WAITS: Final = (1.0, 5.0, 30.0, 120.0)
"""Seconds between attempts."""
_STOPPING: Final = 3.0
_LARGEST: Final = 20
"""Alerts in one message."""
_logger: Final = logging.getLogger("otel_duckdb")


class Notifier(Part):
    """Tells every sender of alerts that began, got worse, or ended after they were told.

    What comes within `batch_seconds` of the first is one message, unless `batch_size` alerts are there sooner; an
    emergency goes at once.
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
    ) -> None:
        """Send by `senders`, and write the result on each alert, into `log`."""
        self.senders = tuple(senders)
        self._log = log
        self._batch_seconds = batch_seconds
        self._batch_size = batch_size
        self._waits = tuple(waits)
        self._changed = threading.Condition()
        self._queue: deque[Alert] = deque()
        self._since = 0.0
        self._urgent = False
        self._stopping = True
        self._stopped = make_event()
        self._sending: tuple[Alert, ...] = ()
        self._failed: list[Alert] = []
        self._told: set[str] = set()
        self._thread: threading.Thread | None = None
        self._source: Source | None = None

    def start(self) -> None:
        """Begin to send."""
        self._changed = threading.Condition()
        self._stopping, self._stopped = False, make_event()
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
        self._stopped.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(_STOPPING)
            self._tell_of_what_is_left()
        self.unfollow()

    def _tell_of_what_is_left(self) -> None:
        """The end waits for nobody: what was not sent by now is told here, once."""
        left = [*self._failed, *self._sending, *self._queue]
        self._failed = []
        if left:
            names = ", ".join(dict.fromkeys(f"{alert.name} ({alert.level.word})" for alert in left))
            _logger.warning("otel_duckdb: the monitor ends, and these alerts could not be told any more: %s", names)

    def unfollow(self) -> None:
        """Hear no more of what is instrumented."""
        source.unfollow(self._follow)

    def alerted(self, alert: Alert, *, tell: bool) -> None:
        """Let an alert be told."""
        if tell and self.senders:
            self._told.add(alert.id)
            self._put(alert, urgent=alert.level.name == "EMERGENCY")

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
        while batch := self._next():
            self._sending = batch
            for sender in self.senders:
                self._send(sender, batch)
            self._sending = ()

    def _next(self) -> tuple[Alert, ...]:
        with self._changed:
            while not self._stopping:
                left = self._since + self._batch_seconds - time.monotonic()
                if self._queue and (left <= 0 or self._urgent or len(self._queue) >= self._batch_size):
                    break
                self._changed.wait(left if self._queue else None)
            batch = [self._queue.popleft() for _ in range(min(_LARGEST, len(self._queue)))]
            self._since, self._urgent = time.monotonic(), False
            return tuple(batch)

    def _send(self, sender: Sender, batch: tuple[Alert, ...]) -> None:
        for attempt, wait in enumerate((*self._waits, None), 1):
            try:
                sender.send(batch)
            except Exception as error:
                final = wait is None or isinstance(error, Undeliverable) or self._stopping
                # An error of a library may hold the address, and with it a secret.
                why = str(error) if isinstance(error, Undeliverable) else type(error).__name__
                self._note(batch, sender.name, "failed" if final else "trying again", attempt, why)
                self._report(error)
                if final:
                    self._failed += batch if self._stopping else ()
                    return
                self._stopped.wait(wait)
            else:
                self._note(batch, sender.name, "sent", attempt, "")
                return

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
