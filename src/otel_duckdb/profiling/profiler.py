"""Which connection DuckDB profiles when, and whose profile it then holds.

Profiling belongs to a connection and is switched by a PRAGMA, which is a statement like any other. So it is run only
where nothing the caller can see depends on it: no open result is lost that the caller's own call would not drop, the
connection's `description` stays, no transaction is aborted, and settings of the user's are never touched.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol
from weakref import WeakSet

from otel_duckdb.core.listener import Listener
from otel_duckdb.core.operation import ConnectionProfiling
from otel_duckdb.profiling.reader import is_disabled, read_profile

if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from types import ModuleType

    from otel_duckdb.core.operation import Connection, Operation, ResultHolder
    from otel_duckdb.core.profile import Profile
    from otel_duckdb.settings import Settings

logger: Final = logging.getLogger("otel_duckdb")

_ON: Final = "PRAGMA enable_profiling='no_output'"
_OFF: Final = "PRAGMA disable_profiling"
_LOCKED: Final = "SELECT current_setting('lock_configuration')"
_KEPT: Final = 256
_QUICK_IN_A_ROW: Final = 10


class _Everything:
    """Contains everything."""

    def __contains__(self, _item: object) -> bool:
        return True


class Run(Protocol):
    """Runs one statement on a connection, unheard."""

    def __call__(self, target: Any, sql: str, /) -> Any:
        """Run it."""


class Profiler(Listener):
    """Switches profiling before an operation begins, and reads the profile when it has ended.

    `watched` holds the statements that were slow, and the connections that are profiled at the moment.
    """

    component = "profile"

    def __init__(self, mode: str, slow_ns: float, duckdb: ModuleType) -> None:
        self._all = mode == "all"
        self._slow_ns = slow_ns
        self._slow: dict[str, int] = {}
        self._on: WeakSet[Connection] = WeakSet()
        self._marks: set[object] = set()
        self.watched: Container[object] = _Everything() if self._all else self._marks
        self._stopped = False
        self._refused: type[BaseException] = duckdb.Error
        self._connection = vars(duckdb.DuckDBPyConnection)

    # Before an operation begins.

    def before_execute(self, operation: Operation, holder: ResultHolder, replaces: bool) -> None:
        """Switch profiling on or off for the operation.

        `replaces` says that its call gives up the connection's open result before it runs.
        """
        connection = operation.connection
        if holder.connection_inferred or connection is None:
            self._forget_all()
            return
        # Refused by an aborted transaction, an open result we do not know of, or a closed connection.
        with suppress(self._refused):
            self._prepare(connection, operation, replaces)

    def _prepare(self, connection: Connection, operation: Operation, replaces: bool) -> None:
        target = None if connection.closed or connection.reference is None else connection.reference()
        if target is None:
            return
        profiling = connection.profiling
        if profiling is None:
            profiling = connection.profiling = ConnectionProfiling()
        if connection.busy_thread or not profiling.lock.acquire(blocking=False):
            profiling.operation = None  # two threads on one connection: nobody knows whose profile it will be
            return
        try:
            self._settle(profiling, target)
            if operation.statement.profiling:
                self._stand_down(connection, profiling, operation, replaces, target)
            elif not profiling.user_controlled:
                self._switch(connection, profiling, operation, replaces, target)
        finally:
            profiling.lock.release()

    def _forget_all(self) -> None:
        """A relation of unknown connection runs: what any connection holds may be its profile from now on."""
        for connection in tuple(self._on):
            if connection.profiling is not None:
                connection.profiling.operation = None

    def _stand_down(
        self, connection: Connection, profiling: ConnectionProfiling, operation: Operation, replaces: bool, target: Any
    ) -> None:
        if profiling.on:
            self._set(connection, profiling, operation, replaces, target, on=False)
        profiling.user_controlled = True

    def _switch(
        self, connection: Connection, profiling: ConnectionProfiling, operation: Operation, replaces: bool, target: Any
    ) -> None:
        # On DuckDB 1.5 a relation's explain(ANALYZE) says something else on a connection that is profiled.
        wanted = (
            operation.accepted
            and operation.statement.kind != "EXPLAIN"
            and (self._all or (operation.statement.redacted in self._slow and _is_one_statement(operation)))
        )
        if wanted is not profiling.on:
            self._set(connection, profiling, operation, replaces, target, on=wanted)
        covers = _is_one_statement(operation) or (self._all and _is_script(operation))
        if profiling.on and operation.accepted and covers:
            profiling.operation, profiling.exact = operation, replaces

    def _set(
        self,
        connection: Connection,
        profiling: ConnectionProfiling,
        operation: Operation,
        replaces: bool,
        target: Any,
        *,
        on: bool,
    ) -> None:
        run = self._runner(connection, operation, replaces)
        if run is None:
            return
        if on and not is_disabled(self._original("get_profiling_information")(target)):
            profiling.user_controlled = True
            return
        if self._is_locked(target):
            return
        run(target, _ON if on else _OFF)
        profiling.on = on
        if on:
            self._on.add(connection)
            self._marks.add(connection)
        else:
            self._on.discard(connection)
            self._marks.discard(connection)

    def _runner(self, connection: Connection, operation: Operation, replaces: bool) -> Run | None:
        """How to run a PRAGMA that no open result and no `description` of the connection suffers from."""
        submit = self._connection.get("_submit")
        if connection.operation is None:
            return self._original("sql") if submit is None else self._original("_submit")
        if not replaces or not isinstance(operation.parameters, list | tuple | dict | None):
            return None  # such a call may yet be refused, and then leave the open result as it is
        return self._original("sql" if submit is None else "execute")

    def _is_locked(self, target: Any) -> bool:
        """Whether the user has locked the configuration: a PRAGMA would fail, and abort an open transaction."""
        cursor = self._original("cursor")(target)
        try:
            self._original("execute")(cursor, _LOCKED)
            return bool(self._original("fetchone")(cursor)[0])
        finally:
            self._original("close")(cursor)

    def _original(self, name: str) -> Callable[..., Any]:
        method = self._connection[name]
        original: Callable[..., Any] = getattr(method, "__wrapped__", method)
        return original

    # When an operation has ended.

    def became_slow(self, operation: Operation) -> None:
        """Have the statement profiled from its next execution on."""
        self._remember(operation)

    def finished(self, operation: Operation) -> None:
        """Give the ended operation its profile, and remember its statement if it was slow."""
        # Each property costs a frame, and this is told of every operation.
        if operation.accepted and operation.execute_ns + operation.fetch_ns > self._slow_ns:
            self._remember(operation)
        connection = operation.connection
        if connection is None:
            return
        if operation.statement.profiling:
            self.profiling_taken(connection)
        elif connection.profiling is not None and connection.profiling.operation is operation:
            self._finish(operation, connection, connection.profiling)

    def _finish(self, operation: Operation, connection: Connection, profiling: ConnectionProfiling) -> None:
        target = None if connection.reference is None else connection.reference()
        if self._stopped or target is None or connection.busy_thread or not profiling.lock.acquire(blocking=False):
            profiling.operation = None
            return
        try:
            self._settle(profiling, target)
        except self._refused:
            pass  # the connection is busy or closed
        finally:
            profiling.lock.release()
        if not self._all and operation.duration_ns <= self._slow_ns:
            self._was_quick(operation.statement.redacted)

    def _remember(self, operation: Operation) -> None:
        if self._all or operation.name is not None:
            return
        key = operation.statement.redacted
        while len(self._slow) >= _KEPT and key not in self._slow:
            self._forget(next(iter(self._slow)))
        self._slow[key] = _QUICK_IN_A_ROW
        self._marks.add(key)

    def _was_quick(self, key: str) -> None:
        left = self._slow.get(key, 0) - 1
        if left > 0:
            self._slow[key] = left
        else:
            self._forget(key)

    def _forget(self, key: str) -> None:
        self._slow.pop(key, None)
        self._marks.discard(key)

    def profiling_taken(self, connection: Connection) -> None:
        """The user has taken the profiling of the connection into their own hands."""
        if connection.profiling is None:
            connection.profiling = ConnectionProfiling()
        connection.profiling.user_controlled = True

    def stop(self) -> None:
        """Read no more: calls of other threads go unheard from now on, so nobody knows whose profile it would be."""
        self._stopped = True

    def connection_closed(self, connection: Connection) -> None:
        """The connection is closed or collected."""
        self._marks.discard(connection)
        self._on.discard(connection)

    def _settle(self, profiling: ConnectionProfiling, target: Any) -> None:
        """Read the profile for the operation it belongs to, before the next statement takes its place."""
        operation, profiling.operation = profiling.operation, None
        if (
            operation is None
            or operation.error is not None
            or operation.profile is not None
            or profiling.user_controlled
        ):
            return
        text = self._original("get_profiling_information")(target)
        if is_disabled(text):
            profiling.user_controlled = True
            return
        profile = read_profile(text)
        if profile is not None and _belongs(profile, operation, profiling.exact):
            operation.profile = profile


def make_profiler(settings: Settings, duckdb: ModuleType) -> Profiler | None:
    """The profiler that the settings ask for, or None where nothing is to be profiled, or nothing can be."""
    if settings.profile == "off":
        return None
    if not hasattr(duckdb.DuckDBPyConnection, "get_profiling_information"):
        logger.info(
            "otel_duckdb: no query profiles on DuckDB %s, whose client cannot read them; they need DuckDB 1.5 or later",
            duckdb.__version__,
        )
        return None
    return Profiler(settings.profile, settings.slow_threshold_ms * 1e6, duckdb)


def _is_one_statement(operation: Operation) -> bool:
    """Whether DuckDB's profile covers all of the operation: of a script or a batch it has the last statement only."""
    return operation.name is None and not operation.is_batch and operation.statement.count == 1


def _is_script(operation: Operation) -> bool:
    return operation.name is None and not operation.is_batch and operation.statement.count > 1


def _belongs(profile: Profile, operation: Operation, exact: bool) -> bool:
    if not profile.sql:
        return profile.partial or not exact
    sql = profile.sql.strip().rstrip(";").strip()
    if _is_script(operation):  # of which the last statement may be one that is not profiled
        return operation.text.strip().rstrip(";").strip().endswith(sql)
    if sql in operation.text:
        return True
    # DuckDB renders a relation's SQL anew: then at least every table must be found in it.
    folded = sql.casefold()
    return not exact and all(target.casefold() in folded for target in operation.statement.targets)
