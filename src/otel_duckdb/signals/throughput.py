"""Operations per second, by query type and by table, over a sliding window."""

from __future__ import annotations

import itertools
import time
from threading import Lock
from typing import TYPE_CHECKING

from opentelemetry.metrics import Observation

from otel_duckdb import contract
from otel_duckdb.signals.labels import Limiter
from otel_duckdb.signals.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.metrics import CallbackOptions, CallbackT

    Clock = Callable[[], float]

_BY_TABLE = {
    "SELECT": contract.SELECT_PER_SECOND,
    "INSERT": contract.INSERT_PER_SECOND,
    "UPDATE": contract.UPDATE_PER_SECOND,
    "DELETE": contract.DELETE_PER_SECOND,
}


class Rates:
    """How often label values come, per second; counting is one step that no other thread can come between."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        """Start the window now."""
        self._steps: dict[str, Callable[[], int]] = {}
        self._looks = 0
        self._lock = Lock()
        self._window: Window[dict[str, int]] = Window({}, clock)

    def count(self, value: str) -> None:
        """Count one more of `value`."""
        try:
            self._steps[value]()
        except KeyError:
            self._begin(value)()

    def _begin(self, value: str) -> Callable[[], int]:
        with self._lock:
            return self._steps.setdefault(value, itertools.count(self._looks).__next__)

    def _totals(self) -> dict[str, int]:
        with self._lock:
            looks = self._looks  # to look at a counter takes a step of it; a new counter starts after the steps so far
            self._looks += 1
            return {value: step() - looks for value, step in self._steps.items()}

    def read(self) -> dict[str, float]:
        """Return the rate of every value ever counted; 0 for one that has not come for a while."""
        totals = self._totals()
        seconds, before = self._window.slide(totals)
        return {value: (total - before.get(value, 0)) / max(seconds, 1.0) for value, total in totals.items()}


class Throughput:
    """Counts operations as they end, and tells their rates when metrics are collected."""

    def __init__(self, limit: Callable[[str], str] | None = None, clock: Clock = time.monotonic) -> None:
        """Pass table names through `limit`, which may be shared with the latency histograms."""
        self._limit = limit or Limiter()
        self._types = Rates(clock)
        self._tables = {query_type: Rates(clock) for query_type in _BY_TABLE}

    def count(self, query_type: str, table_name: str | None = None) -> None:
        """Count an operation of the type, and of the table it was about where there is one."""
        self._types.count(query_type)
        if table_name is not None:
            tables = self._tables.get(query_type)
            if tables is not None:
                tables.count(self._limit(table_name))

    def gauges(self) -> Iterable[tuple[contract.Metric, CallbackT]]:
        """Return every metric of the throughput with the callback that observes it."""
        yield contract.QUERIES_PER_SECOND, _observe(self._types, contract.QUERY_TYPE)
        for query_type, rates in self._tables.items():
            yield _BY_TABLE[query_type], _observe(rates, contract.TABLE_NAME)


def _observe(rates: Rates, label: str) -> CallbackT:
    def callback(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(rate, {label: value}) for value, rate in rates.read().items()]

    return callback
