"""The gauges of every live database, all from one reading a collection."""

from __future__ import annotations

import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from opentelemetry.metrics import Observation

from otel_duckdb import contract
from otel_duckdb.telemetry.locks import make_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from otel_duckdb.contract import Metric
    from otel_duckdb.engine.database import Database
    from otel_duckdb.engine.state import EngineState
    from otel_duckdb.settings import Settings
    from otel_duckdb.telemetry.gauges import CallbackRegistry, Report

    Reading = tuple[str, EngineState]
    States = Sequence[EngineState]
    """The states of the databases that have one name: more than one where names have reached their limit."""
    Value = Callable[[States], float | None]

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
        self._lock = make_lock()
        self._latest: Mapping[str, States] = {}
        self._taken = float("-inf")
        self._read_of: list[tuple[str, int]] = []

    def begin(self) -> None:
        """Read anew for a collection that begins."""
        self._not_older_than(_REPEATED_SECONDS)

    def latest(self) -> Mapping[str, States]:
        """Return the readings of this collection by the databases' names."""
        return self._not_older_than(_SHARED_SECONDS)

    def _not_older_than(self, seconds: float) -> Mapping[str, States]:
        with self._lock:
            databases = list(self._databases())
            live = [(database.name, id(database)) for database in databases]
            if self._clock() - self._taken > seconds or live != self._read_of:
                latest: dict[str, list[EngineState]] = {}
                for name, state in self._read(databases):
                    latest.setdefault(name, []).append(state)
                self._latest = latest
                self._taken = self._clock()
                self._read_of = live
            return self._latest

    def _read(self, databases: Iterable[Database]) -> Iterable[Reading]:
        for database in databases:
            try:
                state = database.read_state()
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

    def register(self, callbacks: CallbackRegistry) -> None:
        """Let all gauges be observed."""
        # The SDK asks in the order of creation: the first gauge takes the reading.
        callbacks.add(contract.MEMORY_USED, self._memory_used)
        for metric, value in self._values():
            callbacks.add(metric, partial(self._points, value))
        callbacks.add(contract.MEMORY_BY_TAG, self._memory_by_tag)

    def _values(self) -> Iterable[tuple[Metric, Value]]:
        yield contract.MEMORY_LIMIT, self._memory_limit
        yield contract.DISK_USAGE, _disk_usage
        yield contract.MAX_DISK_USAGE, self._max_disk_usage
        yield contract.DISK_FRAGMENTATION, _disk_fragmentation
        yield contract.WAL_SIZE, lambda states: sum(state.wal_files for state in states)
        yield contract.TEMPORARY_FILES, lambda states: sum(state.temporary_files for state in states)
        yield contract.TEMPORARY_STORAGE, lambda states: sum(state.temporary_storage for state in states)

    def _memory_used(self) -> Iterable[Observation]:
        self._readings.begin()
        return self._points(lambda states: sum(state.memory_used for state in states))

    def _points(self, value: Value) -> Iterable[Observation]:
        for name, states in self._readings.latest().items():
            number = value(states)
            if number is not None:
                yield Observation(number, {**self._labels(), contract.DATABASE: name})

    def _memory_by_tag(self) -> Iterable[Observation]:
        for name, states in self._readings.latest().items():
            by_tag: Counter[str] = Counter()
            for state in states:
                by_tag.update(state.memory_by_tag)
            for tag, used in by_tag.items():
                yield Observation(used, {**self._labels(), contract.DATABASE: name, contract.MEMORY_TAG: tag})

    def _memory_limit(self, states: States) -> float | None:
        limits = [self._settings.memory_limit if state.memory_limit is None else state.memory_limit for state in states]
        known = [min(limit, self._settings.memory_limit or limit) for limit in limits if limit is not None]
        return sum(known) if len(known) == len(states) else None

    def _max_disk_usage(self, states: States) -> float:
        # The databases may well be on one file system, whose free space is there once.
        return self._settings.max_disk_bytes or _disk_usage(states) + max(state.disk_free for state in states)


def _disk_usage(states: States) -> int:
    return sum(state.disk_usage for state in states)


def _disk_fragmentation(states: States) -> float | None:
    used = sum(state.blocks_used for state in states)
    return sum(state.blocks_total for state in states) / used if used else None
