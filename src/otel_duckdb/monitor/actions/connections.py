"""Actions on the user's own connections: only what is known to be safe at that very moment."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any

from otel_duckdb.monitor.actions.action import NothingToDo, Refused
from otel_duckdb.monitor.actions.hold import held

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_duckdb.core.operation import Connection, Operation
    from otel_duckdb.monitor.actions.action import Target


class RollBackAborted:
    """Rolls back transactions that an error has aborted and whose connections are idle: nothing of them can be kept."""

    name = "rollback_aborted"
    meaning = "ROLLBACK transactions that are known as aborted, on connections that are idle; never any other."
    measures: tuple[str, ...] = ()

    @staticmethod
    def _aborted(target: Target) -> list[Connection]:
        return [
            one
            for one in target.connections()
            if one.transaction is not None
            and one.transaction.is_aborted
            and not one.busy_thread
            and one.operation is None
        ]

    def plan(self, target: Target) -> str:
        """Say how many there are."""
        number = len(self._aborted(target))
        if not number:
            raise NothingToDo("no idle connection has an aborted transaction")
        return f"roll back {number} aborted transaction{'s' if number > 1 else ''}"

    def run(self, target: Target) -> str:
        """Roll them back, while new statements are held back."""
        self.plan(target)
        with held(target.source, target.database.name):
            chosen = self._aborted(target)  # looked at anew: the owner may have gone on
            done = [connection for connection in chosen if _roll_back(connection)]
        if not done:
            raise NothingToDo("their owners went on by themselves")
        return f"rolled back {len(done)} aborted transaction{'s' if len(done) > 1 else ''}"


def _roll_back(connection: Connection) -> bool:
    target: Any = None if connection.reference is None else connection.reference()
    if target is None:
        return False
    # Recorded like a call of the program's, so that the transaction is known to be over.
    contextvars.Context().run(target.execute, "ROLLBACK")
    return True


class Interrupt:
    """Interrupts one operation, by its id. Its transaction is aborted by that: the work in it is lost."""

    name = "interrupt"
    meaning = "Interrupt one running operation, by its id. Its transaction is aborted, and the work in it is lost."
    measures: tuple[str, ...] = ("used",)

    def __init__(self, find: Callable[[str], Operation | None]) -> None:
        """`find` returns the operation of an id, None where it is over."""
        self._find = find

    def _running(self, target: Target) -> tuple[Operation, Any]:
        if not target.argument:
            raise Refused("no operation was named by its id")
        operation = self._find(target.argument)
        connection = None if operation is None else operation.connection
        if operation is None or operation.ended or connection is None or connection.label != target.database.name:
            raise NothingToDo(f"no operation of the id {target.argument!r} runs")
        if connection.operation is not operation and not connection.busy_thread:
            raise NothingToDo("the operation is over")
        return operation, None if connection.reference is None else connection.reference()

    def plan(self, target: Target) -> str:
        """Say which statement would be interrupted."""
        operation, _ = self._running(target)
        return f"interrupt {operation.statement.summary or operation.name or 'the operation'}"

    def run(self, target: Target) -> str:
        """Interrupt it, if it is the same operation still."""
        operation, connection = self._running(target)
        if connection is None:
            raise NothingToDo("its connection is closed")
        connection.interrupt()
        return f"interrupted {operation.statement.summary or operation.name or 'the operation'}"
