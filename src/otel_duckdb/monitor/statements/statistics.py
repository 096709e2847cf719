"""Statistics of every statement shape, bounded in number."""

from __future__ import annotations

import time
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.monitor.ended import TEXT_CHARACTERS, Ended
from otel_duckdb.monitor.statements.lately import Latency
from otel_duckdb.monitor.statements.statement import Statement
from otel_duckdb.monitor.times import iso
from otel_duckdb.statement import parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_duckdb.monitor.ended import EndedOperations
    from otel_duckdb.monitor.sample import Series

SORTS: Final = {
    "total": lambda each: each.total_ns,
    "mean": lambda each: each.total_ns / max(each.calls, 1),
    "max": lambda each: each.max_ns,
    "calls": lambda each: each.calls,
    "errors": lambda each: each.errors,
    "rows": lambda each: each.rows,
    "spilled": lambda each: each.spilled_bytes,
    "memory": lambda each: each.mean_peak_memory,
    "last": lambda each: each.last_seen,
}
"""What statements may be sorted by, from the largest down."""


class Statements:
    """Adds up what each statement shape did in each database since the monitor began.

    Where there are more shapes than `limit`, those of the least total time go into one remainder.
    """

    def __init__(self, ended: EndedOperations, limit: int = 1000) -> None:
        """Keep at most `limit` shapes of what `ended` hands over."""
        self._settled = ended.settled
        self._limit = limit
        self._since = time.time()
        self._statements: dict[tuple[str, str], Statement] = {}
        self._remainder: Statement | None = None
        self._dropped = 0
        self._latency = Latency()

    def take(self, batch: Sequence[tuple[Any, ...]], number: int) -> None:
        """Add operations that have ended, in the order of the fields of `Ended`."""
        groups: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
        for each in batch:
            shape = each[0], each[1]
            group = groups.get(shape)
            if group is None:
                groups[shape] = [each]
            else:
                group.append(each)
        for (text, database), executions in groups.items():
            key = database, _key(text)
            statement = self._statements.get(key)
            if statement is None:
                if len(self._statements) >= self._limit:
                    self._drop()
                first = Ended(*executions[0]).began_unix_ns / 1e9
                statement = self._statements[key] = Statement(text, database, first)
            self._latency.add(statement.take(executions, number))

    def latency(self) -> Mapping[Series, float]:
        """Return the quantiles of the last 10 s as series for a sample."""
        with self._settled():
            return self._latency.tick(time.monotonic())

    @property
    def count(self) -> int:
        """How many statement shapes are kept."""
        return len(self._statements)

    def reset(self) -> None:
        """Forget all figures."""
        with self._settled():
            self._statements = {}
            self._remainder, self._dropped, self._since = None, 0, time.time()

    def as_json(self, sort: str = "total", limit: int = 50, database: str | None = None) -> dict[str, Any]:
        """Return the statistics as JSON has them, at most `limit` statements.

        Raises:
            ValueError: there is no such sort key.
        """
        if sort not in SORTS:
            raise ValueError(f"sort is {sort!r}; allowed is {', '.join(SORTS)}")
        with self._settled():
            statements = self._statements.values()
            shown = [each for each in statements if database in (None, each.database)]
            remainder = self._remainder
            everything = sum(each.total_ns for each in statements)
            everything += 0 if remainder is None else remainder.total_ns
            shown.sort(key=SORTS[sort], reverse=True)
            return {
                "since": iso(self._since),
                "dropped": self._dropped,
                "shapes": len(shown),
                "statements": [each.as_json(everything) for each in shown[: max(0, limit)]],
                "remainder": None if remainder is None else remainder.as_json(everything),
            }

    def slower(self) -> dict[tuple[str, str], float]:
        """How many times longer than it used to the most changed statement of each database and summary takes."""
        times: dict[tuple[str, str], float] = {}
        with self._settled():
            for statement in self._statements.values():
                found = statement.trend.times_slower
                if found > 1.0:
                    key = statement.database, parse(statement.text).summary
                    times[key] = max(found, times.get(key, 1.0))
        return times

    def _drop(self) -> None:
        """Put the tenth of the shapes that took the least time into the remainder."""
        least = sorted(self._statements, key=lambda key: self._statements[key].total_ns)
        for key in least[: max(1, self._limit // 10)]:
            gone = self._statements.pop(key, None)
            if gone is None:  # forgotten meanwhile
                continue
            if self._remainder is None:
                self._remainder = Statement("_other", "", gone.first_seen)
            self._remainder.absorb(gone)
            self._dropped += 1


def _key(text: str) -> str:
    """What a statement is known by: its text, or where that is long, a digest of it."""
    if len(text) <= TEXT_CHARACTERS:
        return text
    return blake2b(text.encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()
