"""The gauges of every live database, all from one reading a collection."""

from __future__ import annotations

import time
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from opentelemetry.metrics import Observation

from otel_duckdb import contract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from otel_duckdb.contract import Metric
    from otel_duckdb.engine.database import Database
    from otel_duckdb.engine.state import EngineState
    from otel_duckdb.settings import Settings
    from otel_duckdb.telemetry.gauges import Observables, Report

    Reading = tuple[str, EngineState]
    Value = Callable[[EngineState], float | None]

_SHARED_SECONDS = 1.0
"""How old a reading may be for the later gauges of the collection that took it."""
_REPEATED_SECONDS = 0.02
"""How old a reading may be for a new collection; one by another reader at the same moment costs nothing."""


class Readings:
    """The latest reading of every database, shared by the gauges of one collection."""

    def __init__(
        self,
        databases: Callable[[], Iterable[Database]],
        report: Report,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read what `databases` returns; a failing read goes to `report` and leaves that database out."""
        self._databases = databases
        self._report = report
        self._clock = clock
        self._lock = Lock()
        self._latest: list[Reading] = []
        self._taken = float("-inf")

    def begin(self) -> None:
        """Read anew for a collection that begins."""
        self._not_older_than(_REPEATED_SECONDS)

    def latest(self) -> list[Reading]:
        """Return the readings of this collection."""
        return self._not_older_than(_SHARED_SECONDS)

    def _not_older_than(self, seconds: float) -> list[Reading]:
        with self._lock:
            if self._clock() - self._taken > seconds:
                self._latest = list(self._read())
                self._taken = self._clock()
            return self._latest

    def _read(self) -> Iterable[Reading]:
        for database in self._databases():
            try:
                state = database.read()
            except Exception as error:
                self._report("engine", error)
            else:
                if state is not None:
                    yield database.name, state


class EngineGauges:
    """Memory and disk of every live database."""

    def __init__(self, readings: Readings, settings: Settings, labels: Callable[[], Mapping[str, str]]) -> None:
        """Observe `readings`, with what `labels` returns on every point."""
        self._readings = readings
        self._settings = settings
        self._labels = labels

    def register(self, observables: Observables) -> None:
        """Let all gauges be observed."""
        # The SDK asks in the order of creation: the first gauge takes the reading.
        observables.add(contract.MEMORY_USED, self._memory_used)
        for metric, value in self._values():
            observables.add(metric, partial(self._points, value))
        observables.add(contract.MEMORY_BY_TAG, self._memory_by_tag)

    def _values(self) -> Iterable[tuple[Metric, Value]]:
        yield contract.MEMORY_LIMIT, self._memory_limit
        yield contract.DISK_USAGE, lambda state: state.disk_usage
        yield contract.MAX_DISK_USAGE, self._max_disk_usage
        yield contract.DISK_FRAGMENTATION, _disk_fragmentation
        yield contract.WAL_SIZE, lambda state: state.wal_files
        yield contract.TEMPORARY_FILES, lambda state: state.temporary_files
        yield contract.TEMPORARY_STORAGE, lambda state: state.temporary_storage

    def _memory_used(self) -> Iterable[Observation]:
        self._readings.begin()
        return self._points(lambda state: state.memory_used)

    def _points(self, value: Value) -> Iterable[Observation]:
        for name, state in self._readings.latest():
            number = value(state)
            if number is not None:
                yield Observation(number, {**self._labels(), contract.DATABASE: name})

    def _memory_by_tag(self) -> Iterable[Observation]:
        for name, state in self._readings.latest():
            for tag, used in state.memory_by_tag.items():
                yield Observation(used, {**self._labels(), contract.DATABASE: name, contract.MEMORY_TAG: tag})

    def _memory_limit(self, state: EngineState) -> float | None:
        limits = [limit for limit in (state.memory_limit, self._settings.memory_limit) if limit is not None]
        return min(limits, default=None)

    def _max_disk_usage(self, state: EngineState) -> float:
        return self._settings.max_disk_bytes or state.disk_usage + state.disk_free


def _disk_fragmentation(state: EngineState) -> float | None:
    return state.blocks_total / state.blocks_used if state.blocks_used else None
