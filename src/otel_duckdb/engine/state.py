"""What a DuckDB database instance says of itself: memory, blocks and files."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otel_duckdb.engine.cursor import PrivateCursor

# Names are spelled in full, so that neither a macro of the user's answers nor his database is searched: that would
# begin a transaction there, and DuckDB refuses CHECKPOINT to those who write while one lasts. Whoever reads gives
# the interpreter away with every statement, and in a busy program waits for its turn: two of them do it all.
_STATE: Final = """
    select 'memory', tag, null, memory_usage_bytes, temporary_storage_bytes from system.main.duckdb_memory()
    union all select 'temporary', null, null, size, 0 from system.main.duckdb_temporary_files()
    union all select 'attached', path, type, 0, 0 from system.main.duckdb_databases() where not internal
"""
_MEMORY: Final = _STATE.partition("union all")[0]
_BLOCKS: Final = "select total_blocks, used_blocks, memory_limit from system.main.pragma_database_size()"
# Not prepared: DuckDB 1.x folds the setting of the moment into a prepared statement.
_LIMIT: Final = "select system.main.current_setting('memory_limit')"
_WAL_SUFFIXES: Final = (".wal", ".wal.checkpoint", ".wal.recovery")
_UNTELLABLE: Final = "Invalid unicode"
_UNITS: Final = {
    "byte": 1,
    "bytes": 1,
    **{f"{prefix}iB": 1024**power for power, prefix in enumerate("KMGTPE", 1)},
}


@dataclass(frozen=True, slots=True)
class EngineState:
    """One reading of a database instance, all in bytes unless the name says otherwise.

    The files and blocks are those of every DuckDB file attached to the instance, added up. `memory_limit` has the one
    decimal that DuckDB tells, rounded down; it is None where there is no limit. `blocks_total` and `blocks_used` are 0
    while there is no file, or where a database of another kind is attached.

    DuckDB cannot tell paths where one is no UTF-8: then it is the main file and its temporary files alone, without
    blocks.
    """

    memory_by_tag: Mapping[str, int]
    memory_limit: int | None
    temporary_storage: int
    temporary_files: int
    database_files: int
    wal_files: int
    blocks_total: int
    blocks_used: int
    disk_free: int

    @property
    def memory_used(self) -> int:
        """What the buffer manager holds, for whatever purpose."""
        return sum(self.memory_by_tag.values())

    @property
    def disk_usage(self) -> int:
        """Database files, write-ahead logs and temporary files."""
        return self.database_files + self.wal_files + self.temporary_files


def prepare(cursor: PrivateCursor) -> None:
    """Prepare the statements of `read_state`, which then cost a third."""
    with suppress(Exception):  # refused where the configuration is locked; the plans are the same without it
        cursor.run("set search_path = 'system.main'")  # a PRAGMA's name cannot be spelled in full
        cursor.run("pragma disable_optimizer")
    cursor.run(f"prepare otel_duckdb_state as {_STATE}")
    cursor.run(f"prepare otel_duckdb_blocks as {_BLOCKS}")


def read_state(cursor: PrivateCursor, path: str | None) -> EngineState:
    """Read the instance behind `cursor`, on which `prepare` was called; `path` is that of its main file.

    Raises:
        duckdb.Error: the database is closed or was invalidated by a fatal error.
    """
    try:
        rows = cursor.rows("execute otel_duckdb_state")
    except Exception as error:
        if _UNTELLABLE not in str(error):
            raise
        rows = _without_paths(cursor, path)
    memory = {tag: (used, spilled) for what, tag, _, used, spilled in rows if what == "memory"}
    attached = [(path, kind) for what, path, kind, _, _ in rows if what == "attached"]
    paths = [path for path, kind in attached if path and kind == "duckdb"]
    blocks, limit = _blocks(cursor, [kind for _, kind in attached])
    return EngineState(
        memory_by_tag=MappingProxyType({tag: used for tag, (used, _) in memory.items()}),
        memory_limit=parse_size(limit),
        temporary_storage=sum(spilled for _, spilled in memory.values()),
        temporary_files=sum(size for what, _, _, size, _ in rows if what == "temporary"),
        database_files=sum(map(_size, paths)),
        wal_files=sum(_size(path + suffix) for path in paths for suffix in _WAL_SUFFIXES),
        blocks_total=sum(total for total, _ in blocks),
        blocks_used=sum(used for _, used in blocks),
        disk_free=_free(paths),
    )


def _without_paths(cursor: PrivateCursor, path: str | None) -> list[tuple[Any, ...]]:
    """The rows of the state as far as DuckDB tells no path in them."""
    rows = cursor.rows(_MEMORY)
    if path is not None:
        with suppress(OSError):  # there is none while nothing was spilled
            rows += [("temporary", None, None, _size(str(file)), 0) for file in Path(f"{path}.tmp").iterdir()]
        rows += [("attached", path, "duckdb", 0, 0), ("attached", None, "unknown", 0, 0)]
    return rows


def _blocks(cursor: PrivateCursor, kinds: list[str]) -> tuple[list[tuple[int, int]], str]:
    # The size of an attached PostgreSQL or DuckLake is asked of its server, which may take any time.
    if kinds and all(kind == "duckdb" for kind in kinds):
        rows = cursor.rows("execute otel_duckdb_blocks")
        return [(total, used) for total, used, _ in rows], rows[0][2]
    return [], cursor.rows(_LIMIT)[0][0]


def parse_size(text: str) -> int | None:
    """Read a size as DuckDB prints it, such as `18.8 GiB`; None if it is not one."""
    number, _, unit = text.partition(" ")
    try:
        return int(float(number) * _UNITS[unit])
    except (KeyError, ValueError):
        return None


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 - a Path costs more than the call
    except (OSError, ValueError):  # not there now, or not on a file system of this machine
        return 0


def _free(paths: Iterable[str]) -> int:
    for directory in (*(os.path.dirname(path) for path in paths), "."):  # noqa: PTH120 - a Path costs more
        try:
            return shutil.disk_usage(directory or ".").free
        except (OSError, ValueError):
            continue
    return 0
