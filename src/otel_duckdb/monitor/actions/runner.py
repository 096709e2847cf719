"""Runs actions, one after another: switched on or refused, told as a span, a counter, an event and a result."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import SpanKind, StatusCode

from otel_duckdb import contract
from otel_duckdb.contract import monitor as names
from otel_duckdb.core.errors import error_type
from otel_duckdb.monitor.actions.action import (
    NothingToDo,
    Outcome,
    Refused,
    Result,
    Target,
    disk_bytes,
    resident_bytes,
    used_bytes,
)
from otel_duckdb.settings import SettingError
from otel_duckdb.telemetry.counter import Counter
from otel_duckdb.telemetry.locks import make_reentrant_lock
from otel_duckdb.telemetry.section import in_section

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Tracer

    from otel_duckdb.core.source import Cursor, ObservedDatabase, Source
    from otel_duckdb.monitor.actions.action import Action
    from otel_duckdb.monitor.actions.memory_limit import MemoryLimits

_DEADLINE: Final = 30.0
"""Seconds after which what an action runs in DuckDB is interrupted."""
_KEPT: Final = 200


class ActionRunner:
    """Runs actions that are switched on; from any thread, one at a time.

    Attributes:
        actions: The actions there are, by name.
        allowed: The names of those that are switched on.
        source: What is instrumented, or None.
    """

    def __init__(
        self,
        actions: Iterable[Action],
        allowed: Iterable[str],
        limits: MemoryLimits,
        tracer: Tracer,
        meter: Meter,
        told: Callable[[Result], None] = lambda _result: None,
        deadline: float = _DEADLINE,
    ) -> None:
        """Tell `told` of every result.

        Raises:
            SettingError: an action that is allowed is unknown.
        """
        self.actions: Mapping[str, Action] = {action.name: action for action in actions}
        self.allowed = frozenset(allowed)
        for name in sorted(self.allowed - self.actions.keys()):
            raise SettingError(f"no action is called {name!r}; known are {', '.join(sorted(self.actions))}")
        self.limits = limits
        self.source: Source | None = None
        self._tracer = tracer
        self._counter = Counter(meter, contract.MONITOR_ACTIONS)
        self._told = told
        self._deadline = deadline
        self._lock = make_reentrant_lock()
        self._running: Cursor | None = None
        self._results: deque[Result] = deque(maxlen=_KEPT)

    def results(self) -> list[dict[str, Any]]:
        """The latest results as the API shows them, the newest first."""
        return [result.as_json() for result in reversed(self._results)]

    def run(
        self, name: str, database: str | None = None, *, by: str, dry_run: bool = False, argument: str = ""
    ) -> list[Result]:
        """Run one action on one database, by its label, or on every live one.

        Args:
            name: The action.
            database: The label of the database; None for all.
            by: On whose behalf: an alert's id, or who asked.
            dry_run: Whether only to say what would be done; for that an action need not be switched on.
            argument: What the action needs named, such as the id of an operation.

        Raises:
            SettingError: there is no such action, or it is not switched on.
        """
        action = self.actions.get(name)
        if action is None:
            raise SettingError(f"no action is called {name!r}; known are {', '.join(sorted(self.actions))}")
        if not dry_run and name not in self.allowed:
            raise SettingError(
                f"the action {name!r} is not switched on; OTEL_DUCKDB_MONITOR_ACTIONS names those that are"
            )
        source = self.source
        databases = [] if source is None else [one for one in source.live_databases() if database in {None, one.name}]
        results = []
        for one in databases:
            assert source is not None  # noqa: S101 - there are databases
            with self._lock:
                results.append(in_section(self._on)(action, source, one, by, argument, dry_run))
        return results

    def stop(self) -> None:
        """Interrupt what runs, for the program ends."""
        running = self._running
        if running is not None:
            with suppress(Exception):
                running.interrupt()

    def _on(
        self, action: Action, source: Source, database: ObservedDatabase, by: str, argument: str, dry_run: bool
    ) -> Result:
        result = Result(action.name, database.name, Outcome.FAILED, "", by, time.time())
        begun = time.perf_counter()
        with self._tracer.start_as_current_span(
            names.SPAN_ACTION,
            kind=SpanKind.INTERNAL,
            attributes={names.ACTION_NAME: action.name, contract.DB_NAMESPACE: database.name},
        ) as span:
            try:
                cursor = database.open_cursor()
                if cursor is None:
                    raise Refused("the database is closed")  # noqa: TRY301 - told like any other refusal
                try:
                    self._with_cursor(action, Target(source, database, cursor, argument), result, dry_run)
                finally:
                    cursor.close()
            except Refused as refusal:
                result.outcome, result.detail = Outcome.REFUSED, str(refusal)
            except NothingToDo as nothing:
                result.outcome, result.detail = Outcome.NOTHING, str(nothing)
            except Exception as error:
                result.detail = error_type(error)  # its message may hold values
                span.set_status(StatusCode.ERROR, result.detail)
                span.set_attribute(contract.ERROR_TYPE, result.detail)
                source.report("actions", error)
            result.seconds = time.perf_counter() - begun
            span.set_attribute(names.ACTION_OUTCOME, result.outcome.value)
            span.set_attribute(names.ACTION_DETAIL, result.detail)
            if result.after:
                span.set_attribute(names.ACTION_RESIDENT_BEFORE, result.before["resident"])
                span.set_attribute(names.ACTION_RESIDENT_AFTER, result.after["resident"])
        if result.outcome is not Outcome.PLANNED:
            self._counter.add(1, {contract.ACTION: action.name, contract.OUTCOME: result.outcome.value})
        self._results.append(result)
        self._told(result)
        return result

    def _with_cursor(self, action: Action, target: Target, result: Result, dry_run: bool) -> None:
        if dry_run:
            result.detail = action.plan(target)
            result.outcome = Outcome.PLANNED
            result.before = self._measured(action, target)
            return
        self._running = target.cursor
        timer = threading.Timer(self._deadline, target.cursor.interrupt)
        timer.daemon = True
        timer.start()
        try:
            result.before = self._measured(action, target)
            result.detail = action.run(target)
            result.after = self._measured(action, target)
            result.outcome = Outcome.DONE
        finally:
            timer.cancel()
            self._running = None

    def _measured(self, action: Action, target: Target) -> dict[str, int]:
        measured = {"resident": resident_bytes()}
        if "used" in action.measures:
            measured["used"] = used_bytes(target.cursor)
        if "disk" in action.measures:
            measured["disk"] = disk_bytes(target.database.path)
        if "limit" in action.measures:
            with suppress(Refused):
                measured["limit"] = self.limits.exact(target)
        figures = getattr(action, "figures", None)
        return measured if figures is None else {**measured, **figures(target)}
