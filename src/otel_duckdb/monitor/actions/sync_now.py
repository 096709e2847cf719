"""The action that lets the syncs of this process go on at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_duckdb.monitor.actions.action import NothingToDo
from otel_duckdb.telemetry.syncs import running_syncs

if TYPE_CHECKING:
    from otel_duckdb.monitor.actions.action import Target
    from otel_duckdb.telemetry.syncs import RunningSync

_SECONDS: Final = 25.0


class SyncNow:
    """Lets each table of a running sync begin its pass at once, instead of at the end of its pause."""

    name = "sync_now"
    meaning = "Let the syncs of the database that run in this process send what waits at once."
    measures: tuple[str, ...] = ("pending_rows",)

    @staticmethod
    def _syncs(target: Target) -> list[RunningSync]:
        found = running_syncs(target.database.path)
        if not found:
            raise NothingToDo("no sync of the database runs in this process")
        return found

    def figures(self, target: Target) -> dict[str, int]:
        """The rows that wait."""
        return {"pending_rows": sum(sync.pending_rows() for sync in self._syncs(target))}

    def plan(self, target: Target) -> str:
        """Say how many syncs would go on at once."""
        number = len(self._syncs(target))
        return f"let {number} sync{'s' if number > 1 else ''} send at once"

    def run(self, target: Target) -> str:
        """Let them send, and wait for the passes."""
        done = [each for sync in self._syncs(target) for each in sync.sync_now(_SECONDS)]
        failed = sum(each.error is not None for each in done)
        rows = sum(each.rows for each in done)
        said = f"{rows} rows of {len(done)} tables were sent"
        return said + (f"; {failed} tables failed or did not end in time" if failed else "")
