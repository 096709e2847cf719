"""Turns the transactions of all connections into counters and an average latency."""

from __future__ import annotations

import re
from time import perf_counter_ns
from typing import TYPE_CHECKING, Final

from opentelemetry.metrics import Observation

from otel_duckdb import contract
from otel_duckdb.signals.window import Average
from otel_duckdb.transactions import READ, WRITE, Rules, Step, Transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import ModuleType

    from opentelemetry.metrics import Counter, Meter

    from otel_duckdb.contract import Metric
    from otel_duckdb.intercept.connections import Connection
    from otel_duckdb.observables import Observables
    from otel_duckdb.operation import Operation
    from otel_duckdb.statement import Statement
    from otel_duckdb.transactions import Outcome

_WRITES: Final = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE_INTO", "CREATE", "DROP", "ALTER", "COPY_DATABASE"})
_CONCERNED: Final = _WRITES | {"TRANSACTION", "COPY"}
_COPY_INTO: Final = re.compile(r'\s*COPY\s+(?!\()(?:"[^"]*"|[^\s"(])+\s*(?:\([^)]*\)\s*)?FROM\b', re.IGNORECASE)


class Transactions:
    """Follows the transaction of every connection."""

    def __init__(self, duckdb: ModuleType, meter: Meter, labels: Callable[[], Mapping[str, str]]) -> None:
        """Count on `meter`, with `labels` on every point."""
        self._rules = Rules(duckdb)
        self._labels = labels
        self._success = _counter(meter, contract.TRANSACTION_SUCCESS)
        self._failure = _counter(meter, contract.TRANSACTION_FAILURE)
        self._latencies: dict[str, Average] = {}

    def register(self, observables: Observables) -> None:
        """Let the average latency be observed."""
        observables.add(contract.TRANSACTION_LATENCY, self._latency)

    def opened(self, connection: Connection) -> None:
        """Let the counters of a database start at 0."""
        if connection.label not in self._latencies:
            self._latencies[connection.label] = Average()
            labels = self._of(connection)
            self._success.add(0, labels)
            self._failure.add(0, labels)

    def ended(self, operation: Operation) -> None:
        """Take note of an operation's end."""
        connection, statement, error = operation.connection, operation.statement, operation.error
        if connection is None:
            return
        transaction: Transaction | None = connection.transaction
        if transaction is None:
            if statement.count == 1 and statement.kind not in _CONCERNED:
                return
            transaction = connection.transaction = Transaction(self._rules)
        if not operation.ran and type(error).__name__ != "ParserException":
            return
        step = Step(
            words(statement),
            operation.started,
            operation.last,
            operation.duration_ns,
            error,
            operation.batch_size or 1,
        )
        self._record(connection, transaction.finished(step))

    def left(self, connection: Connection) -> None:
        """Take note that a connection is gone, and with it its open transaction."""
        if connection.transaction is not None:
            self._record(connection, connection.transaction.closed(perf_counter_ns()))

    def _record(self, connection: Connection, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            counter = self._success if outcome.success else self._failure
            counter.add(outcome.number, self._of(connection))
            average = self._latencies.get(connection.label)
            if average is not None:
                average.add(outcome.milliseconds, outcome.number)

    def _of(self, connection: Connection) -> dict[str, str]:
        return {**self._labels(), contract.DATABASE: connection.label}

    def _latency(self) -> Iterable[Observation]:
        for name, average in self._latencies.copy().items():
            milliseconds = average.read()
            if milliseconds is not None:
                yield Observation(milliseconds, {**self._labels(), contract.DATABASE: name})


def words(statement: Statement) -> tuple[str, ...]:
    """What each statement of a text does to the transaction."""
    if statement.kind == "COPY" and statement.count == 1:
        return (WRITE if _COPY_INTO.match(statement.redacted) else READ,)
    pairs = zip(statement.transactions, statement.kinds, strict=True)
    return tuple([transaction or (WRITE if kind in _WRITES else READ) for transaction, kind in pairs])


def _counter(meter: Meter, metric: Metric) -> Counter:
    return meter.create_counter(metric.name, metric.unit, metric.description)
