"""Labels for databases: short, unique within the process, and no more than a metric can carry."""

from __future__ import annotations

import threading
from pathlib import PurePath
from typing import TYPE_CHECKING

from otel_duckdb.contract import OTHER, TABLE_NAME_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMORY = ":memory:"


class Names:
    """Gives every live database a name, and gives the same name again when it is free."""

    def __init__(self, limit: int = TABLE_NAME_LIMIT) -> None:
        """Give at most `limit` different names in the life of the process, then `_other`."""
        self._limit = limit
        self._lock = threading.RLock()
        self._taken: set[str] = set()
        self._given: set[str] = set()

    def take(self, path: str | None) -> str:
        """Take a name for the database with the real path `path`, or for one in memory."""
        with self._lock:
            name = next(name for name in _candidates(path) if name not in self._taken)
            if name not in self._given and len(self._given) >= self._limit:
                return OTHER
            self._given.add(name)
            self._taken.add(name)
            return name

    def release(self, name: str) -> None:
        """Give a name back when its database is gone."""
        with self._lock:
            self._taken.discard(name)


def _candidates(path: str | None) -> Iterator[str]:
    parts = PurePath(path).parts if path else (MEMORY,)
    for start in range(len(parts) - 1, -1, -1):
        yield str(PurePath(*parts[start:]))
    number = 1
    while True:
        number += 1
        yield f"{path or MEMORY}#{number}"
