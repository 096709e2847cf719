"""What the machine, or the cgroup this process is confined to, has."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

import psutil

_CGROUP: Final = Path("/sys/fs/cgroup")
_LIMITS: Final = ("memory.max", "memory/memory.limit_in_bytes")


@cache
def memory_total() -> int:
    """The bytes of memory this process may use: the machine's, or its cgroup's where that is less."""
    return min([int(psutil.virtual_memory().total), *_cgroup_limits()])


def _cgroup_limits() -> list[int]:
    limits = []
    for folder in (_CGROUP, *_own_cgroups()):
        for name in _LIMITS:
            with suppress(OSError, ValueError):
                limits.append(int((folder / name).read_text(encoding="ascii")))
    return limits


def _own_cgroups() -> list[Path]:
    """The cgroup of this process and those above it, by version 2 of the interface."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    own = next((line[3:] for line in lines if line.startswith("0::")), "/")
    folder = _CGROUP / own.strip("/")
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(_CGROUP))]


class CpuShare:
    """The part of the machine's processor time that was used between two looks, by whatever process."""

    def __init__(self) -> None:
        self._last = psutil.cpu_times()

    def look(self) -> float | None:
        """The share since the look before; None where no time has passed."""
        last, self._last = self._last, psutil.cpu_times()
        total = sum(self._last[:8]) - sum(last[:8])  # guest times, behind, are in the user's
        idle = self._last.idle + getattr(self._last, "iowait", 0.0) - last.idle - getattr(last, "iowait", 0.0)
        return min(1.0, max(0.0, 1 - idle / total)) if total > 0 else None
