"""What runs at the moment: operations and open transactions."""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING, Any

from otel_duckdb.core.listener import Listener
from otel_duckdb.text import encodable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.context import Context

    from otel_duckdb.core.operation import Connection, Operation

_TEXT_CHARACTERS = 4096


class NotRunningError(LookupError):
    """The operation that was to be cancelled does not run any more; nothing was done."""


class Running(Listener):
    """Every accepted operation from its start to its end, a result that is open and idle included."""

    component = "running"

    def __init__(self) -> None:
        self._identities = itertools.count(1)
        self._operations: dict[int, tuple[int, Operation]] = {}

    def started(self, operation: Operation, _context: Context) -> None:
        """Take note of an operation."""
        self._operations[id(operation)] = next(self._identities), operation

    def finished(self, operation: Operation) -> None:
        """Forget it."""
        self._operations.pop(id(operation), None)

    def find(self, identity: str) -> Operation | None:
        """Return the operation of an identity, None where it has ended or there is none."""
        return next((each for known, each in tuple(self._operations.values()) if str(known) == identity), None)

    def clear(self) -> None:
        """Forget all: nobody tells of their end any more."""
        self._operations.clear()

    def cancel(self, identity: int) -> dict[str, Any]:
        """Interrupt DuckDB's work on the operation of that identity, and return what it was.

        Its transaction is aborted by that: what it wrote is lost.

        Raises:
            NotRunningError: it is not known, has ended, or DuckDB does not work on it at the moment.
        """
        operation = next((each for known, each in tuple(self._operations.values()) if known == identity), None)
        if operation is None:
            raise NotRunningError(f"no operation {identity} runs; it may have ended")
        connection = operation.connection
        target = None if connection is None or connection.reference is None else connection.reference()
        described = _described(identity, operation, _threads(), time.perf_counter_ns())
        if target is None or connection is None or operation.ended or not connection.busy_thread:
            raise NotRunningError(f"DuckDB does not work on operation {identity} at the moment")
        if connection.operation not in (None, operation):
            raise NotRunningError(f"another operation has taken the place of operation {identity}")
        target.interrupt()
        return described

    def as_json(self, connections: Iterable[Connection]) -> dict[str, Any]:
        """Return what runs as JSON has it: the longest first; `connections` are asked for their transactions."""
        now, threads = time.perf_counter_ns(), _threads()
        operations = [
            _described(identity, operation, threads, now)
            for identity, operation in tuple(self._operations.values())
            if not operation.ended
        ]
        operations.sort(key=lambda each: -each["elapsed_seconds"])
        transactions = [
            {"database": each.label, "seconds": age, "aborted": each.transaction.is_aborted}
            for each in connections
            if each.transaction is not None and (age := _age(each, now)) is not None
        ]
        return {"operations": operations, "transactions": sorted(transactions, key=lambda each: -each["seconds"])}


def _threads() -> dict[int, str]:
    return {thread.ident: thread.name for thread in threading.enumerate() if thread.ident is not None}


def _age(connection: Connection, now: int) -> float | None:
    transaction = connection.transaction
    begun = None if transaction is None else transaction.begun_ns
    return None if begun is None else (now - begun) / 1e9


def _described(identity: int, operation: Operation, threads: dict[int, str], now: int) -> dict[str, Any]:
    connection, caller = operation.connection, operation.caller
    busy = 0 if connection is None else connection.busy_thread
    fetching = operation.execute_ns > 0
    return {
        "id": identity,
        "database": "" if connection is None else connection.label,
        "text": encodable(operation.statement.redacted[:_TEXT_CHARACTERS]),
        "phase": ("fetching" if fetching else "execute") if busy or not fetching else "idle result",
        "elapsed_seconds": (now - operation.start_ns) / 1e9,
        "worked_seconds": operation.duration_ns / 1e9,
        "rows": operation.rows,
        "caller": None if caller is None else encodable(f"{caller.path}:{caller.line}"),
        "thread": threads.get(busy),
        "transaction_seconds": None if connection is None else _age(connection, now),
    }
