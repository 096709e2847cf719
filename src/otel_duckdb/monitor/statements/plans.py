"""The plans one statement has had, and whether it has become slower with a new one."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.monitor.times import iso

if TYPE_CHECKING:
    from otel_duckdb.core.profile import Operator, Profile

_KEPT: Final = 5
"""Plans kept for one statement; the one that was not seen for the longest time goes."""
_REGRESSION: Final = 1.5
"""How many times the mean of the plan before a plan takes that is a regression."""
_LEAST_CALLS: Final = 3
"""Profiled calls of each of two plans before their means are compared."""


@dataclass(slots=True)
class Plan:
    """One plan: the tree of its operators, without a detail of the data."""

    identity: str
    shape: str
    first_seen: float
    last_seen: float
    calls: int = 0
    total_ns: int = 0

    @property
    def mean_ns(self) -> float:
        """The mean time of the profiled calls."""
        return self.total_ns / self.calls if self.calls else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the plan as JSON has it, times in milliseconds."""
        return {
            "id": self.identity,
            "shape": self.shape,
            "calls": self.calls,
            "mean_ms": self.mean_ns / 1e6,
            "first_seen": iso(self.first_seen),
            "last_seen": iso(self.last_seen),
        }


class Plans:
    """The last plans of one statement, the newest last."""

    __slots__ = ("_before", "_now", "_plans", "_since")

    def __init__(self) -> None:
        self._plans: dict[str, Plan] = {}
        self._now = self._before = ""
        self._since = 0.0

    def add(self, profile: Profile, nanoseconds: int, unix_seconds: float) -> None:
        """Take note of one profiled call."""
        if not profile.operators or profile.partial:
            return
        try:
            shape = " ".join(map(_shape, profile.operators))
        except RecursionError:  # a plan as deep as that is told apart from no other
            return
        identity = blake2b(shape.encode(), digest_size=6).hexdigest()
        plan = self._plans.get(identity)
        if plan is None:
            if len(self._plans) >= _KEPT:
                del self._plans[min(self._plans.values(), key=lambda each: each.last_seen).identity]
            plan = self._plans[identity] = Plan(identity, shape, unix_seconds, unix_seconds)
        if identity != self._now:
            self._before, self._now, self._since = self._now, identity, unix_seconds
        plan.calls += 1
        plan.total_ns += nanoseconds
        plan.last_seen = unix_seconds

    @property
    def regression(self) -> dict[str, Any] | None:
        """How much slower the statement became with its present plan; None where it did not, or too little is known."""
        before, now = self._plans.get(self._before), self._plans.get(self._now)
        if before is None or now is None or min(before.calls, now.calls) < _LEAST_CALLS:
            return None
        if now.mean_ns < before.mean_ns * _REGRESSION:
            return None
        return {
            "before": before.identity,
            "after": now.identity,
            "changed": iso(self._since),
            "times": now.mean_ns / before.mean_ns,
        }

    def as_json(self) -> list[dict[str, Any]]:
        """Return the plans as JSON has them, the newest last."""
        return [plan.as_json() for plan in self._plans.values()]


def _shape(operator: Operator) -> str:
    inside = ", ".join(map(_shape, operator.children))
    return f"{operator.kind}({inside})" if inside else operator.kind
