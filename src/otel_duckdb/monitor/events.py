"""Handlers of the user's: called in a thread of their own, so that one that hangs or raises harms nothing else."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.telemetry.locks import make_reentrant_lock
from otel_duckdb.telemetry.section import in_section

if TYPE_CHECKING:
    from collections.abc import Callable

    Handler = Callable[[Any], Any]

EVENTS: Final = ("alert", "check", "cleanup", "issue", "updated")
_WAITING: Final = 1000
_END_SECONDS: Final = 2.0
_PATIENCE_SECONDS: Final = 60.0
_logger: Final = logging.getLogger("otel_duckdb")


class Events:
    """Who wants to know of what, and the thread that tells them.

    Attributes:
        dropped: Events that were not told, because the handlers were too slow for them.
    """

    def __init__(self, report: Callable[[str, BaseException], None]) -> None:
        """Count what a handler raises by `report`."""
        self.dropped = 0
        self._report = report
        self._handlers: list[tuple[str, str | None, Handler]] = []
        self._waiting: SimpleQueue[tuple[str, Any] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = make_reentrant_lock()
        self._busy_since: float | None = None

    def on(self, event: str, handler: Handler, name: str | None = None) -> None:
        """Call `handler` with what each `event` carries; with a name only for alerts of that name.

        The name is the alert's, such as `DuckDBMemoryHigh`, or one with its level, such as `duckdb_memory_critical`.

        Raises:
            ValueError: there is no such event.
            TypeError: the handler cannot be called.
        """
        if event not in EVENTS:
            raise ValueError(f"event is {event!r}; allowed is {', '.join(EVENTS)}")
        if not callable(handler):
            raise TypeError(f"handler is {handler!r}; allowed is a function that takes one argument, async or not")
        self._handlers.append((event, name, handler))

    def off(self, handler: Handler) -> None:
        """Call `handler` no more."""
        self._handlers = [each for each in self._handlers if each[2] != handler]

    def wanted(self, event: str) -> bool:
        """Whether anybody wants to know of `event`."""
        return any(each == event for each, _, _ in self._handlers)

    def emit(self, event: str, payload: Any) -> None:
        """Hand an event over to its handlers, without waiting for them."""
        if not self.wanted(event):
            return
        with self._lock:
            if self._thread is None or not self._thread.is_alive() or self._hangs():
                self._busy_since = None
                self._thread = threading.Thread(target=in_section(self._run), name="otel-duckdb-events", daemon=True)
                self._thread.start()
        if self._waiting.qsize() < _WAITING:
            self._waiting.put((event, payload))
        else:
            self.dropped += 1

    def stop(self) -> None:
        """Tell what is left, and wait for that for two seconds at most."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._waiting.qsize() >= _WAITING:
            return  # its handler hangs: the thread ends with the process
        self._waiting.put(None)
        if thread is not threading.current_thread():
            thread.join(_END_SECONDS)
            if thread.is_alive():
                _logger.warning("otel_duckdb: the monitor ends, and a handler of its events has not returned")

    def forked(self) -> None:
        """In a forked child: the thread is not here, and what waits is the parent's to tell."""
        self._waiting = SimpleQueue()
        self._thread = self._busy_since = None

    def _hangs(self) -> bool:
        """Whether a handler has been at work for so long that the others go on without it."""
        hangs = self._busy_since is not None and time.monotonic() - self._busy_since > _PATIENCE_SECONDS
        if hangs:
            self._report("handler", TimeoutError("a handler hangs"))
        return hangs

    def _run(self) -> None:
        me = threading.current_thread()
        while self._thread in {me, None} and (waiting := self._waiting.get()) is not None:
            event, payload = waiting
            for wanted, name, handler in self._handlers.copy():
                if wanted == event and (name is None or name in getattr(payload, "aliases", ())):
                    self._busy_since = time.monotonic()
                    self._call(handler, payload)
                    if self._thread is not me and self._thread is not None:
                        return  # it hung, and another thread goes on
                    self._busy_since = None

    def _call(self, handler: Handler, payload: Any) -> None:
        try:
            result = handler(payload)
            if inspect.isawaitable(result):
                asyncio.run(_awaited(result))
        except BaseException as fault:  # sys.exit() in a handler ends nothing: others wait for their turn
            self._report("handler", fault)


async def _awaited(awaitable: Any) -> None:
    await awaitable
