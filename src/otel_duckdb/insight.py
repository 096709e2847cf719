"""Connects what looks inside an operation: profiles, the slow-query log, callers, and N+1."""

from __future__ import annotations

import logging
from math import inf
from typing import TYPE_CHECKING, Final

from otel_duckdb.core.caller import find_caller
from otel_duckdb.core.operation import SlowThreshold
from otel_duckdb.profiling.plan import Plans
from otel_duckdb.profiling.profiler import Profiler
from otel_duckdb.signals.n_plus_one import NPlusOne
from otel_duckdb.signals.slow_queries import SlowQueries
from otel_duckdb.telemetry.instance import InstanceLabels

if TYPE_CHECKING:
    from types import ModuleType

    from opentelemetry._logs import Logger
    from opentelemetry.metrics import Meter, MeterProvider

    from otel_duckdb.core.operation import Operation, Operations
    from otel_duckdb.settings import Settings
    from otel_duckdb.signals.recorder import Recorder
    from otel_duckdb.signals.spans import Spans
    from otel_duckdb.telemetry.internal_errors import InternalErrors

logger: Final = logging.getLogger("otel_duckdb")


def insight(
    duckdb: ModuleType,
    settings: Settings,
    meter: Meter,
    meter_provider: MeterProvider | None,
    log: Logger,
    internal_errors: InternalErrors,
    operations: Operations,
    signals: Recorder,
    spans: Spans,
) -> Profiler | None:
    """Hook all of it in, and return what switches profiling, or None where nothing is to be profiled."""
    plans = Plans(meter, InstanceLabels(settings, meter_provider), raw=settings.raw_query_text)
    slow = SlowQueries(log, plans, settings.slow_threshold_ms)
    spans.describers += [plans.describe, slow.describe]
    signals.on_close += [plans.count, slow.tell]
    if settings.repeated_threshold:
        signals.on_close.append(NPlusOne(settings.repeated_threshold).count)
    profiler = _profiler(duckdb, settings, internal_errors, operations)
    operations.slow_threshold = SlowThreshold(settings.slow_threshold_ms * 1e6, _Slow(profiler, internal_errors))
    return profiler


def _profiler(
    duckdb: ModuleType, settings: Settings, internal_errors: InternalErrors, operations: Operations
) -> Profiler | None:
    if settings.profile == "off":
        return None
    if not hasattr(duckdb.DuckDBPyConnection, "get_profiling_information"):
        logger.info(
            "otel_duckdb: no query profiles on DuckDB %s, whose client cannot read them; they need DuckDB 1.5 or later",
            duckdb.__version__,
        )
        return None
    profiler = Profiler(settings.profile, settings.slow_threshold_ms * 1e6, duckdb, internal_errors)
    operations.attention, operations.prepare = profiler.attention, profiler.prepare
    operations.stand_down = profiler.stand_down
    operations.on_end.append(profiler.ended)
    return profiler


_TOLD: Final = SlowThreshold(inf, lambda _: None)


class _Slow:
    """Called inside the DuckDB call that makes an operation slow."""

    def __init__(self, profiler: Profiler | None, internal_errors: InternalErrors) -> None:
        self._profiler = profiler
        self._internal_errors = internal_errors

    def __call__(self, operation: Operation) -> None:
        """Take down who called, and have the statement profiled from now on."""
        operation.slow_threshold = _TOLD
        try:
            operation.caller = find_caller()
            if self._profiler is not None:
                self._profiler.remember(operation)
        except Exception as fault:
            self._internal_errors.report("profile", fault)
