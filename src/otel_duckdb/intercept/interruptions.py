"""What is undone where a signal's exception, as Ctrl-C is, breaks code of ours off in the middle of a call.

It can come at any line, and goes on to the user. The connection is heard again afterwards, no span of ours stays
current, and the operation that was under way is over.
"""

from __future__ import annotations

import traceback
from threading import get_ident
from typing import TYPE_CHECKING, Any

from otel_duckdb.core.dispatcher import Call

if TYPE_CHECKING:
    from otel_duckdb.core.operation import Operation, ResultHolder
    from otel_duckdb.intercept.duckdb2 import Scopes
    from otel_duckdb.intercept.gate import Gate
    from otel_duckdb.intercept.relations import Relations


class Interruptions:
    """Told by the wrappers where code of ours raised, or was broken off."""

    def __init__(self, gate: Gate, relations: Relations, scopes: Scopes) -> None:
        """Look at the connections of `gate`, at `relations`, and at the public calls of DuckDB 2 in `scopes`."""
        self._gate = gate
        self._relations = relations
        self._scopes = scopes

    def report(self, fault: Exception) -> None:
        """A hook raised; a method that was called without its object is the caller's fault, and DuckDB says so."""
        if not (isinstance(fault, IndexError) and _was_given_nothing(fault)):
            self._gate.report(fault)

    def interrupted(self, entered: Any, error: BaseException) -> None:
        """End what this thread had begun, of which `entered` is what a hook's `begin` returned, or None."""
        thread = get_ident()
        for holder in (*self._gate.connections, *self._relations.working()):
            call = holder.call
            if holder.busy_thread == thread:
                holder.busy_thread = holder.busy_since_ns = 0
                if isinstance(call, Call):
                    self._end(call, error)
        for connection in [key for key, scope in tuple(self._scopes.items()) if scope.thread == thread]:
            del self._scopes[connection]
        begun = _call_of(entered)
        if begun is not None:
            self._end(begun, error)
        elif (operation := getattr(entered, "operation", None)) is not None:
            self._gate.end(operation, error)

    def _end(self, call: Call, error: BaseException) -> None:
        call.give_up()
        holder: ResultHolder = call.holder
        operation: Operation = call.operation
        self._gate.end(operation, error, holder=holder)


def _was_given_nothing(fault: IndexError) -> bool:
    """Whether the hook that raised looked for the object among no arguments."""
    frames = [frame for frame, _ in traceback.walk_tb(fault.__traceback__)]
    return bool(frames) and frames[-1].f_locals.get("arguments") == ()


def _call_of(entered: Any) -> Call | None:
    """The call in what a hook's `begin` returned: itself, the first of a tuple, or an attribute."""
    if isinstance(entered, tuple) and entered and isinstance(entered[0], Call):
        return entered[0]
    call = entered if isinstance(entered, Call) else getattr(entered, "call", None)
    return call if isinstance(call, Call) else None
