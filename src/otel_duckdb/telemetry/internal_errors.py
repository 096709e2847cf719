"""Counts and logs what goes wrong inside this package, so that it never reaches the user's call."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING

from otel_duckdb import contract
from otel_duckdb.telemetry.counter import Counter

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter

logger = logging.getLogger("otel_duckdb")
_FRAMES = 50


class InternalErrors:
    """The counter `otel_duckdb_internal_errors` and one log line per kind of fault."""

    def __init__(self, meter: Meter) -> None:
        self._counter = Counter(meter, contract.INTERNAL_ERRORS)
        self._logged: set[tuple[str, str]] = set()
        self._counter.add(0, {contract.COMPONENT: "intercept"})

    def report(self, component: str, error: BaseException) -> None:
        """Count a fault of `component`, and log it if its kind is new."""
        try:
            self._counter.add(1, {contract.COMPONENT: component})
            kind = (component, type(error).__qualname__)
            if kind not in self._logged:
                self._logged.add(kind)
                logger.warning(
                    "otel_duckdb: %s failed inside the instrumentation (%s); the call it belongs to went on. "
                    "Further faults of this kind are only counted.%s",
                    component,
                    kind[1],
                    _places(error),
                )
        except Exception:  # noqa: S110 - a broken meter or log handler must not reach the user either
            pass


def _places(error: BaseException) -> str:
    """Where the error came from; its message, and those of the errors before it, may hold values of the user."""
    frames = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), limit=_FRAMES, lookup_lines=False)
    return "".join(f'\n  File "{frame.filename}", line {frame.lineno}, in {frame.name}' for frame in frames)
