"""The measures of the alerts that only the process can judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_duckdb import contract
from otel_duckdb.monitor.machine import CpuShare, memory_total
from otel_duckdb.rules.process import BACKLOG, CHANGED_LATENCY, CPU, RESIDENT_MEMORY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_duckdb.monitor.alerts.measures import Values
    from otel_duckdb.monitor.sample import Sample


class ProcessMeasures:
    """Measures the process and the machine; one look at the processors a sample.

    Attributes:
        cpu_share: The machine's processors in use at the last look, None before the second.
    """

    def __init__(self, slower: Callable[[], Mapping[tuple[str, str], float]]) -> None:
        """`slower` tells by database and summary how many times longer than it used to a statement takes."""
        self._slower = slower
        self._cpu = CpuShare()
        self.cpu_share: float | None = None

    @property
    def by_name(self) -> Mapping[str, Callable[[Sample], Values]]:
        """The measure of each rule."""
        return {
            RESIDENT_MEMORY: self._resident,
            CPU: self._processors,
            BACKLOG: self._backlog,
            CHANGED_LATENCY: self._changed,
        }

    def _changed(self, _: Sample) -> Values:
        return {
            ((contract.DATABASE, database), (contract.DB_QUERY_SUMMARY, summary)): times
            for (database, summary), times in self._slower().items()
        }

    @staticmethod
    def _resident(sample: Sample) -> Values:
        resident = sample.total(contract.PROCESS_MEMORY)
        return {} if resident is None else {(): resident / memory_total()}

    def look(self) -> None:
        """Look at the processors, once a sample, so that an alert and the figures on it are of one moment."""
        self.cpu_share = self._cpu.look()

    def _processors(self, _: Sample) -> Values:
        return {} if self.cpu_share is None else {(): self.cpu_share}

    @staticmethod
    def _backlog(sample: Sample) -> Values:
        working, waiting = sample.total(contract.ACTIVE_QUERIES), sample.total(contract.POOL_PENDING)
        return {} if working is None and waiting is None else {(): (working or 0.0) + (waiting or 0.0)}
