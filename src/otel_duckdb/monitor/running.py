"""What runs at the moment: operations and open transactions."""

from __future__ import annotations

import itertools
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

from otel_duckdb.core.listener import Listener
from otel_duckdb.telemetry.locks import make_reentrant_lock
from otel_duckdb.text import encodable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_duckdb.core.operation import Connection, Operation

_TEXT_CHARACTERS = 4096


class NotRunningError(LookupError):
    """The operation that was to be cancelled does not run any more; nothing was done."""


class _Known(NamedTuple):
    """An operation that has not ended, and what it is known by."""

    identity: int
    operation: Operation


class Running(Listener):
    """Every accepted operation from its start to its end, a result that is open and idle included."""

    component = "running"

    def __init__(self) -> None:
        self.running: set[Operation] = set()
        self._numbers = itertools.count(1)
        # Most operations have ended before anybody looks, so they are numbered by whoever does.
        self._identities: weakref.WeakKeyDictionary[Operation, int] = weakref.WeakKeyDictionary()
        self._lock = make_reentrant_lock()

    def find(self, identity: str) -> Operation | None:
        """Return the operation of an identity, None where it has ended or there is none."""
        return next((each.operation for each in self._known() if str(each.identity) == identity), None)

    def clear(self) -> None:
        """Forget all: nobody tells of their end any more."""
        self.running.clear()

    def cancel(self, identity: int) -> dict[str, Any]:
        """Interrupt DuckDB's work on the operation of that identity, and return what it was.

        Its transaction is aborted by that: what it wrote is lost.

        Raises:
            NotRunningError: it is not known, has ended, or DuckDB does not work on it at the moment.
        """
        known = next((each for each in self._known() if each.identity == identity), None)
        if known is None:
            raise NotRunningError(f"no operation {identity} runs; it may have ended")
        operation, connection = known.operation, known.operation.connection
        target = None if connection is None or connection.reference is None else connection.reference()
        described = _described(known, _threads(), time.perf_counter_ns(), _waits(self._known()))
        if target is None or connection is None or operation.ended or not connection.busy_thread:
            raise NotRunningError(f"DuckDB does not work on operation {identity} at the moment")
        if connection.operation not in (None, operation):
            raise NotRunningError(f"another operation has taken the place of operation {identity}")
        target.interrupt()
        return described

    def as_json(
        self, connections: Iterable[Connection], requests: Iterable[tuple[str, int, float]] = ()
    ) -> dict[str, Any]:
        """Return what runs as JSON has it: the longest first.

        Args:
            connections: They are asked for their transactions.
            requests: Who waits for a connection of a pool: the pool, the thread, and for how many seconds.
        """
        now, threads = time.perf_counter_ns(), _threads()
        known = [each for each in self._known() if not each.operation.ended]
        waits = _waits(known)
        operations = [_described(each, threads, now, waits) for each in known]
        operations.sort(key=lambda each: -each["elapsed_seconds"])
        transactions = [
            {"database": each.label, "seconds": age, "aborted": each.transaction.is_aborted}
            for each in connections
            if each.transaction is not None and (age := _age(each, now)) is not None
        ]
        waiting = [
            {"pool": pool, "thread": threads.get(thread), "seconds": seconds} for pool, thread, seconds in requests
        ]
        return {
            "operations": operations,
            "transactions": sorted(transactions, key=lambda each: -each["seconds"]),
            "pool_requests": sorted(waiting, key=lambda each: -each["seconds"]),
        }

    def _known(self) -> list[_Known]:
        with self._lock:
            return [
                _Known(self._identities.get(each) or self._identities.setdefault(each, next(self._numbers)), each)
                for each in sorted(self.running.copy(), key=_began)
            ]


def _waits(known: Iterable[_Known]) -> dict[int, int | None]:
    """The operations that wait for another on the same connection, by identity, and for which one.

    One that came to a connection that rested is at work, so those that came while it is wait. Where the first is over,
    one of the others works, and nobody can say which: for them the value is None.
    """
    executing: dict[Connection, list[_Known]] = {}
    for each in known:
        connection = each.operation.connection
        if connection is not None and not each.operation.execute_ns and not each.operation.ended:
            executing.setdefault(connection, []).append(each)
    waits: dict[int, int | None] = {}
    for connection, group in executing.items():
        first = min((each for each in group if not each.operation.came_second), key=_start, default=None)
        if first is not None:
            waits |= {each.identity: first.identity for each in group if each is not first}
        elif len(group) > 1 or (connection.operation is not None and not connection.operation.ended):
            waits |= {each.identity: None for each in group}
    return waits


def _start(known: _Known) -> int:
    return known.operation.start_ns


def _began(operation: Operation) -> int:
    return operation.start_ns


def _threads() -> dict[int, str]:
    return {thread.ident: thread.name for thread in threading.enumerate() if thread.ident is not None}


def _age(connection: Connection, now: int) -> float | None:
    transaction = connection.transaction
    begun = None if transaction is None else transaction.begun_ns
    return None if begun is None else (now - begun) / 1e9


def _described(known: _Known, threads: dict[int, str], now: int, waits: dict[int, int | None]) -> dict[str, Any]:
    operation = known.operation
    connection, caller = operation.connection, operation.caller
    busy = 0 if connection is None else connection.busy_thread
    fetching = operation.execute_ns > 0
    if known.identity in waits:
        phase = "execute or waiting" if waits[known.identity] is None else "waiting"
    else:
        phase = ("fetching" if fetching else "execute") if busy or not fetching else "idle result"
    return {
        "id": known.identity,
        "database": "" if connection is None else connection.label,
        "text": encodable(operation.statement.redacted[:_TEXT_CHARACTERS]),
        "phase": phase,
        "waits_for": waits.get(known.identity),
        "elapsed_seconds": (now - operation.start_ns) / 1e9,
        "worked_seconds": operation.duration_ns / 1e9,
        "rows": operation.rows,
        "caller": None if caller is None else encodable(f"{caller.path}:{caller.line}"),
        "thread": threads.get(busy if fetching else operation.thread),
        "transaction_seconds": None if connection is None else _age(connection, now),
    }
