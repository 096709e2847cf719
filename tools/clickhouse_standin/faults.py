"""The faults the stand-in can be told to have."""

from __future__ import annotations

import enum
import re
import threading
from dataclasses import asdict, dataclass, field
from typing import Any


class Kind(enum.StrEnum):
    """What goes wrong with a request."""

    RESET = "reset"
    """The connection is reset while the request's body arrives; nothing was done."""
    ERROR = "error"
    """ClickHouse answers with an exception; nothing was done."""
    LOST_ANSWER = "lost answer"
    """The statement is done, then nothing is answered for `seconds`, then the connection is reset."""
    SLOW = "slow"
    """The statement waits for `seconds`, then is done and answered."""
    STATUS = "status"
    """A proxy answers with the HTTP `status` and a page of its own; nothing was done."""
    LATE_STATUS = "late status"
    """The statement is done, but a proxy answers with the HTTP `status` after `seconds`."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, for statements that the regular expression `statement` finds (case is ignored).

    The first `after` of them pass unharmed, the next `times` meet the fault (None: all further ones); `code` is the
    number of ClickHouse's error.
    """

    kind: Kind
    statement: str = ""
    times: int | None = None
    after: int = 0
    seconds: float = 0.0
    code: int = 241
    status: int = 500

    def to_json(self) -> dict[str, Any]:
        """The fault as the control endpoint takes it."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Fault:
        """Read a fault. Raises TypeError, ValueError or re.error where it is none."""
        fault = cls(**{**values, "kind": Kind(values["kind"])})
        re.compile(fault.statement)
        return fault


@dataclass(slots=True)
class _Armed:
    fault: Fault
    seen: int = 0
    met: int = 0

    def meets(self, statement: str) -> bool:
        if not re.search(self.fault.statement, statement, re.IGNORECASE):
            return False
        self.seen += 1
        if self.seen <= self.fault.after or (self.fault.times is not None and self.met >= self.fault.times):
            return False
        self.met += 1
        return True


@dataclass(slots=True)
class Faults:
    """The faults in force; the first that fits a statement is the one it meets."""

    _armed: list[_Armed] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def arm(self, fault: Fault) -> None:
        """Put a fault in force, behind those that are."""
        with self._lock:
            self._armed.append(_Armed(fault))

    def clear(self) -> None:
        """End all faults."""
        with self._lock:
            self._armed.clear()

    def meet(self, statement: str) -> Fault | None:
        """Tell which fault this statement meets, and count that it did."""
        with self._lock:
            return next((armed.fault for armed in self._armed if armed.meets(statement)), None)

    def report(self) -> list[dict[str, Any]]:
        """Each fault in force, and how many statements met it."""
        with self._lock:
            return [{**armed.fault.to_json(), "met": armed.met} for armed in self._armed]
