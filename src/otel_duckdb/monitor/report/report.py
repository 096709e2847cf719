"""What a report holds, as JSON has it; every other format is drawn from that."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from otel_duckdb import contract
from otel_duckdb.installation import version
from otel_duckdb.monitor.times import iso

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from otel_duckdb.contract import Metric

MOST_HOURS: Final = 366 * 24.0
_STATEMENTS: Final = 20
SHOWN: Final[tuple[Metric, ...]] = (
    contract.MEMORY_USED,
    contract.PROCESS_MEMORY,
    contract.QUERIES_PER_SECOND,
    contract.ACTIVE_QUERIES,
    contract.OLDEST_QUERY,
    contract.ACTIVE_CONNECTIONS,
    contract.DISK_USAGE,
    contract.WAL_SIZE,
    contract.TEMPORARY_FILES,
    contract.SYNC_PENDING_ROWS,
    contract.SYNC_LAG,
)
"""The metrics a report draws, in their order."""


class Reported(Protocol):
    """What a report asks of a monitor."""

    def status(self) -> dict[str, Any]:
        """The present state."""

    def statements(self, sort: str = "total", limit: int = 50) -> dict[str, Any]:
        """The statistics of statements."""

    def alerts(self) -> dict[str, Any]:
        """Open and resolved alerts."""

    def metrics(
        self,
        names: Collection[str] = (),
        start: float | None = None,
        end: float | None = None,
        step: float | None = None,
    ) -> dict[str, Any]:
        """The history."""


def make_report(monitor: Reported, hours: float = 24.0, now: float | None = None) -> dict[str, Any]:
    """Return what `monitor` knows of the last `hours`, as JSON has it.

    The statements' figures are since the monitor began, which `statements.since` tells; they are the 20 that took most
    time. Of resolved alerts those that ended within the hours are told.

    Raises:
        ValueError: `hours` is not above 0, or more than a year.
    """
    if not 0 < hours <= MOST_HOURS:
        raise ValueError(f"period is {hours:g} hours; allowed is above 0, up to {MOST_HOURS:g}")
    end = time.time() if now is None else now
    start = end - hours * 3600
    status, alerts = monitor.status(), monitor.alerts()
    history = monitor.metrics([metric.name for metric in SHOWN], start, end)
    # Both are ISO 8601 in UTC to the millisecond, so their order is that of the times.
    resolved = [alert for alert in alerts["resolved"] if (alert["ended"] or "") >= iso(start)]
    return {
        "generated": iso(end),
        "version": version(),
        "period": {"hours": hours, "start": iso(start), "end": iso(end)},
        "status": status,
        "figures": [figure for series in history["series"] if (figure := _figure(series)) is not None],
        "alerts": {**alerts, "resolved": resolved},
        "statements": monitor.statements("total", _STATEMENTS),
        "metrics": history,
    }


def _figure(series: Mapping[str, Any]) -> dict[str, Any] | None:
    """The lowest, mean, highest and last value of a series; None where nothing was sampled."""
    means = [value for value in series["mean"] if value is not None]
    if not means:
        return None
    return {
        "metric": series["metric"],
        "labels": series["labels"],
        "unit": series["unit"],
        "min": min(value for value in series["min"] if value is not None),
        "mean": sum(means) / len(means),
        "max": max(value for value in series["max"] if value is not None),
        "last": means[-1],
    }
