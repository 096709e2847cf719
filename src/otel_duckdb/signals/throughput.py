"""Operations per second, by query type and by table, over a sliding window."""

from __future__ import annotations

import itertools
import time
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from opentelemetry.metrics import Observation

from otel_duckdb import contract
from otel_duckdb.signals.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_duckdb.observables import Observables

    Clock = Callable[[], float]

_BY_TABLE = {
    "SELECT": contract.SELECT_PER_SECOND,
    "INSERT": contract.INSERT_PER_SECOND,
    "UPDATE": contract.UPDATE_PER_SECOND,
    "DELETE": contract.DELETE_PER_SECOND,
}


class Rates:
    """How often label values come, per second.

    Counting is one step that no other thread can come between, and takes no lock: the garbage collector may end an
    operation at any moment, in the middle of a collection too.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        """Start the window now."""
        self._steps: dict[str, Callable[[], int]] = {}
        self._looks: dict[str, int] = {}
        self._lock = Lock()
        self._window: Window[dict[str, int]] = Window({}, clock)

    def count(self, value: str) -> None:
        """Count one more of `value`."""
        try:
            self._steps[value]()
        except KeyError:
            self._steps.setdefault(value, itertools.count().__next__)()

    def _totals(self) -> dict[str, int]:
        with self._lock:
            return {value: self._look(value, step) for value, step in self._steps.copy().items()}

    def _look(self, value: str, step: Callable[[], int]) -> int:
        looks = self._looks.get(value, 0)  # to look at a counter takes a step of it
        self._looks[value] = looks + 1
        return step() - looks

    def read(self) -> dict[str, float]:
        """Return the rate of every value ever counted; 0 for one that has not come for a while."""
        totals = self._totals()
        seconds, before = self._window.slide(totals)
        return {value: (total - before.get(value, 0)) / max(seconds, 1.0) for value, total in totals.items()}


class Throughput:
    """Counts operations as they end, and tells their rates when metrics are collected."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        """Start the windows now."""
        self._types = Rates(clock)
        self._tables = {query_type: Rates(clock) for query_type in _BY_TABLE}

    def count(self, query_type: str, table_name: str | None = None) -> None:
        """Count an operation of the type, and of the table it was about, whose names the caller limits."""
        self._types.count(query_type)
        if table_name is not None:
            tables = self._tables.get(query_type)
            if tables is not None:
                tables.count(table_name)

    def register(self, observables: Observables) -> None:
        """Let the rates be observed."""
        observables.add(contract.QUERIES_PER_SECOND, partial(_points, self._types, contract.QUERY_TYPE))
        for query_type, rates in self._tables.items():
            observables.add(_BY_TABLE[query_type], partial(_points, rates, contract.TABLE_NAME))


def _points(rates: Rates, label: str) -> Iterable[Observation]:
    return [Observation(rate, {label: value}) for value, rate in rates.read().items()]
