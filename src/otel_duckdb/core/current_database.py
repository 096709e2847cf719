"""Which database is the current one of a connection, followed from the texts of what succeeded on it.

No statement asks DuckDB: `USE name` is followed where the name is known to be one of a database, for it may be one of a
schema. ROLLBACK takes none of this back, and a cursor begins with the database that its connection was opened on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_duckdb.statement.current_database import ATTACH, USE

if TYPE_CHECKING:
    from otel_duckdb.core.operation import Connection
    from otel_duckdb.statement.current_database import DatabaseStep

_MOST: Final = 1000
_IN_MEMORY: Final = "memory"


class CurrentDatabases:
    """The names of databases that were attached, by what they were attached to."""

    def __init__(self) -> None:
        self._attached: dict[tuple[str, str], str] = {}

    def follow(self, connection: Connection, steps: tuple[DatabaseStep, ...]) -> None:
        """Take note of what has succeeded on the connection."""
        for step in steps:
            key = connection.label, step.name.casefold()
            if step.action == USE:
                self._use(connection, step, key)
            elif step.action == ATTACH:
                if len(self._attached) >= _MOST:
                    self._attached.clear()
                self._attached[key] = step.name
            else:
                self._attached.pop(key, None)

    def _use(self, connection: Connection, step: DatabaseStep, key: tuple[str, str]) -> None:
        own = connection.location
        folded = key[1]
        if folded in ("", own.name.casefold()) or (folded == _IN_MEMORY and own.path is None):
            connection.namespace = own.name
        elif step.is_certain or key in self._attached:
            connection.namespace = self._attached.get(key, step.name)
