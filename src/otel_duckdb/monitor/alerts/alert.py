"""One alert, from its start to its end, with what was done about it and who was told."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from otel_duckdb.monitor.alerts.level import Level
from otel_duckdb.monitor.times import iso

if TYPE_CHECKING:
    from otel_duckdb.monitor.alerts.rule import Rule


@dataclass(slots=True)
class Alert:
    """One alert of one series.

    Attributes:
        id: Unique within the monitor's life, and between monitors.
        rule: What it was judged by.
        database: The database's label in the metrics, or empty.
        labels: All labels of its series.
        level: How bad it is at the moment; after the end, how bad it was last.
        worst: The highest level it had.
        message: One sentence with the figures of the moment.
        value: The value measured last.
        peak: The highest value measured.
        threshold: The threshold of its level.
        started: When it fired, in seconds since 1970.
        ended: When it was over, in seconds since 1970; None while it lasts.
        silenced: Whether a silence kept it from being told.
        metrics: The figures of the process at the last change, by groups, as `/api/status` has them.
        actions: What was done about it.
        notifications: Who was told, and with which result.
    """

    id: str
    rule: Rule
    database: str
    labels: dict[str, str]
    level: Level
    message: str
    value: float
    threshold: float
    started: float
    worst: Level = Level.WARNING
    peak: float = 0.0
    ended: float | None = None
    silenced: bool = False
    changed: float = field(default_factory=time.time)
    metrics: dict[str, Any] = field(default_factory=dict)
    actions: list[dict[str, Any]] = field(default_factory=list)
    notifications: list[dict[str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The alert's name, as in the Prometheus rules."""
        return self.rule.name

    @property
    def timestamp(self) -> str:
        """When it last changed, as ISO 8601 in UTC."""
        return iso(self.changed)

    @property
    def aliases(self) -> tuple[str, ...]:
        """The names a handler may ask for it by: its own, and the one with its level, as `duckdb_memory_critical`."""
        return (self.name, f"duckdb_{self.rule.subject}_{self.level.word}")

    def as_json(self) -> dict[str, Any]:
        """The alert as the API shows it; times are ISO 8601 in UTC."""
        return {
            "id": self.id,
            "name": self.name,
            "level": self.level.word,
            "worst_level": self.worst.word,
            "database": self.database,
            "labels": dict(self.labels),
            "message": self.message,
            "value": self.value,
            "unit": self.rule.unit,
            "threshold": self.threshold,
            "peak": self.peak,
            "started": iso(self.started),
            "ended": None if self.ended is None else iso(self.ended),
            "timestamp": self.timestamp,
            "silenced": self.silenced,
            "metrics": self.metrics,
            "actions": list(self.actions),
            "notifications": list(self.notifications),
        }
