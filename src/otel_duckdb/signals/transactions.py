"""Turns the transactions of all connections into counters and an average latency."""

from __future__ import annotations

from functools import partial
from time import monotonic, perf_counter_ns
from typing import TYPE_CHECKING

from opentelemetry.metrics import Observation

from otel_duckdb import contract
from otel_duckdb.core.listener import Listener
from otel_duckdb.core.transaction import READ, WRITE, Rules, Step, Transaction
from otel_duckdb.telemetry.locks import make_lock
from otel_duckdb.telemetry.window import Average

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import ModuleType

    from otel_duckdb.core.operation import Connection, Operation
    from otel_duckdb.core.transaction import Outcome
    from otel_duckdb.statement import Statement
    from otel_duckdb.telemetry.gauges import CallbackRegistry


_OF_PREPARED = frozenset({"PREPARE", "EXECUTE"})


class _Tally:
    """What is counted of one database's transactions."""

    def __init__(self) -> None:
        self.lock = make_lock()
        self.succeeded = 0
        self.failed = 0
        self.latency = Average()
        self.used = monotonic()
        self.is_told = True
        """Whether what was counted has been read since."""

    def count(self, outcome: Outcome) -> None:
        with self.lock:
            if outcome.success:
                self.succeeded += outcome.number
            elif outcome.success is False:
                self.failed += outcome.number
            self.used = monotonic()
            self.is_told = False
        self.latency.add(outcome.milliseconds, outcome.number)


class _Tallies(dict[str, _Tally]):
    """The tallies by database, of no more databases than a label may name."""

    def __init__(self, limit: int = contract.TABLE_NAME_LIMIT) -> None:
        super().__init__()
        self._limit = limit
        self._lock = make_lock()

    def __missing__(self, name: str) -> _Tally:
        with self._lock:
            named = [known for known in self if known != contract.OTHER]
            if len(named) >= self._limit and name not in (*named, contract.OTHER):
                self._forget(self.pop(min(named, key=lambda known: self[known].used)))
            return self.setdefault(name, _Tally())

    def _forget(self, tally: _Tally) -> None:
        """Add what nobody has read yet to that of all other databases."""
        if not tally.is_told:
            other = self.setdefault(contract.OTHER, _Tally())
            with other.lock:
                other.succeeded += tally.succeeded
                other.failed += tally.failed
                other.is_told = False


class Transactions(Listener):
    """Follows the transaction of every connection; what it counts is read when metrics are collected."""

    component = "transactions"

    def __init__(self, duckdb: ModuleType, labels: Callable[[], Mapping[str, str]]) -> None:
        """Put what `labels` returns on every point."""
        self._rules = Rules(duckdb)
        self._labels = labels
        self._tallies = _Tallies()

    def register(self, callbacks: CallbackRegistry) -> None:
        """Let the counters and the average latency be observed."""
        callbacks.add(contract.TRANSACTION_SUCCESS, partial(self._points, lambda tally: tally.succeeded))
        callbacks.add(contract.TRANSACTION_FAILURE, partial(self._points, _told))
        callbacks.add(contract.TRANSACTION_LATENCY, partial(self._points, lambda tally: tally.latency.read()))

    def connection_opened(self, connection: Connection, _target: object) -> None:
        """Let the counters of a database start at 0."""
        self._tallies[connection.label].used = monotonic()

    def finished(self, operation: Operation) -> None:
        """Take note of an operation's end."""
        connection, statement, error = operation.connection, operation.statement, operation.error
        if connection is None:
            return
        transaction: Transaction | None = connection.transaction
        is_read = statement.count == 1 and not statement.writes[0] and not statement.transaction
        if is_read and statement.kind not in _OF_PREPARED:
            if transaction is None or not (transaction.is_aborted if error is None else transaction.is_open):
                return
        elif transaction is None:
            transaction = connection.transaction = Transaction(self._rules)
        if not operation.was_executed and type(error).__name__ != "ParserException":
            return
        if statement.prepared and error is None:
            transaction.prepared.update(statement.prepared)
        step = Step(
            words(statement, transaction.prepared),
            operation.start_ns,
            operation.last_call_ns,
            operation.duration_ns,
            error,
            operation.batch_size or 1,
        )
        self._count(connection, transaction.finished(step))

    def connection_closed(self, connection: Connection) -> None:
        """Take note that a connection is gone, and with it its open transaction."""
        if connection.transaction is not None:
            self._count(connection, connection.transaction.closed(perf_counter_ns()))

    def _count(self, connection: Connection, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            self._tallies[connection.label].count(outcome)

    def _points(self, value: Callable[[_Tally], float | None]) -> Iterable[Observation]:
        for name, tally in self._tallies.copy().items():
            number = value(tally)
            if number is not None:
                yield Observation(number, {**self._labels(), contract.DATABASE: name})


def _told(tally: _Tally) -> int:
    with tally.lock:  # the successes of this collection are told before
        tally.is_told = True
        return tally.failed


def words(statement: Statement, prepared: Mapping[str, bool]) -> tuple[str, ...]:
    """What each statement of a text does to the transaction; `prepared` tells of those that EXECUTE runs."""
    each = zip(statement.transactions, statement.writes, statement.executed, strict=True)
    return tuple([word or (WRITE if writes or prepared.get(name) else READ) for word, writes, name in each])
