"""Actions on memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_duckdb.monitor.actions.action import NothingToDo, Refused
from otel_duckdb.monitor.actions.hold import held
from otel_duckdb.monitor.actions.memory_limit import limit_text, set_limit
from otel_duckdb.monitor.alerts.messages import amount
from otel_duckdb.monitor.machine import memory_total

if TYPE_CHECKING:
    from otel_duckdb.monitor.actions.action import Target
    from otel_duckdb.monitor.actions.memory_limit import MemoryLimits

_THREADS: Final = "allocator_background_threads"
_CACHE: Final = {"BASE_TABLE", "EXTERNAL_FILE_CACHE", "OBJECT_CACHE"}
_MEBIBYTE: Final = 2**20
_LITTLE: Final = 2 * _MEBIBYTE
"""Cached bytes below which there is nothing to drop: what DuckDB reads again for itself."""


class ReleaseMemory:
    """Sets the limit to what it is: DuckDB's allocator gives the system back what it keeps, and nothing is evicted."""

    name = "release_memory"
    meaning = "Give memory that DuckDB's allocator keeps back to the system: SET memory_limit to its present value."
    measures: tuple[str, ...] = ("used",)

    def __init__(self, limits: MemoryLimits) -> None:
        self._limits = limits

    def plan(self, target: Target) -> str:
        """Say to what the limit would be set."""
        return f"set memory_limit to its present {self._limits.exact(target)} bytes"

    def run(self, target: Target) -> str:
        """Set the limit to its own value."""
        size = self._limits.exact(target)
        before = limit_text(target.cursor)
        set_limit(target.cursor, size)
        after = limit_text(target.cursor)
        return f"memory_limit was set to its own {size} bytes ({before}{'' if after == before else f', now {after}'})"


class AllocatorThreads:
    """Lets DuckDB's allocator give memory back by itself, in a thread of its own."""

    name = "allocator_threads"
    meaning = "Let DuckDB give freed memory back by itself from now on: SET allocator_background_threads = true."
    measures: tuple[str, ...] = ("used",)

    def plan(self, target: Target) -> str:
        """Say that it would be switched on."""
        (value,) = target.cursor.rows(f"select system.main.current_setting('{_THREADS}')")[0]
        if str(value).lower() == "true":
            raise NothingToDo(f"{_THREADS} is on already")
        return f"set {_THREADS} to true, for all databases of this instance"

    def run(self, target: Target) -> str:
        """Switch it on."""
        self.plan(target)
        target.cursor.run(f"set global {_THREADS} = true")
        return f"{_THREADS} is on; SET {_THREADS} = false ends it"


class RaiseMemoryLimit:
    """Raises the limit by a quarter, as far as the machine or the cgroup allows."""

    name = "raise_memory_limit"
    meaning = "Raise memory_limit by a quarter, up to a cap of the memory of the machine or the cgroup."
    measures: tuple[str, ...] = ("used", "limit")

    def __init__(self, limits: MemoryLimits, cap: float) -> None:
        """Go up to the share `cap` of the memory there is."""
        self._limits = limits
        self._cap = cap

    def _sizes(self, target: Target) -> tuple[int, int]:
        present = self._limits.exact(target)
        most = int(memory_total() * self._cap)
        wanted = min(most, present + present // 4)
        if wanted <= present:
            raise Refused(
                f"memory_limit is {amount(present, 'bytes')}, and the cap is {amount(most, 'bytes')}:"
                f" {self._cap:.0%} of the memory there is"
            )
        return present, wanted

    def plan(self, target: Target) -> str:
        """Say to what the limit would be raised."""
        present, wanted = self._sizes(target)
        return f"raise memory_limit from {amount(present, 'bytes')} to {amount(wanted, 'bytes')}"

    def run(self, target: Target) -> str:
        """Raise the limit."""
        present, wanted = self._sizes(target)
        set_limit(target.cursor, wanted)
        self._limits.was_set(target.database.name, wanted)
        return (
            f"memory_limit was raised from {amount(present, 'bytes')} to {amount(wanted, 'bytes')};"
            f" SET memory_limit = '{present}B' puts it back"
        )


class EmptyCache:
    """Lets DuckDB drop the blocks it caches: the limit goes down to what cannot be dropped, and back at once.

    A query that runs meanwhile could fail for want of memory. So it is done only while nothing runs, and statements
    that begin in that moment wait for it; those of connections that are not instrumented cannot be held back.
    """

    name = "empty_cache"
    meaning = "While nothing runs, drop the blocks DuckDB caches: lower memory_limit for a moment, and put it back."
    measures: tuple[str, ...] = ("used",)

    def __init__(self, limits: MemoryLimits) -> None:
        self._limits = limits

    def plan(self, target: Target) -> str:
        """Say how much is cached."""
        self._limits.exact(target)
        if not target.is_idle():
            raise Refused("a statement runs, a result is open or a transaction is open")
        cached, _ = _cached_and_other(target)
        if cached < _LITTLE:
            raise NothingToDo(f"{amount(cached, 'bytes')} are cached")
        return f"drop {amount(cached, 'bytes')} of cached blocks"

    def run(self, target: Target) -> str:
        """Lower the limit to what is not cached, and put it back."""
        said = self.plan(target)
        size = self._limits.exact(target)
        with held(target.source, target.database.name):
            if not target.is_idle():
                raise Refused("a statement began just now")
            _, other = _cached_and_other(target)
            low = max(_MEBIBYTE, other + other // 10)
            if low >= size:
                raise Refused(f"{amount(other, 'bytes')} that cannot be dropped leave no room below memory_limit")
            try:
                set_limit(target.cursor, low)
            finally:
                set_limit(target.cursor, size)
        return said.replace("drop", "dropped", 1)


def _cached_and_other(target: Target) -> tuple[int, int]:
    by_tag = dict(target.cursor.rows("select tag, memory_usage_bytes from system.main.duckdb_memory()"))
    cached = sum(size for tag, size in by_tag.items() if tag in _CACHE)
    return cached, sum(by_tag.values()) - cached
