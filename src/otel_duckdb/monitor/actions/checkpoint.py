"""The action that empties the write-ahead log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from otel_duckdb.monitor.actions.action import NothingToDo, Refused

if TYPE_CHECKING:
    from otel_duckdb.monitor.actions.action import Target

_WAITS: Final = (0.2, 0.5, 1.0)
"""Seconds between attempts."""


class Checkpoint:
    """Runs CHECKPOINT, which fails at once where a transaction is in its way; never FORCE, which stops everybody."""

    name = "checkpoint"
    meaning = "Run CHECKPOINT, with retries, so that the write-ahead log is emptied; never FORCE CHECKPOINT."
    measures: tuple[str, ...] = ("disk",)

    def plan(self, target: Target) -> str:
        """Say that it would be run."""
        if target.database.path is None:
            raise NothingToDo("a database in memory has no write-ahead log")
        (read_only,) = target.cursor.rows(
            "select coalesce(system.main.bool_or(readonly), false) from system.main.duckdb_databases()"
            " where database_name = system.main.current_database()"
        )[0]
        if read_only:
            raise NothingToDo("the database is open for reading alone")
        return "run CHECKPOINT"

    def run(self, target: Target) -> str:
        """Run it, and again where a transaction is in its way."""
        self.plan(target)
        for attempt, wait in enumerate((*_WAITS, None), 1):
            try:
                target.cursor.run("checkpoint")
            except Exception as error:
                if type(error).__name__ != "TransactionException":
                    raise
                if wait is None:
                    raise Refused(f"a transaction was in its way, {attempt} times") from error
                time.sleep(wait)
            else:
                return f"CHECKPOINT, at attempt {attempt}"
        raise AssertionError  # the last attempt returns or raises
