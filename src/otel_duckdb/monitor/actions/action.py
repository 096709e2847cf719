"""An action, what it needs, and what came of it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Protocol

import psutil

from otel_duckdb.monitor.times import iso

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_duckdb.core.operation import Connection
    from otel_duckdb.core.source import Cursor, ObservedDatabase, Source


class Outcome(Enum):
    """How an action ended."""

    DONE = "done"
    NOTHING = "nothing to do"
    REFUSED = "refused"
    FAILED = "failed"
    PLANNED = "planned"


class Refused(Exception):  # noqa: N818 - the word for what happens
    """What must hold for the action does not: nothing was changed."""


class NothingToDo(Exception):  # noqa: N818 - the word for what happens
    """The action would change nothing."""


@dataclass(slots=True)
class Result:
    """What came of one action on one database.

    Attributes:
        action: The action's name.
        database: The database's label in the metrics; empty where the action is one of the whole process.
        outcome: How it ended.
        detail: One sentence.
        by: On whose behalf: the id of an alert, or who asked by hand.
        started: When it began, in seconds since 1970.
        seconds: How long it took.
        before: Bytes before: `resident`, and `used` (DuckDB's own figure), `disk`, `limit` where they matter; of some
            actions a count, such as `pending_rows`.
        after: The same afterwards.
    """

    action: str
    database: str
    outcome: Outcome
    detail: str
    by: str
    started: float
    seconds: float = 0.0
    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)

    @property
    def freed(self) -> int:
        """Bytes of resident memory and of disk that there are less of than before, together."""
        names = ("resident", "disk")
        return sum(max(0, self.before[name] - self.after[name]) for name in names if name in self.after)

    def as_json(self) -> dict[str, Any]:
        """The result as the API shows it."""
        return {
            "action": self.action,
            "database": self.database,
            "outcome": self.outcome.value,
            "detail": self.detail,
            "by": self.by,
            "started": iso(self.started),
            "seconds": round(self.seconds, 4),
            "before": self.before,
            "after": self.after,
            "freed_bytes": self.freed,
        }


@dataclass(frozen=True, slots=True)
class Target:
    """What one action works on.

    Attributes:
        source: What is instrumented.
        database: The database.
        cursor: A cursor of our own into it.
        argument: What the caller named, such as the id of an operation; empty where the action needs nothing.
    """

    source: Source
    database: ObservedDatabase
    cursor: Cursor
    argument: str = ""

    def connections(self) -> Iterable[Connection]:
        """The user's live connections to the database."""
        return [one for one in self.source.live_connections() if one.label == self.database.name]

    def is_idle(self) -> bool:
        """Whether no statement runs, no result is open and no transaction is open on any connection to it."""
        return not any(
            one.busy_thread or one.operation is not None or (one.transaction is not None and one.transaction.is_open)
            for one in self.connections()
        )


class Action(Protocol):
    """One action.

    Attributes:
        name: Its name, by which it is switched on.
        meaning: What it does, in one sentence, for whoever switches it on.
        measures: The figures of `Result.before` that it changes, beside `resident`. One that the runner does not know
            comes from a method `figures(target)` of the action.
    """

    name: str
    meaning: str
    measures: tuple[str, ...]

    def plan(self, target: Target) -> str:
        """Say what `run` would do.

        Raises:
            Refused: it must not be done now.
            NothingToDo: it would change nothing.
        """

    def run(self, target: Target) -> str:
        """Do it, and say what was done; raises as `plan` does, and what DuckDB raises."""


_USED: Final = "select coalesce(system.main.sum(memory_usage_bytes), 0)::bigint from system.main.duckdb_memory()"


def resident_bytes() -> int:
    """The resident memory of this process."""
    return int(psutil.Process().memory_info().rss)


def used_bytes(cursor: Cursor) -> int:
    """What DuckDB's buffer manager holds."""
    return int(cursor.rows(_USED)[0][0])


def disk_bytes(path: str | None) -> int:
    """The size of a database's file and its write-ahead log."""
    if path is None:
        return 0
    total = 0
    for name in (path, f"{path}.wal"):
        try:
            total += os.stat(name).st_size  # noqa: PTH116 - a path as DuckDB has it
        except OSError:
            continue
    return total
