"""Which processes of this machine have a database file open, by the lock that DuckDB holds on it."""

from __future__ import annotations

import os
import re
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from otel_duckdb.text import printable

_LOCK: Final = re.compile(r"\S+: (?:POSIX|OFDLCK)\s+\S+\s+(READ|WRITE)\s+(-?\d+)\s+([0-9a-f]+):([0-9a-f]+):(\d+)")
_FLOCK: Final = "hhqqi"
"""The fields of Linux' `struct flock`: kind, from where, start, length, process."""
_HELD: Final = re.compile(r"held in (?P<program>.*) \(PID (?P<pid>\d+)\)")


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has the file open.

    Attributes:
        pid: Its id, None where the system does not tell it.
        program: What it runs, as far as it is known.
        writes: Whether it may write the file; else it reads alone, as others may at the same time.
    """

    pid: int | None
    program: str
    writes: bool


def holders(path: Path) -> list[Holder]:
    """The processes that have the database file open; none where nobody has.

    Raises:
        OSError: the file cannot be looked at.
    """
    if sys.platform == "linux":
        return _by_locks(path)
    return _by_opening(path)


def _by_locks(path: Path) -> list[Holder]:
    found = path.stat()
    wanted = os.major(found.st_dev), os.minor(found.st_dev), found.st_ino
    held: dict[int, bool] = {}
    for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
        lock = _LOCK.match(line)
        if lock and (int(lock[3], 16), int(lock[4], 16), int(lock[5])) == wanted:
            pid = int(lock[2])
            held[pid] = held.get(pid, False) or lock[1] == "WRITE"
    held = held or _by_asking(path)  # a layered file system gives the lock another device than the file
    return [Holder(pid if pid > 0 else None, _program(pid), writes) for pid, writes in sorted(held.items())]


def _by_asking(path: Path) -> dict[int, bool]:
    """One process whose lock is in the way of writing the file, and whether it writes."""
    import fcntl  # noqa: PLC0415 - not on Windows, which does not get here

    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        answer = fcntl.fcntl(descriptor, fcntl.F_GETLK, struct.pack(_FLOCK, fcntl.F_WRLCK, 0, 0, 0, 0))
    finally:
        os.close(descriptor)
    kind, _, _, _, pid = struct.unpack(_FLOCK, answer)
    return {} if kind == fcntl.F_UNLCK else {pid: kind == fcntl.F_WRLCK}


def _program(pid: int) -> str:
    if pid <= 0:  # of another namespace of processes, as a container's
        return "a process that cannot be seen from here"
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        return printable(_shown(process.cmdline()) or process.name())
    return "a process that has just ended"


def _shown(command: list[str]) -> str:
    """The program, and the script or module where it is Python's: what stands behind may be secret."""
    name, *further = (*command, "")[:3]
    words = [Path(name).name]
    if words[0].startswith("python") and further:
        if further[0] == "-m":
            words += further
        elif not further[0].startswith("-"):
            words.append(Path(further[0]).name)
    return " ".join(words).strip()


def _by_opening(path: Path) -> list[Holder]:
    """Where locks cannot be read: DuckDB itself says who is in the way."""
    import duckdb  # noqa: PLC0415 - only systems without /proc/locks need it

    try:
        duckdb.connect(str(path), read_only=True).close()
    except duckdb.IOException as error:
        told = _HELD.search(str(error))
        if told:
            return [Holder(int(told["pid"]), printable(told["program"]), writes=True)]
        if "being used by another process" in str(error) or "Conflicting lock" in str(error):
            return [Holder(None, "another process", writes=True)]
        raise OSError(printable(str(error))) from None
    return []
