"""Labels for databases: short, unique within the process, and no more than a metric can carry."""

from __future__ import annotations

from itertools import count
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from otel_duckdb.contract import OTHER, TABLE_NAME_LIMIT
from otel_duckdb.telemetry.locks import make_reentrant_lock
from otel_duckdb.text import encodable

if TYPE_CHECKING:
    from collections.abc import Iterator


_IN_A_LIFE: Final = 5
"""How many times more names there are in the life of the process than at a time: an SDK keeps each for ever."""


class Names:
    """Gives every live database a name, and gives the same name again when it is free."""

    def __init__(self, limit: int = TABLE_NAME_LIMIT) -> None:
        """Give at most `limit` names at a time, five times as many in all; every further database is `_other`."""
        self._limit = limit
        self._given: set[str] = set()
        self._lock = make_reentrant_lock()
        self._taken: set[str] = {OTHER}

    def take(self, name: str, path: str | None) -> str:
        """Take `name`, or where another database has it, one with as much of `path` as tells them apart."""
        with self._lock:
            if len(self._taken) > self._limit:
                return OTHER
            candidates = map(encodable, _candidates(name, path))
            free = next(candidate for candidate in candidates if candidate not in self._taken)
            if free not in self._given and len(self._given) >= self._limit * _IN_A_LIFE:
                return OTHER
            self._taken.add(free)
            self._given.add(free)
            return free

    def release(self, name: str) -> None:
        """Give a name back when its database is gone."""
        with self._lock:
            if name != OTHER:
                self._taken.discard(name)


def _candidates(name: str, path: str | None) -> Iterator[str]:
    yield name
    folders = PurePath(path).parts[:-1] if path else ()
    for start in range(len(folders) - 1, -1, -1):
        yield str(PurePath(*folders[start:], name))
    for number in count(2):
        yield f"{name}#{number}"
