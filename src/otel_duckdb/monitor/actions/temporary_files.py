"""Removes spill files that a killed process left behind: only where its death is proven."""

from __future__ import annotations

import os
import re
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from otel_duckdb.monitor.actions.action import NothingToDo, Refused
from otel_duckdb.monitor.alerts.messages import amount

if TYPE_CHECKING:
    from otel_duckdb.monitor.actions.action import Target

_WITH_OWNER: Final = re.compile(r"(?P<owner>duckdb_temp_(?P<pid>\d+)_\d+)_(?:storage_.*\.tmp|owner)")
"""As DuckDB 2 names them; it holds a lock on the owner's file as long as it lives."""
_WITHOUT: Final = re.compile(r"duckdb_temp_(?:storage_|block-).*\.(?:tmp|block)")
"""As DuckDB 1 names them."""
_YOUNGEST: Final = 60.0
"""Seconds that a file must be old, so that a clock that jumps proves nothing."""


class RemoveTemporaryFiles:
    """Removes the spill files of processes that are dead, from the folder a live database spills to."""

    name = "remove_temporary_files"
    meaning = "Remove spill files that a killed process left behind, where its death is proven."
    measures: tuple[str, ...] = ("temporary",)

    def plan(self, target: Target) -> str:
        """Say how many there are, and how large."""
        folder, names = self._stale(target)
        size = sum(_size(folder / name) for name in names)
        return f"remove {len(names)} spill files of dead processes, {amount(size, 'bytes')}"

    def run(self, target: Target) -> str:
        """Remove them; folders are left."""
        folder, names = self._stale(target)
        removed, size = 0, 0
        for name in names:
            one = _size(folder / name)
            with suppress(OSError):
                (folder / name).unlink()
                removed, size = removed + 1, size + one
        return f"removed {removed} spill files of dead processes, {amount(size, 'bytes')}"

    def _stale(self, target: Target) -> tuple[Path, list[str]]:
        if not hasattr(os, "getuid"):
            raise Refused("who owns a file is not known on this system")
        (told,) = target.cursor.rows("select system.main.current_setting('temp_directory')")[0]
        folder = Path(str(told or ""))
        if not told or not folder.is_dir() or folder.is_symlink():
            raise NothingToDo("there is no folder of temporary files")
        rows = target.cursor.rows("select path from system.main.duckdb_temporary_files()")
        own = {Path(path).name for (path,) in rows}
        names = sorted(name for name in os.listdir(folder) if name not in own and _is_ours(folder / name))  # noqa: PTH208
        stale = [*_of_dead_owners(folder, names), *self._of_none(target, folder, names)]
        if not stale:
            raise NothingToDo("no spill file of a process that is known to be dead")
        return folder, stale

    @staticmethod
    def _of_none(target: Target, folder: Path, names: list[str]) -> list[str]:
        """Files without an owner: dead if no other process can have the database open, whose own folder this is."""
        path = target.database.path
        if path is None or folder.resolve() != Path(f"{path}.tmp").resolve():
            return []
        (read_only,) = target.cursor.rows(
            "select coalesce(system.main.bool_or(readonly), true) from system.main.duckdb_databases()"
            " where database_name = system.main.current_database()"
        )[0]
        if read_only:  # then others may have it open as well
            return []
        began = psutil.Process().create_time()
        return [name for name in names if _WITHOUT.fullmatch(name) and _changed(folder / name) < began]


def _of_dead_owners(folder: Path, names: list[str]) -> list[str]:
    proven: dict[str, bool] = {}
    stale = []
    for name in names:
        found = _WITH_OWNER.fullmatch(name)
        if found is None:
            continue
        owner = found["owner"]
        if owner not in proven:
            proven[owner] = _is_dead(int(found["pid"]), folder / f"{owner}_owner")
        if proven[owner]:
            stale.append(name)
    return stale


def _is_dead(process: int, owner: Path) -> bool:
    """Whether no process has this id, and nobody holds the owner's file; in a container ids alone prove nothing."""
    if process == os.getpid() or psutil.pid_exists(process):
        return False
    import fcntl  # noqa: PLC0415 - not on Windows, which does not get here

    try:
        descriptor = os.open(owner, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _is_ours(path: Path) -> bool:
    """A regular file of this user, of a name DuckDB gives, that was not made just now."""
    if not (_WITH_OWNER.fullmatch(path.name) or _WITHOUT.fullmatch(path.name)):
        return False
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.getuid() and time.time() - found.st_mtime > _YOUNGEST


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _changed(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return float("inf")
