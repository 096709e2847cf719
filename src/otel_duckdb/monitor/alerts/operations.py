"""What alerts must know of operations: how many failed for want of memory, and which take longer than they used to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_duckdb import contract
from otel_duckdb.core.errors import error_type
from otel_duckdb.core.listener import Listener

if TYPE_CHECKING:
    from otel_duckdb.core.operation import Operation
    from otel_duckdb.monitor.alerts.measures import Labels, Values

_STATEMENTS: Final = 500
_LEARNT: Final = 50
"""Operations of a statement from which its own past is known."""
_SLOW: Final = 0.01
"""How much one operation moves what is taken for a statement's past."""
_QUICK: Final = 0.2
"""How much it moves what is taken for its present."""
_NOTICED_NS: Final = 20e6
"""Nanoseconds that a statement must have got slower by, that a user feels."""


class _Statement:
    """The past and the present of one statement's duration."""

    __slots__ = ("calls", "past_ns", "present_ns", "summary")

    def __init__(self, summary: str, duration_ns: float) -> None:
        self.summary = summary
        self.calls = 0
        self.past_ns = self.present_ns = duration_ns

    @property
    def times_slower(self) -> float:
        """How many times as long as in its past it takes now; 1 where there is too little past to tell."""
        if self.calls < _LEARNT or self.present_ns - self.past_ns < _NOTICED_NS:
            return 1.0
        return self.present_ns / max(self.past_ns, 1.0)


class OperationWatch(Listener):
    """Counts failures, and keeps past and present of the statements that came first; of others it knows nothing."""

    component = "alerts"

    def __init__(self) -> None:
        self._statements: dict[tuple[str, str], _Statement] = {}
        self._errors: dict[str, Values] = {}

    def record(self, operation: Operation) -> None:
        """Take note of an operation that is over."""
        duration_ns = operation.execute_ns + operation.fetch_ns
        connection = operation.connection
        label = "" if connection is None else connection.label
        if operation.error is not None:
            of_kind = self._errors.setdefault(error_type(operation.error), {})
            labels: Labels = ((contract.DATABASE, label),) if label else ()
            of_kind[labels] = of_kind.get(labels, 0.0) + 1
            return
        key = (label, operation.statement.redacted)
        known = self._statements.get(key)
        if known is None:
            if len(self._statements) < _STATEMENTS:
                self._statements[key] = _Statement(operation.statement.summary, duration_ns)
            return
        known.calls += 1
        known.present_ns += _QUICK * (duration_ns - known.present_ns)
        # The past learns from the mean while it is young, and slowly afterwards.
        known.past_ns += max(_SLOW, 1 / (known.calls + 1)) * (duration_ns - known.past_ns)

    def errors(self, kind: str) -> Values:
        """How many operations ended in an error of this class, by database, since the beginning."""
        return dict(self._errors.get(kind, {})) or {(): 0.0}

    def changed(self) -> Values:
        """How many times slower the most changed statement of each summary is than it used to be, by database."""
        values: Values = {}
        for (label, _), statement in self._statements.copy().items():
            times = statement.times_slower
            labels = ((contract.DATABASE, label), (contract.DB_QUERY_SUMMARY, statement.summary))
            if times > 1.0:
                values[labels] = max(times, values.get(labels, 1.0))
        return values
