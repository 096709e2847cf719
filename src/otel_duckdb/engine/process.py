"""The gauges of the process, and what only the process can say of its databases."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import psutil
from opentelemetry.metrics import Observation

from otel_duckdb import contract
from otel_duckdb.installation import version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from otel_duckdb.engine.gauges import Readings
    from otel_duckdb.telemetry.gauges import CallbackRegistry

    Labels = Callable[[], Mapping[str, str]]


class ProcessGauges:
    """CPU time and resident memory of the process, and how that relates to DuckDB's memory."""

    def __init__(self, readings: Readings, labels: Labels) -> None:
        """Observe this process, with what `labels` returns on the points that are about DuckDB."""
        self._readings = readings
        self._labels = labels
        self._process = psutil.Process()

    def register(self, callbacks: CallbackRegistry) -> None:
        """Let all gauges be observed."""
        callbacks.add(contract.MEMORY_FRAGMENTATION, self._memory_fragmentation)
        callbacks.add(contract.PROCESS_CPU_TIME, self._cpu_time)
        callbacks.add(contract.PROCESS_MEMORY, self._memory)
        callbacks.add(contract.PROCESS_UPTIME, self._uptime)

    def _here(self) -> psutil.Process:
        if self._process.pid != os.getpid():  # forked since
            self._process = psutil.Process()
        return self._process

    def _memory_fragmentation(self) -> Iterable[Observation]:
        # The process has one resident memory, so its databases have one ratio together.
        used = sum(state.memory_used for states in self._readings.latest().values() for state in states)
        if used:
            yield Observation(self._here().memory_info().rss / used, self._labels())

    def _cpu_time(self) -> Iterable[Observation]:
        times = self._here().cpu_times()
        yield Observation(times.user, {contract.CPU_MODE: "user"})
        yield Observation(times.system, {contract.CPU_MODE: "system"})

    def _memory(self) -> Iterable[Observation]:
        yield Observation(self._here().memory_info().rss)

    def _uptime(self) -> Iterable[Observation]:
        yield Observation(max(0.0, time.time() - self._here().create_time()))


class RunningGauge:
    """Whether the program runs, and at its orderly end that it ends."""

    def __init__(self, duckdb_version: str, labels: Labels) -> None:
        """Put the versions on the point, and what `labels` returns."""
        self._versions = {contract.DUCKDB_VERSION: duckdb_version, contract.VERSION: version()}
        self._labels = labels

    def register(self, callbacks: CallbackRegistry) -> None:
        """Let it be observed."""
        callbacks.add(contract.RUNNING, self._running)

    def _running(self) -> Iterable[Observation]:
        # At an orderly end the SDK reports once more, when the main thread is done; a killed program does not.
        yield Observation(int(threading.main_thread().is_alive()), {**self._labels(), **self._versions})
