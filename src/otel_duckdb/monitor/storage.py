"""Where the bytes of the live databases are: files, write-ahead logs, temporary files, and on demand the tables."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.telemetry.locks import make_reentrant_lock
from otel_duckdb.text import encodable, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_duckdb.core.source import Cursor, ObservedDatabase

_MOST_TABLES: Final = 200
_MOST_FILES: Final = 200
_SECONDS: Final = 5.0
"""How long one database's tables are looked at; what was not seen by then has no bytes."""
_REST: Final = 10
_ATTACHED: Final = """
    select database_name, path, type, readonly from system.main.duckdb_databases() where not internal
"""
_TEMPORARY: Final = "select path, size from system.main.duckdb_temporary_files() order by size desc limit 201"
_TABLES: Final = """
    select database_name, schema_name, table_name, estimated_size, column_count, index_count, temporary
    from system.main.duckdb_tables() where not internal
    order by estimated_size desc nulls last, database_name, schema_name, table_name limit 201
"""
_WAL_SUFFIXES: Final = (".wal", ".wal.checkpoint", ".wal.recovery")


class Storage:
    """Looks at the files of databases, and on demand at their tables.

    Who asks for tables again and again is told what was seen before: the looks take a tenth of the time at most.
    """

    def __init__(self) -> None:
        self._lock = make_reentrant_lock()
        self._seen: dict[str, tuple[float, dict[str, Any]]] = {}

    def look(self, databases: Iterable[ObservedDatabase], wanted: str | None, *, tables: bool) -> dict[str, Any]:
        """Return what the live databases hold, or the one that is `wanted`.

        A table's rows are DuckDB's estimate, its bytes those of the blocks that it has a part in: several may share
        one. Bytes are None where there is no block, as in memory, or the look took too long.

        Raises:
            ValueError: no database of that name is open.
        """
        known = list(databases)
        chosen = [one for one in known if wanted in (None, one.name)]
        if wanted is not None and not chosen:
            raise ValueError(f"no database called {printable(wanted)!r} is open")
        if not tables:
            return {"databases": [_database(one, tables=False) for one in chosen]}
        with self._lock:
            names = {one.name for one in known}
            self._seen = {name: seen for name, seen in self._seen.items() if name in names}
            return {"databases": [self._with_tables(one) for one in chosen]}

    def _with_tables(self, database: ObservedDatabase) -> dict[str, Any]:
        begin = time.monotonic()
        due, told = self._seen.get(database.name, (begin, {}))
        if begin < due:
            return told
        told = _database(database, tables=True)
        took = time.monotonic() - begin
        self._seen[database.name] = begin + took * _REST, told
        return told


def _database(database: ObservedDatabase, *, tables: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"name": database.name, "path": _text(database.path), "files": [], "temporary_files": []}
    cursor = database.open_cursor()
    if cursor is None:
        return told
    timer = threading.Timer(_SECONDS, cursor.interrupt)
    timer.daemon = True
    timer.start()
    try:
        _fill(told, cursor, tables=tables)
    finally:
        timer.cancel()
        cursor.close()
    return told


def _fill(told: dict[str, Any], cursor: Cursor, *, tables: bool) -> None:
    with suppress(Exception):  # DuckDB cannot tell a path that is no UTF-8
        told["files"] = [_file(*row) for row in cursor.rows(_ATTACHED)]
    with suppress(Exception):
        spilled = [{"path": _text(path), "bytes": size} for path, size in cursor.rows(_TEMPORARY)]
        told["temporary_files"], told["temporary_files_left_out"] = spilled[:_MOST_FILES], len(spilled) > _MOST_FILES
    if tables:
        ends = time.monotonic() + _SECONDS
        kinds = {file["type"] for file in told["files"]}
        size = _block_size(cursor) if kinds == {"duckdb"} else 0  # others would be asked over the network
        rows = cursor.rows(_TABLES)
        told["tables"] = [_table(cursor, row, size if time.monotonic() < ends else 0) for row in rows[:_MOST_TABLES]]
        told["tables_left_out"] = len(rows) > _MOST_TABLES


def _file(name: str, path: str | None, kind: str, read_only: bool) -> dict[str, Any]:
    ours = kind == "duckdb" and path
    return {
        "database": encodable(name),
        "path": _text(path),
        "type": kind,
        "read_only": bool(read_only),
        "bytes": _size(path) if ours else None,
        "wal_bytes": sum(_size(f"{path}{suffix}") or 0 for suffix in _WAL_SUFFIXES) if ours else None,
    }


def _table(cursor: Cursor, row: tuple[Any, ...], block_size: int) -> dict[str, Any]:
    database, schema, name, rows, columns, indexes, temporary = row
    return {
        "database": encodable(database),
        "schema": encodable(schema),
        "table": encodable(name),
        "rows": rows,
        "columns": columns,
        "indexes": indexes,
        "bytes": None if temporary or not block_size else _bytes(cursor, database, schema, name, block_size),
    }


def _bytes(cursor: Cursor, *names: Any) -> int | None:
    """The blocks of a table; its names come from the catalog, and stand as identifiers inside a text."""
    *parts, block_size = names
    identifier = ".".join('"' + str(part).replace('"', '""') + '"' for part in parts)
    literal = identifier.replace("'", "''")
    try:
        [(blocks, kept)] = cursor.rows(
            "select count(distinct block_id), count(*) filter (where persistent)"  # noqa: S608 - quoted above
            f" from pragma_storage_info('{literal}') where persistent and block_id >= 0"
        )
    except Exception:  # a view of another engine, or the time is over
        return None
    return int(blocks) * block_size if kept else None


def _block_size(cursor: Cursor) -> int:
    with suppress(Exception):
        return int(cursor.rows("select system.main.max(block_size) from system.main.pragma_database_size()")[0][0] or 0)
    return 0


def _size(path: str | None) -> int | None:
    if not path:
        return None
    try:
        return Path(path).stat().st_size
    except (OSError, ValueError):
        return None


def _text(path: str | None) -> str | None:
    return None if path is None else encodable(path)
