"""Labels for databases: short, unique within the process, and no more than a metric can carry."""

from __future__ import annotations

from itertools import count
from pathlib import PurePath
from typing import TYPE_CHECKING

from otel_duckdb.contract import OTHER, TABLE_NAME_LIMIT
from otel_duckdb.telemetry.locks import make_reentrant_lock
from otel_duckdb.text import encodable

if TYPE_CHECKING:
    from collections.abc import Iterator


class Names:
    """Gives every live database a name, and gives the same name again when it is free."""

    def __init__(self, limit: int = TABLE_NAME_LIMIT) -> None:
        """Give at most `limit` different names at a time; every further database is `_other`."""
        self._limit = limit
        self._lock = make_reentrant_lock()
        self._taken: set[str] = {OTHER}

    def take(self, name: str, path: str | None) -> str:
        """Take `name`, or where another database has it, one with as much of `path` as tells them apart."""
        with self._lock:
            if len(self._taken) > self._limit:
                return OTHER
            candidates = map(encodable, _candidates(name, path))
            free = next(candidate for candidate in candidates if candidate not in self._taken)
            self._taken.add(free)
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
