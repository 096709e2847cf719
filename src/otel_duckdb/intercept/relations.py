"""What is known of live relations: where each was made, and what it has done so far."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otel_duckdb.core.operation import Connection, Operation
    from otel_duckdb.intercept.gate import Gate


class RelationState:
    """What a relation has done so far.

    Attributes:
        connection: The live connection it was made on, or None where that is not known.
        connection_inferred: Whether that is only the one connection we know of: good for a label, not for touching it.
        text: The caller's SQL text, if the relation is just that query, or an empty string.
        operation: The operation whose result it holds open, or None.
        busy_thread: Identity of the thread in which DuckDB works for it, or 0.
        busy_since_ns: When that call of DuckDB began, by `time.perf_counter_ns()`, or 0.
        call: That call, or None.
        executed: Whether it ran at least once.
        exhausted: Whether it holds a result whose last row was fetched.
        displayed: Whether DuckDB keeps its rows for display.
    """

    __slots__ = (
        "__weakref__",
        "busy_since_ns",
        "busy_thread",
        "call",
        "connection",
        "connection_inferred",
        "displayed",
        "executed",
        "exhausted",
        "operation",
        "reference",
        "text",
    )

    def __init__(self, connection: Connection | None) -> None:
        self.connection = connection
        self.connection_inferred = False
        self.text = ""
        self.operation: Operation | None = None
        self.busy_thread = 0
        self.busy_since_ns = 0
        self.call: object | None = None
        self.executed = False
        self.exhausted = False
        self.displayed = False
        self.reference: weakref.ref[Any] | None = None


class HeldStates:
    """The states of live objects of DuckDB that hold results, by identity, without keeping any alive."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._states: dict[int, RelationState] = {}

    def find(self, target: Any) -> RelationState | None:
        """The state of an object that has one."""
        state = self._states.get(id(target))
        if state is None or (state.reference is not None and state.reference() is target):
            return state
        self._collected(id(target))  # a signal broke off what was done at the end of another one
        return None

    def open(self) -> list[RelationState]:
        """The states whose operation is still open."""
        return [state for state in tuple(self._states.values()) if state.operation is not None]

    def working(self) -> list[RelationState]:
        """The states DuckDB works for at the moment."""
        return [state for state in tuple(self._states.values()) if state.busy_thread]

    def settle(self) -> None:
        """Forget those that are gone, and whose end a signal broke off."""
        for key, state in tuple(self._states.items()):
            if state.reference is not None and state.reference() is None:
                self._collected(key)

    def _keep(self, target: Any, state: RelationState) -> None:
        key = id(target)
        state.reference = weakref.ref(target, lambda _: self._collected(key))
        self._states[key] = state

    def _collected(self, key: int) -> None:
        state = self._states.get(key)
        if state is not None and state.operation is not None:
            self._gate.connections.deferred(lambda: self._gate.hold(state, None))
        self._states.pop(key, None)


class Relations(HeldStates):
    """The states of live relations."""

    def add(self, relation: Any, connection: Connection | None) -> RelationState:
        """The state of the relation, made if it has none."""
        state = self.find(relation)
        if state is None:
            state = RelationState(connection)
            self._keep(relation, state)
        return state
