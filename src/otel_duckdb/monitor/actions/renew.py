"""The action that renews connections of a pool that do not work any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_duckdb.monitor.actions.action import NothingToDo

if TYPE_CHECKING:
    from otel_duckdb.core.source import ObservedPool
    from otel_duckdb.monitor.actions.action import Target


class RenewConnections:
    """Probes the idle connections of the pools of a database, and closes those that fail: the pool opens new ones."""

    name = "renew_connections"
    meaning = (
        "Probe the idle connections of SQLAlchemy's pools, and let those be opened anew that fail; never one in use."
    )
    measures: tuple[str, ...] = ("idle_connections",)

    @staticmethod
    def _pools(target: Target) -> list[ObservedPool]:
        found = list(target.source.live_pools(target.database))
        if not found:
            raise NothingToDo("no pool of SQLAlchemy is open on the database")
        return found

    def figures(self, target: Target) -> dict[str, int]:
        """The connections that rest in the pools, and are open."""
        return {"idle_connections": sum(pool.idle() for pool in self._pools(target))}

    def plan(self, target: Target) -> str:
        """Say how many connections would be probed."""
        number = sum(pool.idle() for pool in self._pools(target))
        if not number:
            raise NothingToDo("no connection of a pool is idle")
        return f"probe {number} idle connection{'s' if number > 1 else ''}"

    def run(self, target: Target) -> str:
        """Probe each, one after another, and renew those that fail."""
        self.plan(target)
        probed = renewed = 0
        for pool in self._pools(target):
            tried, failed = pool.renew()
            probed, renewed = probed + tried, renewed + failed
        if not renewed:
            raise NothingToDo(f"{probed} idle connections were probed, and all work")
        return f"{renewed} of {probed} idle connections did not work, and are opened anew when they are next asked for"
