"""Counts the calls of `duckdb.connect` that failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_duckdb import contract
from otel_duckdb.core.errors import error_type
from otel_duckdb.core.listener import Listener
from otel_duckdb.telemetry.counter import Counter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.metrics import Meter

_FROM_THE_START: Final = ("IOException", "ConnectionException", "InvalidInputException")
"""Classes whose counters start at 0: a locked, missing or broken file, another configuration, an unknown option."""


class FailedConnections(Listener):
    """The counter `duckdb_failed_connections`."""

    component = "failed_connections"

    def __init__(self, meter: Meter, labels: Callable[[], Mapping[str, str]]) -> None:
        """Put what `labels` returns on every point."""
        self._counter = Counter(meter, contract.FAILED_CONNECTIONS)
        self._labels = labels

    def start(self) -> None:
        """Let the counters of the common classes start at 0."""
        for name in _FROM_THE_START:
            self._count(0, name)

    def connect_failed(self, error: BaseException) -> None:
        """Count the failure by its class."""
        self._count(1, error_type(error))

    def _count(self, number: int, error_class: str) -> None:
        self._counter.add(number, {**self._labels(), contract.ERROR_TYPE_LABEL: error_class})
