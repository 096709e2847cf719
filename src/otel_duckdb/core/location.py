"""Which database a connection is open on."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Location:
    """Which database a connection is open on.

    Attributes:
        name: DuckDB's name of it: the file's name without its ending, `memory` for one in memory.
        path: The real path of its file, or None.
    """

    name: str
    path: str | None


def location(database: object) -> Location:
    """Read the first argument of `duckdb.connect()`, without the query of a remote address, which may hold a token."""
    try:
        text = os.fsdecode(database) if isinstance(database, bytes | os.PathLike) else str(database)
    except Exception:  # an object of the user's that is none of these: DuckDB says so
        return Location("", None)
    text = text.partition("?")[0]
    if not text or text.startswith(":"):
        return Location(text.strip(":").removeprefix("memory:") or "memory", None)
    name = os.path.splitext(os.path.basename(text))[0] or text  # noqa: PTH119, PTH122 - may be an address, no path
    return Location(name, None if "://" in text or text.startswith("md:") else _real_path(text))


def _real_path(text: str) -> str | None:
    try:
        return os.path.realpath(text)
    except ValueError:  # no name of a file on this system, as one with half a character in it
        return None
