"""The monitor: takes samples in a thread of its own, and tells its parts of them."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from otel_duckdb.core import source
from otel_duckdb.monitor.sample import take_sample
from otel_duckdb.telemetry.section import in_section

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_duckdb.core.source import Source
    from otel_duckdb.monitor.part import Part


class Monitor:
    """Follows the DuckDB of this process, once it is instrumented, from `start()` to `stop()`.

    Attributes:
        source: The present instrumentation, None where there is none.
        parts: What the monitor is made of, in the order in which they are told.
    """

    def __init__(self, interval_seconds: float = 1.0) -> None:
        """Take a sample every `interval_seconds` seconds."""
        self.source: Source | None = None
        self.parts: list[Part] = []
        self._interval = interval_seconds
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, in a thread that does not keep the process alive; where it runs already nothing happens."""
        if self._thread is not None:
            return
        self._stopping.clear()
        source.follow(self._follow)
        self._thread = threading.Thread(target=in_section(self._run), name="otel-duckdb-monitor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; where it does not run nothing happens."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        source.unfollow(self._follow)
        self._stopping.set()
        thread.join()

    def _follow(self, present: Source | None) -> None:
        self.source = present

    def _run(self) -> None:
        for part in self.parts:
            self._guard(part, part.start)
        due = time.monotonic()
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            self._tick()
            due = max(due + self._interval, time.monotonic())  # ticks that were missed are not made up for
        for part in reversed(self.parts):
            self._guard(part, part.stop)

    def _tick(self) -> None:
        sample = take_sample()
        for part in self.parts:
            self._guard(part, part.sampled, sample)

    def _guard(self, part: Part, action: Callable[..., None], *arguments: object) -> None:
        try:
            action(*arguments)
        except Exception as fault:
            if self.source is not None:
                self.source.report(part.component, fault)
