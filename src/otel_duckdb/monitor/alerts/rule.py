"""What an alert is judged by in this process: the table of the Prometheus rules, and what only a process can judge."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING, Final

from otel_duckdb import rules
from otel_duckdb.monitor.alerts.level import Level
from otel_duckdb.rules.process import BACKLOG, CHANGED_LATENCY, CPU, PROCESS_ALERTS, RESIDENT_MEMORY
from otel_duckdb.settings import SettingError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_duckdb.rules import Condition, Thresholds

_SUBJECTS: Final = {
    RESIDENT_MEMORY: "memory",
    "DuckDBMemoryHigh": "memory",
    CPU: "cpu",
    BACKLOG: "queries",
    CHANGED_LATENCY: "latency",
}
_ISSUES: Final = {
    "memory": "memory_high",
    "cpu": "cpu_high",
    "queries": "query_backlog",
    "latency": "latency_high",
}
_LEAVE: Final = 0.9
"""An alert leaves a level where its value is below this part of the threshold."""
_PERCENT: Final = 10.0
"""A share above this was meant in percent; what is above 1 switches a level off."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One alert as this process judges it.

    Attributes:
        name: Its name, the same as in the Prometheus rules.
        levels: The threshold of each level it has; it enters a level above its threshold.
        lasting: For how many seconds its value must have been above, before it fires or gets worse.
        calming: For how many seconds it must have been below what it leaves at, before it calms down or ends.
        leave: The part of a threshold below which its level is left.
        unit: What the value is: `share`, `s`, `bytes`, `times`, or empty for a count.
        meaning: What is wrong, for whoever is told.
        action: What to do about it, for whoever is told.
        condition: How it is measured; None where the process measures it by name.
    """

    name: str
    levels: Mapping[Level, float]
    lasting: float = 0.0
    calming: float = 60.0
    leave: float = _LEAVE
    unit: str = ""
    meaning: str = ""
    action: str = ""
    condition: Condition | None = None

    @property
    def subject(self) -> str:
        """What it is about, in small letters: `memory`, `disk`, `query_running_long`."""
        return subject_of(self.name)

    @property
    def issue(self) -> str | None:
        """The performance issue it is a sign of, such as `memory_high`; None where it is none."""
        return _ISSUES.get(self.subject)

    def reached(self, value: float) -> Level | None:
        """The highest level whose threshold the value is above."""
        return max((level for level, threshold in self.levels.items() if value > threshold), default=None)

    def kept(self, value: float) -> Level | None:
        """The highest level the value does not leave yet."""
        return max((level for level, threshold in self.levels.items() if value > threshold * self.leave), default=None)


def make_rules(
    thresholds: Thresholds | None = None,
    levels: Mapping[str, Mapping[str, float]] | None = None,
    *,
    lasting: float | None = None,
    calming: float | None = None,
) -> tuple[Rule, ...]:
    """Every rule a process can judge.

    Args:
        thresholds: Those of the Prometheus rules.
        levels: Other thresholds by the alert's name, then by level: `{"DuckDBMemoryHigh": {"warning": 0.6}}`.
        lasting: For how many seconds every alert must last before it fires; None leaves each its own.
        calming: For how many seconds every alert must have calmed down before it ends; None leaves each its own.

    Raises:
        SettingError: an alert or a level is unknown, or the thresholds of an alert contradict each other.
    """
    made = [*(_from_table(alert) for alert in rules.alerts(thresholds) if alert.condition), *_of_the_process()]
    known = {rule.name: rule for rule in made}
    for name, own in (levels or {}).items():
        if name not in known:
            raise SettingError(f"no alert is called {name!r}; known are {', '.join(sorted(known))}")
        known[name] = replace(known[name], levels=_changed(known[name], own))
    return tuple(
        replace(
            rule,
            lasting=rule.lasting if lasting is None else lasting,
            calming=rule.calming if calming is None else calming,
        )
        for rule in known.values()
    )


def _from_table(alert: rules.Alert) -> Rule:
    condition = alert.condition
    assert condition is not None  # noqa: S101 - the caller has looked
    if condition.levels is not None:
        levels = dict(zip(Level, condition.levels, strict=True))
    else:
        levels = {Level[alert.severity.name]: condition.above}
    return Rule(
        alert.name,
        levels,
        condition.lasting,
        unit=condition.unit,
        meaning=alert.meaning,
        action=alert.action,
        condition=condition,
    )


def _of_the_process() -> list[Rule]:
    return [
        Rule(
            alert.name,
            {level: value for level, value in zip(Level, alert.levels, strict=True) if value is not None},
            alert.lasting,
            unit=alert.unit,
            meaning=alert.meaning,
        )
        for alert in PROCESS_ALERTS
    ]


def _changed(rule: Rule, own: Mapping[str, float]) -> dict[Level, float]:
    levels = dict(rule.levels)
    for word, value in own.items():
        if word.upper() not in Level.__members__:
            raise SettingError(f"{rule.name} has no level {word!r}; known are warning, critical, emergency")
        if not value >= 0:  # NaN is no number either
            raise SettingError(f"{rule.name}.{word} is {value:g}; allowed is a number from 0")
        if rule.unit == "share" and _PERCENT < value < inf:
            raise SettingError(f"{rule.name}.{word} is {value:g}; it is a share: {value:g} % is {value / 100:g}")
        levels[Level[word.upper()]] = float(value)
    ordered = [levels[level] for level in sorted(levels)]
    if ordered != sorted(ordered):
        told = ", ".join(f"{level.word} {levels[level]:g}" for level in sorted(levels))
        raise SettingError(f"the thresholds of {rule.name} contradict each other: {told}; each level must be above")
    return levels


def subject_of(name: str) -> str:
    """What an alert of that name is about."""
    words = name.removeprefix("DuckDB").removesuffix("High")
    return _SUBJECTS.get(name) or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", words).lower()
