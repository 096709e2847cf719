"""How monitors that run are found: each has a file in a folder of its user's own, and holds a lock while it lives."""

from __future__ import annotations

import json
import os
import secrets
import stat
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from filelock import FileLock, Timeout

from otel_duckdb.files import read_text
from otel_duckdb.monitor.folder import state_folder

if TYPE_CHECKING:
    from collections.abc import Iterator


KEY_HEADER: Final = "X-Monitoring-Key"
"""The header of the key, or of the token that an announcement tells."""


class FolderError(OSError):
    """The folder of the running monitors cannot be made, belongs to somebody else, or may be written by others."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """A monitor that runs.

    Attributes:
        pid: Its process.
        host: Where its API is asked.
        port: The port there.
        token: What lets its user act through the API.
        version: The version of this package.
        started: When it began, in seconds since 1970.
        program: The program's name.
        certificate: The file of the certificate it serves TLS with; empty where it serves none.
    """

    pid: int
    host: str
    port: int
    token: str
    version: str
    started: float
    program: str
    certificate: str = ""


class Announced:
    """An announcement that stands until it is withdrawn, or its process dies."""

    def __init__(self, announcement: Announcement) -> None:
        """Write the file, and hold its lock.

        Raises:
            OSError: the folder or the file cannot be made, or is not the user's own.
        """
        for _ in running():
            pass  # what dead ones left is removed, though nobody ever asks who runs
        self._file = folder() / f"{announcement.pid}-{secrets.token_hex(4)}.json"
        self._lock = FileLock(_lock_of(self._file), timeout=0, mode=0o600)
        self._lock.acquire()
        text = json.dumps(asdict(announcement)).encode()
        temporary = self._file.with_suffix(".new")
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(temporary, flags, 0o600)
        try:
            os.write(descriptor, text)
        finally:
            os.close(descriptor)
        temporary.replace(self._file)

    def withdraw(self) -> None:
        """The monitor ends."""
        with suppress(OSError):
            self._file.unlink(missing_ok=True)
        self._lock.release()
        with suppress(OSError):
            _lock_of(self._file).unlink(missing_ok=True)


def folder() -> Path:
    """Return the folder of the announcements, made for its user alone.

    It is below XDG_RUNTIME_DIR, or else in the user's state folder.

    Raises:
        FolderError: it cannot be made, or is not the user's own.
    """
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
    # A path that depends on the working folder would not be found from another one.
    found = runtime / "otel-duckdb" if runtime.is_absolute() and runtime.is_dir() else state_folder() / "run"
    try:
        found.mkdir(mode=0o700, parents=True, exist_ok=True)
        seen = found.lstat()
    except OSError as error:  # of a user without a home, or whose variables are another user's
        raise FolderError(
            f"{found} cannot be used: {error.strerror}; set XDG_RUNTIME_DIR to a folder of this user's own"
        ) from error
    if sys.platform != "win32":
        if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.getuid() or seen.st_mode & 0o022:
            raise FolderError(
                f"{found} is not this user's alone; remove it, or set XDG_RUNTIME_DIR to a folder that is"
            )
    return found


def running() -> Iterator[Announcement]:
    """Yield the announcements of monitors that live; what dead ones left is removed."""
    for file in sorted(folder().glob("*.json")):
        lock = FileLock(_lock_of(file), timeout=0, mode=0o600)
        try:
            lock.acquire()
        except Timeout:
            found = _read(file)
            if found is not None:
                yield found
            continue
        file.unlink(missing_ok=True)
        lock.release()
        with suppress(OSError):
            _lock_of(file).unlink(missing_ok=True)


def _lock_of(file: Path) -> Path:
    return file.with_suffix(".lock")


def _read(file: Path) -> Announcement | None:
    """Read an announcement; None for what is none, or is not its user's."""
    with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
        if sys.platform != "win32" and file.lstat().st_uid != os.getuid():
            return None
        told: dict[str, Any] = json.loads(read_text(file))
        return Announcement(
            int(told["pid"]),
            str(told["host"]),
            int(told["port"]),
            str(told["token"]),
            str(told["version"]),
            float(told["started"]),
            str(told["program"]),
            str(told.get("certificate", "")),
        )
    return None
