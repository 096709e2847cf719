"""Files that others may have made, or name: read and written without a wait that has no end, and without harm."""

from __future__ import annotations

import errno
import os
import select
import stat
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Final

LIMIT: Final = 16 * 1024 * 1024
"""The most bytes of a file that is read whole."""
_SECONDS: Final = 5.0
"""How long the writer of a pipe may take."""
_PIECE: Final = 256 * 1024
# Without O_NONBLOCK the opening of a pipe waits for its other end.
_AT_ONCE: Final = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0)


def read_bytes(path: str | Path, *, limit: int = LIMIT) -> bytes:
    """Read a file whole, or a pipe (as a shell's `<(…)`) that is written within 5 seconds.

    Raises:
        OSError: it cannot be read, is a device or a folder, is larger than `limit` bytes, or nobody writes into it.
    """
    descriptor = os.open(path, os.O_RDONLY | _AT_ONCE)
    try:
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(kind):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not (stat.S_ISREG(kind) or stat.S_ISFIFO(kind)):
            raise _refused(path)
        until = monotonic() + _SECONDS
        content = bytearray()
        while len(content) <= limit:
            if stat.S_ISFIFO(kind) and not _readable(descriptor, until - monotonic()):
                raise OSError(errno.ETIMEDOUT, f"its writer did not end within {_SECONDS:g} seconds", str(path))
            piece = os.read(descriptor, min(_PIECE, limit + 1 - len(content)))
            if not piece:
                return bytes(content)
            content += piece
        raise OSError(errno.EFBIG, f"it has more than {limit} bytes", str(path))
    finally:
        os.close(descriptor)


def read_text(path: str | Path, *, limit: int = LIMIT) -> str:
    """Read a text in UTF-8, as `read_bytes` does.

    Raises:
        OSError: as `read_bytes`.
        UnicodeDecodeError: it is not UTF-8.
    """
    return read_bytes(path, limit=limit).decode()


def open_for_appending(path: str | Path) -> int:
    """Open a file of this user alone, and return its descriptor; it is made where there is none.

    Raises:
        OSError: it cannot be opened, or is a link, a folder, a pipe or a device, whose mode is nobody's to change.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _NO_LINK | _AT_ONCE, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _refused(path)
        if hasattr(os, "fchmod"):
            os.fchmod(descriptor, 0o600)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def check_ordinary(path: str | Path) -> None:
    """Check that what is there, if anything is, is a file, before somebody opens it who waits for the end of a pipe.

    Raises:
        OSError: it is a folder, a pipe or a device, or cannot be looked at.
    """
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise _refused(path)


def is_database(path: Path) -> bool:
    """Whether the file begins as DuckDB's do, encrypted ones too; not where that cannot be looked at."""
    try:
        if not path.is_file():  # to open a pipe waits for its other end
            return False
        with path.open("rb") as file:
            return file.read(12)[8:] == b"DUCK"
    except OSError:
        return False


def write_privately(path: Path, text: str) -> None:
    """Put `text` in the place of a file, which this user alone can read; a pipe or a device is written into.

    Raises:
        OSError: it cannot be written; what was there before is still there.
    """
    if _stays(path):
        with path.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
        return
    if is_database(path):
        raise OSError(errno.EEXIST, "it is a database of DuckDB, and is not written over", str(path))
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        # Whoever made it before us could read what we write, or let us wait for the end of a pipe.
        unfinished.unlink(missing_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        unfinished.replace(path)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error  # the name that the user gave


def _stays(path: Path) -> bool:
    """Whether a name is not to be given to another file: a pipe's, a device's, and /dev/stdout wherever that leads."""
    with suppress(OSError):
        kind = path.stat().st_mode
        of_the_system = path.parent.resolve().parts[1:2] in (("dev",), ("proc",))
        return of_the_system or not (stat.S_ISREG(kind) or stat.S_ISDIR(kind))
    return False


def _readable(descriptor: int, seconds: float) -> bool:
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(max(0.0, seconds) * 1000))


def _refused(path: str | Path) -> OSError:
    return OSError(errno.EINVAL, "it is no ordinary file", str(path))
