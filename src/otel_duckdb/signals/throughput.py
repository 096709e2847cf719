"""Operations per second, by query type and by table, over the last minute."""

from __future__ import annotations

import itertools
import time
from functools import partial
from typing import TYPE_CHECKING

from opentelemetry.metrics import Observation

from otel_duckdb import contract
from otel_duckdb.core.listener import Listener
from otel_duckdb.signals.kinds import BY_TABLE
from otel_duckdb.telemetry.locks import make_lock
from otel_duckdb.telemetry.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_duckdb.core.operation import Operation
    from otel_duckdb.telemetry.gauges import CallbackRegistry

    Key = tuple[str, str | None]
    """A query type, and the table an operation of that type was about."""


class _Counts:
    """How often each key came in one slice of the window.

    Counting is one step that no other thread can come between, and takes no lock: the garbage collector may end an
    operation at any moment, in the middle of a collection too.

    Attributes:
        steps: What counts each key that has come, one step a call.
    """

    __slots__ = ("_known", "_looks", "steps")

    def __init__(self, known: dict[Key, int]) -> None:
        self._known = known
        self.steps: dict[Key, Callable[[], int]] = {}
        self._looks: dict[Key, int] = {}

    def add(self, key: Key) -> None:
        step = self.steps.get(key)
        if step is None:
            self._known.setdefault(key, 0)
            step = self.steps.setdefault(key, itertools.count().__next__)
        step()

    def look(self) -> Iterable[tuple[Key, int]]:
        for key, step in self.steps.copy().items():
            looks = self._looks.get(key, 0)  # to look at a counter takes a step of it
            self._looks[key] = looks + 1
            yield key, step() - looks


class Throughput(Listener):
    """Counts operations as they end, and tells how many did per second, the same to every reader."""

    component = "throughput"

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, by_type: bool = True, by_table: bool = True
    ) -> None:
        """Start the window now; rates of types, of tables, or of both are to be told."""
        self._tells_types = by_type
        self._tells_tables = by_table
        self._known: dict[Key, int] = {}
        self._window = Window(lambda: _Counts(self._known), clock)
        self._lock = make_lock()

    def record(self, operation: Operation) -> None:
        """Count the ended operation."""
        key = operation.attributes.rate
        counts = self._window.current()
        step = counts.steps.get(key)  # to add it would cost each operation a frame
        if step is None:
            counts.add(key)
        else:
            step()

    def count(self, query_type: str, table_name: str | None = None) -> None:
        """Count an operation of the type, and of the table it was about, whose names the caller limits."""
        self._window.current().add((query_type, table_name))

    def register(self, callbacks: CallbackRegistry) -> None:
        """Let the rates be observed."""
        if self._tells_types:
            callbacks.add(contract.QUERIES_PER_SECOND, self._by_type)
        for query_type, metrics in BY_TABLE.items() if self._tells_tables else ():
            callbacks.add(metrics.per_second, partial(self._by_table, query_type))

    def _by_type(self) -> Iterable[Observation]:
        return _points(contract.QUERY_TYPE, ((query_type, rate) for (query_type, _), rate in self._rates().items()))

    def _by_table(self, query_type: str) -> Iterable[Observation]:
        rates = self._rates().items()
        return _points(
            contract.TABLE_NAME,
            ((table, rate) for (found, table), rate in rates if found == query_type and table is not None),
        )

    def _rates(self) -> dict[Key, float]:
        """The rate of every key ever counted; 0 for one that has not come for a while."""
        with self._lock:
            seconds, parts = self._window.covered()
            totals = self._known.copy()
            for part in parts:
                for key, number in part.look():
                    totals[key] = totals.get(key, 0) + number
            return {key: total / max(seconds, 1.0) for key, total in totals.items()}


def _points(label: str, rates: Iterable[tuple[str, float]]) -> list[Observation]:
    added: dict[str, float] = {}
    for value, rate in rates:
        added[value] = added.get(value, 0.0) + rate
    return [Observation(rate, {label: value}) for value, rate in added.items()]
