"""What alerts must know of operations: how many failed, by the class of their error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_duckdb import contract
from otel_duckdb.core.errors import error_type
from otel_duckdb.core.listener import Listener

if TYPE_CHECKING:
    from otel_duckdb.core.operation import Operation
    from otel_duckdb.monitor.alerts.measures import Labels, Values


class OperationWatch(Listener):
    """Counts failures."""

    component = "alerts"

    def __init__(self) -> None:
        self._errors: dict[str, Values] = {}

    def failed(self, operation: Operation) -> None:
        """Take note of an operation that ended with an error."""
        if operation.error is None:
            return
        connection = operation.connection
        label = "" if connection is None else connection.label
        of_kind = self._errors.setdefault(error_type(operation.error), {})
        labels: Labels = ((contract.DATABASE, label),) if label else ()
        of_kind[labels] = of_kind.get(labels, 0.0) + 1

    def errors(self, kind: str) -> Values:
        """How many operations ended in an error of this class, by database, since the beginning."""
        return dict(self._errors.get(kind, {})) or {(): 0.0}
