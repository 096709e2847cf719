"""Asks DuckDB which database a connection is open on that was made before we listened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.core.location import Location

if TYPE_CHECKING:
    from otel_duckdb.core.methods import Methods

# Spelled in full: looking for a name in the user's database would begin a transaction there, and DuckDB refuses his
# CHECKPOINT while one lasts.
_FIRST_DATABASE: Final = (
    "SELECT database_name, path FROM system.main.duckdb_databases() WHERE NOT internal ORDER BY database_oid LIMIT 1"
)

_CURRENT_DATABASE: Final = "SELECT system.main.current_database()"


def locate(target: Any, methods: Methods) -> Location:
    """Return where a connection is open, through a cursor of its own; without the path where it is no UTF-8.

    Raises:
        duckdb.Error: the connection is closed.
    """
    cursor = methods.cursor(target)
    try:
        try:
            methods.execute(cursor, _FIRST_DATABASE)
            rows = methods.fetchall(cursor)
        except Exception as error:
            if "Invalid unicode" not in str(error):
                raise
            methods.execute(cursor, _CURRENT_DATABASE)
            rows = [(*methods.fetchall(cursor)[0], None)]
        return Location(*rows[0]) if rows else Location("", None)
    finally:
        methods.close(cursor)
