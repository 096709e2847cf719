"""The numbers at which alerts fire; each may be set by the user."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any, Final

from otel_duckdb.settings import SettingError

_INFINITE: Final = float("inf")


def _threshold(default: float, meaning: str, low: float = 0, high: float = _INFINITE) -> Any:
    return field(default=default, metadata={"meaning": meaning, "low": low, "high": high})


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What is too much; an alert fires above its threshold, not at it.

    Raises:
        SettingError: a threshold is outside its bounds.
    """

    latency_ms: float = _threshold(100.0, "Latency, in milliseconds, that 95 % of the operations stay within.")
    latency_min_per_second: float = _threshold(
        0.1, "Operations a second of a program and type, below which its latency is not asked."
    )
    running_query_seconds: float = _threshold(600.0, "Seconds a single operation may run.")
    out_of_memory_errors: float = _threshold(0, "Operations in 5 minutes that may fail for want of memory.")
    pool_timeouts: float = _threshold(5, "Requests for a pool's connection in 5 minutes that may time out.")
    memory_ratio: float = _threshold(0.9, "Part of the memory limit that may be used by what is no cache.", high=1)
    disk_ratio: float = _threshold(0.9, "Part of the maximum disk usage that may be used.", high=1)
    wal_bytes: float = _threshold(64e6, "Bytes of a write-ahead log that may grow for 10 minutes.")
    sync_failures: float = _threshold(5, "Failed sync attempts in 10 minutes.")
    transaction_failure_ratio: float = _threshold(0.1, "Part of the transactions that may fail.", high=1)
    failed_connections: float = _threshold(5, "Failed connects in 5 minutes.")
    sync_lag_seconds: float = _threshold(300.0, "Seconds the sync may lag behind.")
    sync_stopped_seconds: float = _threshold(
        600.0, "Seconds for which rows may wait while nobody tries to send.", low=1
    )
    queue_ratio: float = _threshold(0.5, "Part of a queue of the collector that may be filled.", high=1)
    internal_errors: float = _threshold(0, "Faults of the instrumentation in 30 minutes.")
    time_scale: float = _threshold(
        1.0, "Multiplies every window and waiting time; below 1 for trying the rules out.", low=0.001, high=100
    )

    def __post_init__(self) -> None:
        for option in fields(self):
            value, low, high = getattr(self, option.name), option.metadata["low"], option.metadata["high"]
            if math.isnan(value) or not low <= value <= high or value == _INFINITE:
                allowed = f"from {low:g}" + ("" if high == _INFINITE else f" to {high:g}")
                raise SettingError(f"{option.name} is {value:g}; allowed is a number {allowed}")

    def seconds(self, seconds: float) -> float:
        """`seconds`, scaled, in whole seconds, rounded up."""
        return math.ceil(seconds * self.time_scale)

    def duration(self, seconds: float) -> str:
        """`seconds`, scaled, as Prometheus writes it: in whole hours, minutes or seconds, rounded up."""
        scaled = int(self.seconds(seconds))
        for size, unit in ((3600, "h"), (60, "m")):
            if scaled and scaled % size == 0:
                return f"{scaled // size}{unit}"
        return f"{scaled}s"
