"""Measurements that are kept, and recorded together: the same work, done less often and in warmer caches.

Whoever needs every measurement has them recorded first: a collection, a fork, the end of the instrumentation or of the
process. So a reader sees what it would see without this, and no total ever lacks any.
"""

from __future__ import annotations

import os
import weakref
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from otel_duckdb.telemetry.counter import NO_SPAN
from otel_duckdb.telemetry.locks import make_reentrant_lock
from otel_duckdb.telemetry.section import in_section, inside_the_sdk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.context import Context
    from opentelemetry.util.types import AttributeValue

    Report = Callable[[str, BaseException], None]
    Attributes = Mapping[str, AttributeValue]

_PATIENCE_SECONDS: Final = 1.0
"""How long a collection waits for another thread that is recording: it may itself wait for this one."""


class Recorder(Protocol):
    """A histogram of OpenTelemetry, or one whose measurements are kept first."""

    def record(self, amount: float, attributes: Attributes, context: Context | None) -> None:
        """Take a measurement; an exemplar of it leads to the span of `context`."""


class KeptHistogram:
    """Keeps the measurements of one histogram; the one that makes the batch full has those of all recorded."""

    __slots__ = ("_full", "_highest", "_histogram", "kept", "size")

    def __init__(self, histogram: Recorder, size: int, full: Callable[[], None]) -> None:
        """Call `full` when `size` measurements are kept."""
        self._histogram = histogram
        self.size = size
        self._full = full
        self._highest = -1.0
        self.kept: deque[tuple[float, Attributes, Context | None]] = deque()

    def record(self, amount: float, attributes: Attributes, context: Context | None) -> None:
        """Keep a measurement; `attributes` must not change any more.

        A bucket of a histogram has one exemplar, the last it is offered. To offer each takes a quarter of what a record
        costs; of a batch those are offered that are higher than all before them, so that the slowest is among them.
        """
        if amount > self._highest:
            self._highest = amount
        else:
            context = NO_SPAN
        self.kept.append((amount, attributes, context))
        if len(self.kept) >= self.size:
            self._full()

    def pass_on(self, report: Report) -> None:
        """Record what is kept by now; each is taken first, so that whoever comes in between takes the others."""
        self._highest = -1.0
        for _ in range(len(self.kept)):
            try:
                amount, attributes, context = self.kept.popleft()
            except IndexError:
                return
            try:
                self._histogram.record(amount, attributes, context)
            except Exception as fault:
                report("histograms", fault)


class MeasurementBatch:
    """The measurements of all histograms of one instrumentation that are kept at the moment, in any thread."""

    def __init__(self, size: int, report: Report) -> None:
        """Keep up to `size` measurements of a histogram, none where it is 1; what recording raises goes to `report`."""
        self._size = size
        self._report = report
        self._histograms: list[KeptHistogram] = []
        self._lock = make_reentrant_lock()
        self._patience = _PATIENCE_SECONDS
        _batches.add(self)

    def keep(self, histogram: Recorder) -> Recorder:
        """What stands in the place of `histogram`: itself where nothing is to be kept."""
        if self._size == 1:
            return histogram
        kept = KeptHistogram(histogram, self._size, self._full)
        self._histograms.append(kept)
        return kept

    def _full(self) -> None:
        if self._lock.acquire(blocking=False):  # else another thread is at it, and the next measurement asks again
            self._record()

    def record_all(self) -> None:
        """Record what is kept, in this thread; what another thread is recording is recorded when this returns."""
        if not self._histograms:
            return
        if self._lock.acquire(timeout=self._patience):
            self._patience = _PATIENCE_SECONDS
            self._record()
        else:
            self._patience = 0.0  # a collection asks for each of its metrics, and waits once

    def _record(self) -> None:
        try:
            for histogram in self._histograms:
                histogram.pass_on(self._report)
        finally:
            self._lock.release()

    def stop(self) -> None:
        """Record what is kept, and keep no more: whoever would ask for it may ask no more."""
        for histogram in self._histograms:
            histogram.size = 1
        self.record_all()

    def forget(self) -> None:
        """Drop what is kept: it is another process's to record."""
        for histogram in self._histograms:
            histogram.kept.clear()


_batches: weakref.WeakSet[MeasurementBatch] = weakref.WeakSet()


def _before_fork() -> None:
    if not inside_the_sdk():  # its locks may be held by this very thread
        for batch in tuple(_batches):
            batch.record_all()


def _in_forked_child() -> None:
    for batch in tuple(_batches):
        batch.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=in_section(_before_fork), after_in_child=_in_forked_child)
