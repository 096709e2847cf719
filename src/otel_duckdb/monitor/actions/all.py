"""Every action there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_duckdb.monitor.actions.checkpoint import Checkpoint
from otel_duckdb.monitor.actions.connections import Interrupt, RollBackAborted
from otel_duckdb.monitor.actions.memory import AllocatorThreads, EmptyCache, RaiseMemoryLimit, ReleaseMemory
from otel_duckdb.monitor.actions.renew import RenewConnections
from otel_duckdb.monitor.actions.sync_now import SyncNow
from otel_duckdb.monitor.actions.temporary_files import RemoveTemporaryFiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_duckdb.core.operation import Operation
    from otel_duckdb.monitor.actions.action import Action
    from otel_duckdb.monitor.actions.memory_limit import MemoryLimits

CAP: Final = 0.8
"""The share of the machine's or the cgroup's memory that `raise_memory_limit` goes up to."""


def all_actions(
    limits: MemoryLimits, find: Callable[[str], Operation | None] = lambda _id: None, cap: float = CAP
) -> list[Action]:
    """Make every action; `find` returns the running operation of an id, for `interrupt`."""
    return [
        ReleaseMemory(limits),
        AllocatorThreads(),
        RaiseMemoryLimit(limits, cap),
        EmptyCache(limits),
        Checkpoint(),
        RemoveTemporaryFiles(),
        RollBackAborted(),
        RenewConnections(),
        SyncNow(),
        Interrupt(find),
    ]
